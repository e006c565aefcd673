"""Reads master data that intake and steps need: places with their hours, items, average costs, and the policy in
force.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, DateTime, Select, Text, any_, bindparam, column, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import closures
from domain.calendars import ALWAYS_OPEN, OpeningHours
from domain.closures import Period
from domain.errors import UnknownLocation, UnknownSku
from domain.policy import Policy, merge
from ledger.prepared import Ask, Prepared, Record
from ledger.tables import (
    closed_day,
    item,
    item_stop,
    location,
    opening_hours,
    policy_document,
)

CLOCKS_LOOK_BACK = timedelta(days=90)  # no clock that runs began before that


class Place(NamedTuple):
    """A location with what rules need to know of it."""

    code: str
    name: str
    kind: str
    region: str
    entity: str
    currency: str
    pickup: bool
    status: str
    latitude: float | None
    longitude: float | None
    hours: OpeningHours
    periods: tuple[Period, ...] = ()  # in which it is closed, or hands out no pickups

    @property
    def staff_hours(self) -> OpeningHours:
        """When goods are picked and put away there."""
        return closures.staff_hours(self.hours, self.periods)

    @property
    def pickup_hours(self) -> OpeningHours:
        """When customers can collect there."""
        return closures.pickup_hours(self.hours, self.periods)


class Scope(NamedTuple):
    """As much of a place as decides which policy documents speak of it."""

    code: str
    region: str
    entity: str


def unknown_location(code: str, pointer: str | None) -> UnknownLocation:
    """The refusal of a location that is not in the master data."""
    return UnknownLocation(
        f"Location {code} is not in the master data. Correct the code, or have it loaded first.", pointer=pointer
    )


def unknown_skus(skus: Sequence[str], pointer: str) -> UnknownSku:
    """The refusal of items that are not in the master data; `pointer` leads to the first of them."""
    named = ", ".join(skus[:5]) + (" …" if len(skus) > 5 else "")
    return UnknownSku(
        f"SKU {named} is not in the master data. Correct the line, or have it loaded first.", pointer=pointer
    )


# One statement for all that is said of a place: most of what locks an order asks for it.
_SAID = """
    SELECT l.code, l.name, l.kind, l.region, l.entity, e.currency, l.pickup, l.status, l.latitude, l.longitude,
        l.time_zone,
        ARRAY(SELECT ROW(weekday, opens, closes) FROM opening_hours WHERE location = l.code ORDER BY weekday) AS hours,
        ARRAY(SELECT ROW(c.day) FROM closed_day c WHERE c.location = l.code) AS closed,
        ARRAY(
            SELECT ROW(p.status, p.starts_at, p.ends_at, p.reason) FROM location_status p
            WHERE p.location = l.code AND (p.ends_at IS NULL OR p.ends_at > now() - CAST(:look_back AS interval))
            ORDER BY p.starts_at, p.id
        ) AS periods
    FROM location l
    JOIN entity e ON e.code = l.entity
