"""Promotions as systems define them, change them and are answered."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from domain.orders import PLAIN, Body, Code, Instant, Minor, Name
from domain.promotion import Offer

Channel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PLAIN)]
Units = Annotated[int, Field(strict=True, gt=0, le=100_000_000)]
Floor = Annotated[int, Field(strict=True, ge=-1000, le=1000)]
Stacking = Literal["exclusive", "stack", "best"]


class PromotedLine(Body):
    """An item, or a whole category, with the units that are expected to be sold at all its places together."""

    sku: Code | None = None
    category: Title | None = None
    forecast_units: Units

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.sku is None) == (self.category is None):
            raise ValueError("name a sku or a category, one of both")
        return self

    @property
    def meant(self) -> str:
        return f"SKU {self.sku}" if self.sku is not None else f"category {self.category}"


Lines = Annotated[tuple[PromotedLine, ...], Field(min_length=1, max_length=5000)]
Channels = Annotated[tuple[Channel, ...], Field(min_length=1, max_length=20)]
Locations = Annotated[tuple[Code, ...], Field(min_length=1, max_length=5000)] | Literal["all"]


def _told_apart(lines: tuple[PromotedLine, ...], channels: tuple[str, ...], locations: tuple[str, ...] | str) -> None:
    meant = [line.meant for line in lines]
    for named, what in ((meant, "two lines"), (channels, "two channels"), (locations, "two locations")):
        twice = sorted({one for one in named if named.count(one) > 1}) if isinstance(named, (list, tuple)) else []
        if twice:
            raise ValueError(f"{what} are the same: {twice[0]}; name each once")


class Definition(Body):
    """What a promotion is: which items, how much less, where and when.

    `locations: "all"` are the stores and hubs of its `entity`, which may be left out where the places say it.
    """

    name: Title
    offer: Offer
    lines: Lines
    channels: Channels
    locations: Locations
    entity: Code | None = None
    starts_at: Instant
    ends_at: Instant
    stacking: Stacking = "exclusive"
    margin_floor_permille: Floor | None = None  # policy's, when left out
    agreement_id: Code | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _told_apart(self.lines, self.channels, self.locations)
        if self.ends_at <= self.starts_at:
            raise ValueError("it ends before it starts; choose a later ends_at")
        return self


class NewPromotion(Definition):
    """`submit: false` keeps it as a draft. `requested_by` is a person's id or alias, who approves nothing of it."""

    promotion_id: Code
    requested_by: Code | None = None
    submit: bool = True


class ChangedPromotion(Definition):
    """Another definition for one that nobody has agreed to yet."""

    submit: bool = True


class CancelPromotion(Body):
    reason: Name = "called_off"


class EndPromotion(Body):
    """Ends it now, or at an instant before its end."""

    at: Instant | None = None
    reason: Name = "ended_early"


class ExtendPromotion(Body):
    ends_at: Instant
    reason: Name = ""


class RegularPrice(Body):
    """Of an item at a place from an instant on, for one channel or, without one, for all."""

    sku: Code
    location: Code
    channel: Channel | None = None
    effective_from: Instant
    price_minor: Minor


class RegularPrices(Body):
    prices: Annotated[tuple[RegularPrice, ...], Field(min_length=1, max_length=5000)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        keys = [(one.sku, one.location, one.channel, one.effective_from) for one in self.prices]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"SKU {twice[0]} at {twice[1]} has two prices from the same instant on; send one")
        return self


class KeptPrices(BaseModel):
    """How many were new or different; the rest was there already."""

    written: int
    unchanged: int


class WantedPrice(BaseModel):
    """What a channel is to show. `deal` is "2+1" for buy two, get one free; "" for none."""

    channel: str
    location: str
    sku: str
    at: datetime
    regular_minor: int
    price_minor: int
    deal: str
    currency: str


class PromotionAnswer(BaseModel):
    """A promotion as it was recorded. `approval_id`: who must agree has been asked."""

    journey_id: str
    promotion_id: str
    state: str
    items: int
    places: int  # channels × locations
    margin_permille: int | None
    discount_minor: int
    currency: str
    approval_id: int | None
    links: dict[str, str]


class PublicationView(BaseModel):
    """How far a channel shows the prices: all of them, those that are right, given up, and not right yet.

    `run` is how often the whole channel was gone through.
    """

    phase: str
    channel: str
    prices: int
    right: int
    waived: int
    pending: int
    run: int
    error: str
    next_run_at: datetime | None
    done_at: datetime | None
    case_id: int | None


class PromotedLineView(BaseModel):
    sku: str | None
    category: str | None
    forecast_units: int


class PlaceView(BaseModel):
    channel: str
    location: str


class PromotionView(BaseModel):
    """A promotion as it is recorded. Prices and amounts in minor units of `currency`."""

    journey_id: str
    promotion_id: str
    source: str
    name: str
    state: str
    entity: str
    offer: Offer
    stacking: str
    starts_at: datetime
    ends_at: datetime
    agreement_id: str | None
    margin_floor_permille: int
    margin_permille: int | None
    discount_minor: int
    currency: str
    opened_at: datetime
    approved_at: datetime | None
    reverted_at: datetime | None
    closed_at: datetime | None
    approval_id: int | None
    lines: list[PromotedLineView]
    items: int
    places: list[PlaceView]
    publications: list[PublicationView]
    dues: dict[str, datetime]
