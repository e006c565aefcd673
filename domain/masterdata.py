"""Rows of master data as a customer hands them over: entities, regions, locations, hours, items, people, stock.

It says what one row must look like by itself. Whether a row's references exist is asked where the tables are.
"""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from domain.people import ROLES
from domain.texts import settled

LARGEST_MINOR = 10**12  #: Ten thousand million of a currency with two decimals: beyond it, a unit was mistaken.
LARGEST_QUANTITY = 10**9
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Bucket = Literal["available", "damaged"]  # opening stock comes from outside, so it lands where a receipt may land


def _split(value: object) -> object:
    """A CSV cell holds a list as texts parted by semicolons."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(";") if part.strip())
    return value


def _known_role(role: str) -> str:
    if role not in ROLES:
        raise PydanticCustomError("unknown_role", "no such role; one of {roles}", {"roles": ", ".join(ROLES)})
    return role


Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(settled)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(settled)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Email = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s;,<>]+@[^@\s;,<>]+\.[^@\s;,<>]+$")]
Codes = Annotated[tuple[Code, ...], BeforeValidator(_split)]
Role = Annotated[str, AfterValidator(_known_role)]
Roles = Annotated[tuple[Role, ...], BeforeValidator(_split), Field(min_length=1)]
Alias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,40}:[^\s;]{1,80}$")]
Aliases = Annotated[tuple[Alias, ...], BeforeValidator(_split)]


class MasterRow(BaseModel):
    """A row of one file. `key` names what the row is about; a file says the same key once."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
    file: ClassVar[str]
    key_fields: ClassVar[tuple[str, ...]]

    @model_validator(mode="before")
    @classmethod
    def _empty_cell_is_no_value(cls, cells: Any) -> Any:
        if isinstance(cells, dict):
            for name, cell in cells.items():
                if isinstance(cell, str) and _CONTROL.search(cell):
                    raise PydanticCustomError("no_text", "{name} holds a sign that is no text", {"name": name})
            return {name: cell for name, cell in cells.items() if cell is not None and cell != ""}
        return cells

    @property
    def key(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.key_fields)


class EntityRow(MasterRow):
    """A legal entity that owns stock and books, in one currency."""

    file = "entities.csv"
    key_fields = ("code",)
    code: Code
    name: Name
    currency: Currency
    country: Country


class RegionRow(MasterRow):
    """A group of locations that one operations team looks after."""

    file = "regions.csv"
    key_fields = ("code",)
    code: Code
    name: Name
    entity: Code