"""
_PLAIN = ("code", "name", "kind", "region", "entity", "currency", "pickup", "status", "latitude", "longitude")
_COLUMNS: list[ColumnElement[Any]] = [column(name) for name in (*_PLAIN, "time_zone", "hours", "closed", "periods")]
_PLACE = Prepared(text(_SAID + " WHERE l.code = :code").columns(*_COLUMNS), once=True)
_PLACES = Prepared(text(_SAID + " WHERE l.code = ANY(CAST(:codes AS text[]))"))


def place_asked(code: str) -> Ask:
    """What `place` asks."""
    return _PLACE.of(code=code, look_back=CLOCKS_LOOK_BACK)


async def place(conn: AsyncConnection, code: str, *, pointer: str | None = None) -> Place:
    """A location by its code, with its hours and what was said of it. Raises `UnknownLocation`."""
    row = await place_asked(code).row(conn)
    if row is None:
        raise unknown_location(code, pointer)
    return _placed(row)


async def places(conn: AsyncConnection, codes: Iterable[str]) -> dict[str, Place]:
    """The same of many at once, by code; one that is not in the master data is missing from the answer."""
    rows = await _PLACES.rows(conn, codes=sorted(set(codes)), look_back=CLOCKS_LOOK_BACK)
    return {row["code"]: _placed(row) for row in rows}


def _placed(row: Record) -> Place:
    weekdays = {day: (opens, closes) for day, opens, closes in row["hours"]}
    closed_days = frozenset(day for (day,) in row["closed"])
    calendar = OpeningHours(row["time_zone"], weekdays or ALWAYS_OPEN.weekdays, closed_days)
    plain = {name: row[name] for name in _PLAIN}
    return Place(**plain, hours=calendar, periods=tuple(Period(*period) for period in row["periods"]))


def calendars_asked(codes: Select[Any]) -> dict[str, Select[Any]]:
    """The lists out of which `calendars` makes those of some locations, which `codes` selects; rows as tuples."""
    hours = (opening_hours.c[name] for name in ("location", "weekday", "opens", "closes"))
    return {
        "hours": select(*hours).where(opening_hours.c.location.in_(codes)),
        "closed": select(closed_day.c.location, closed_day.c.day).where(closed_day.c.location.in_(codes)),
    }


def calendars(said: Mapping[str, Sequence[tuple[Any, ...]]], zones: Mapping[str, str]) -> dict[str, OpeningHours]:
    """The calendars of locations, given the time zone of each; one without opening hours never closes."""
    weekdays: dict[str, dict[int, tuple[time, time]]] = {}
    for code, weekday, opens, closes in said["hours"]:
        weekdays.setdefault(code, {})[weekday] = opens, closes
    closed: dict[str, set[date]] = {}
    for code, day in said["closed"]:
        closed.setdefault(code, set()).add(day)
    return {
        code: OpeningHours(zone, weekdays.get(code) or ALWAYS_OPEN.weekdays, frozenset(closed.get(code, ())))
        for code, zone in zones.items()
    }


async def entities_of(conn: AsyncConnection, codes: Iterable[str]) -> dict[str, str]:
    """The entity of each location."""
    rows = await conn.execute(select(location.c.code, location.c.entity).where(location.c.code.in_(sorted(set(codes)))))
    return {row.code: row.entity for row in rows}


async def time_zone(conn: AsyncConnection, code: str) -> str:
    """The zone of a location, in which people there read the clock; UTC for one that is not known."""
    found = await conn.execute(select(location.c.time_zone).where(location.c.code == code))
    return str(found.scalar_one_or_none() or "UTC")


_ITEMS = Prepared(select(item).where(item.c.sku == any_(bindparam("skus", type_=ARRAY(Text)))), once=True)


def items_asked(skus: Iterable[str]) -> Ask:
    """What `items` asks."""
    return _ITEMS.of(skus=sorted(set(skus)))


async def items(conn: AsyncConnection, skus: Iterable[str]) -> dict[str, Record]:
    """Items by SKU; those that are not in the master data are missing from the answer."""
    wanted = set(skus)
    return {row["sku"]: row for row in await items_asked(wanted).rows(conn)} if wanted else {}


async def stopped_at(conn: AsyncConnection, skus: Iterable[str]) -> set[tuple[str, str]]:
    """(SKU, location) at which single items must not be sold; what is stopped everywhere is not among them."""
    rows = await conn.execute(
        select(item_stop.c.sku, item_stop.c.location).where(item_stop.c.sku.in_(sorted(set(skus))))
    )
    return {(row.sku, row.location) for row in rows}


async def known_items(conn: AsyncConnection, skus: Iterable[str], *, pointer: str = "/lines") -> dict[str, Record]:
    """Items by SKU. Raises `UnknownSku`, naming every one that is not in the master data."""
    wanted = list(dict.fromkeys(skus))
    found = await items(conn, wanted)
    unknown = [sku for sku in wanted if sku not in found]
    if unknown:
        raise unknown_skus(unknown, f"{pointer}/{wanted.index(unknown[0])}/sku")
    return found


async def policy_at(conn: AsyncConnection, where: Place, at: datetime | None) -> Policy:
    """The policy in force at a place, least specific documents first; None is now, by the database's clock."""
    return (await policies_at(conn, [where], at))[where.code]


_SCOPE = ("entity", "region", "location")
_AT = func.coalesce(bindparam("at", type_=DateTime(timezone=True)), func.now())
_POLICIES = Prepared(
    select(policy_document)
    .where(
        *(policy_document.c[name] == any_(bindparam(name, type_=ARRAY(Text))) for name in _SCOPE),
        policy_document.c.effective_from <= _AT,
        or_(policy_document.c.effective_until.is_(None), policy_document.c.effective_until > _AT),
    )
    .order_by(
        policy_document.c.location != "",
        policy_document.c.region != "",
        policy_document.c.entity != "",
        policy_document.c.effective_from,
        policy_document.c.id,
    ),
    once=True,
)


def policies_asked(wheres: Collection[Place | Scope], at: datetime | None = None) -> Ask:
    """What `policies_at` asks."""
    return _POLICIES.of(
        entity=sorted({"", *(one.entity for one in wheres)}),
        region=sorted({"", *(one.region for one in wheres)}),
        location=sorted({"", *(one.code for one in wheres)}),
        at=at,
    )


async def policies_at(
    conn: AsyncConnection, wheres: Collection[Place | Scope], at: datetime | None = None
) -> dict[str, Policy]:
    """The policies in force at places, by code; None is now. Places of which the same documents speak share one."""
    documents = await policies_asked(wheres, at).rows(conn)
    merged: dict[tuple[int, ...], Policy] = {}
    found = {}
    for one in wheres:
        fits = [
            row
            for row in documents
            if row["entity"] in ("", one.entity)
            and row["region"] in ("", one.region)
            and row["location"] in ("", one.code)
        ]
        key = tuple(row["id"] for row in fits)
        if key not in merged:
            merged[key] = merge([(row["version"], row["body"]) for row in fits])
        found[one.code] = merged[key]
    return found


_COSTS = text(
    "SELECT i.sku, coalesce(a.unit_cost_e4, i.cost_minor * 10000) AS unit_cost_e4 FROM item i"
    " LEFT JOIN average_cost a ON a.sku = i.sku AND a.entity = :entity WHERE i.sku = ANY(CAST(:skus AS text[]))"
)


async def unit_costs(conn: AsyncConnection, entity_code: str, skus: Iterable[str]) -> dict[str, int]:
    """Moving-average unit costs in 1/10,000 minor units; the item's standard cost before its first receipt."""
    rows = await conn.execute(_COSTS, {"entity": entity_code, "skus": sorted(set(skus))})
    return {row.sku: row.unit_cost_e4 for row in rows}


def cost_of(unit_cost_e4: int, quantity: int) -> int:
    """The cost of a quantity in minor units, rounded half up once per line."""
    return (unit_cost_e4 * quantity + 5_000) // 10_000