class LocationRow(MasterRow):
    """A store, distribution centre, micro-fulfilment hub or drop-ship vendor."""

    file = "locations.csv"
    key_fields = ("code",)
    code: Code
    name: Name
    kind: Literal["store", "dc", "hub", "dropship"]
    region: Code
    entity: Code
    time_zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]+(?:/[A-Za-z0-9_+-]+){0,2}$")]
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
    address: Text = ""
    pickup: bool = False

    @model_validator(mode="after")
    def _place_is_whole(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise PydanticCustomError("half_a_place", "give latitude and longitude together, or neither")
        if self.pickup and self.kind not in ("store", "hub"):
            raise PydanticCustomError(
                "no_pickup_here", "customers collect at a store or a hub, not at a {kind}", {"kind": self.kind}
            )
        return self


def _clock(value: object) -> object:
    """`24:00` is midnight at the end of the day, which the clock writes 00:00."""
    if isinstance(value, str):
        if value == "24:00":
            return dt.time(0)
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise PydanticCustomError("no_time", "a time is HH:MM from 00:00 to 24:00")
    return value


Clock = Annotated[dt.time, BeforeValidator(_clock)]


class CalendarRow(MasterRow):
    """Opening hours of a location on a weekday, or a date on which it stays closed.

    `opens` and `closes` are wall-clock times of the location; closing at or before opening runs past midnight, so
    00:00 to 24:00 never closes. A weekday without hours, or without a row, is closed.
    """

    file = "calendars.csv"
    key_fields = ("location", "day")
    location: Code
    day: str
    opens: Clock | None = None
    closes: Clock | None = None
    reason: Text = ""

    @field_validator("day")
    @classmethod
    def _day_is_a_weekday_or_a_date(cls, day: str) -> str:
        if day.lower() in WEEKDAYS:
            return day.lower()
        try:
            return dt.date.fromisoformat(day).isoformat()
        except ValueError:
            raise PydanticCustomError("no_day", "a day is mon … sun, or a date such as 2026-12-25") from None

    @model_validator(mode="after")
    def _hours_are_whole(self) -> Self:
        if (self.opens is None) != (self.closes is None):
            raise PydanticCustomError("half_hours", "give opens and closes together, or neither for a closed day")
        if self.opens is not None and self.opens == self.closes and self.opens != dt.time(0):
            raise PydanticCustomError("no_hours", "opens as it closes; round the clock is 00:00 to 24:00")
        if self.date is not None and self.opens is not None:
            raise PydanticCustomError("special_hours", "special hours on one date are not supported yet, only closing")
        return self

    @property
    def weekday(self) -> int | None:
        """0 for Monday … 6 for Sunday; None when the row is about one date."""
        return WEEKDAYS.index(self.day) if self.day in WEEKDAYS else None

    @property
    def date(self) -> dt.date | None:
        """The date that stays closed; None when the row is about a weekday."""
        return None if self.day in WEEKDAYS else dt.date.fromisoformat(self.day)


_UNSUPPORTED = {
    "sold_by_weight": "items sold by weight are not supported yet; load them as priced packs, base_unit each",
    "serialised": "serialised items are not supported yet",
    "kit_components": "kits are not supported yet; load the components as items",
}


class ItemRow(MasterRow):
    """Something that is sold; regular price and cost of one base unit are in minor units of the entity's currency."""

    file = "items.csv"
    key_fields = ("sku",)
    sku: Code
    name: Name
    category: Name
    base_unit: Literal["each"] = "each"
    age_limit: Annotated[int, Field(ge=1, le=99)] | None = None
    frozen: bool = False
    sold_by_weight: bool = False
    serialised: bool = False
    kit_components: Codes = ()
    cost_minor: Annotated[int, Field(ge=0, le=LARGEST_MINOR)]
    price_minor: Annotated[int, Field(ge=0, le=LARGEST_MINOR)]

    @field_validator("sold_by_weight", "serialised", "kit_components")
    @classmethod
    def _kind_is_supported(cls, value: object, info: ValidationInfo) -> object:
        # Half-handled goods would be promised and sold wrongly: they stay out, by name, until they work.
        if value:
            raise PydanticCustomError("unsupported_kind", "{why}", {"why": _UNSUPPORTED[str(info.field_name)]})
        return value


class SubstituteRow(MasterRow):
    """An item that may stand in for another; the lowest rank is offered first."""

    file = "substitutes.csv"
    key_fields = ("sku", "substitute")
    sku: Code
    substitute: Code
    rank: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _another_item(self) -> Self:
        if self.sku == self.substitute:
            raise PydanticCustomError("same_item", "an item is no substitute for itself")
        return self


ALWAYS = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


class PriceRow(MasterRow):
    """The regular price of an item at a place from an instant on, for one channel or, with an empty one, for all."""

    file = "prices.csv"
    key_fields = ("sku", "location", "channel", "effective_from")
    sku: Code
    location: Code
    channel: Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9-]{0,39})?$")] = ""
    effective_from: AwareDatetime = ALWAYS
    price_minor: Annotated[int, Field(ge=0, le=LARGEST_MINOR)]


class PersonRow(MasterRow):
    """Somebody who works with exceptions. `regions` and `locations` narrow the roles; empty means the whole entity.
    `active`: no closes every way in at once; empty leaves it as it is, and whoever is new may come in.
    """

    file = "people.csv"
    key_fields = ("id",)
    id: Code
    email: Email
    name: Name
    roles: Roles
    entity: Code | None = None
    regions: Codes = ()
    locations: Codes = ()
    aliases: Aliases = ()
    home_location: Code | None = None
    active: bool | None = None


class StockRow(MasterRow):
    """Opening stock of an item in one bucket of one location; `unit_cost_minor` is what one unit cost."""

    file = "stock.csv"
    key_fields = ("location", "sku", "bucket")
    location: Code
    sku: Code
    bucket: Bucket = "available"
    quantity: Annotated[int, Field(ge=1, le=LARGEST_QUANTITY)]
    unit_cost_minor: Annotated[int, Field(ge=0, le=LARGEST_MINOR)]


class PolicyScope(BaseModel):
    """Where a policy holds; the narrowest that matches wins. Nothing given: everywhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    entity: Code | None = None
    region: Code | None = None
    location: Code | None = None


class PolicyRow(BaseModel):
    """An override of the shipped policy. `values` is partial and checked against the policy models when loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Code
    scope: PolicyScope = PolicyScope()
    effective_from: AwareDatetime
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
    values: dict[str, Any] = Field(min_length=1)


#: In the order of loading: each file refers to the ones before it only.
FILES: tuple[type[MasterRow], ...] = (
    EntityRow,
    RegionRow,
    LocationRow,
    CalendarRow,
    ItemRow,
    SubstituteRow,
    PriceRow,
    PersonRow,
    StockRow,
)


def columns(model: type[MasterRow]) -> tuple[str, ...]:
    """The header of the model's file, in order."""
    return tuple(model.model_fields)


def required_columns(model: type[MasterRow]) -> tuple[str, ...]:
    """The columns that a header must have."""
    return tuple(name for name, field in model.model_fields.items() if field.is_required())


def unknown_columns(model: type[MasterRow], header: Iterable[str]) -> tuple[str, ...]:
    """Columns of a header that the file does not know."""
    known = set(model.model_fields)
    return tuple(name for name in header if name not in known)
