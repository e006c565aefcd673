"""Reads master data that intake and steps need: places with their hours, items, average costs, and the policy in
force.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import RowMapping, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import closures
from domain.calendars import ALWAYS_OPEN, OpeningHours
from domain.closures import Period
from domain.errors import UnknownLocation, UnknownSku
from domain.policy import Policy, merge
from ledger.tables import (
    closed_day,
    entity,
    item,
    item_stop,
    location,
    location_status,
    opening_hours,
    policy_document,
    region,
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


def unknown_location(code: str, pointer: str | None) -> UnknownLocation:
    """The refusal of a location that is not in the master data."""
    return UnknownLocation(
        f"Location {code} is not in the master data; load it with `endcap load`, or correct the code.", pointer=pointer
    )


def unknown_skus(skus: Sequence[str], pointer: str) -> UnknownSku:
    """The refusal of items that are not in the master data; `pointer` leads to the first of them."""
    named = ", ".join(skus[:5]) + (" …" if len(skus) > 5 else "")
    return UnknownSku(
        f"SKU {named} is not in the master data; load it with `endcap load`, or correct the line.", pointer=pointer
    )


async def place(conn: AsyncConnection, code: str, *, pointer: str | None = None) -> Place:
    """A location by its code. Raises `UnknownLocation`."""
    row = (
        (
            await conn.execute(
                select(location, entity.c.currency)
                .join(region, region.c.code == location.c.region)
                .join(entity, entity.c.code == location.c.entity)
                .where(location.c.code == code)
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        raise unknown_location(code, pointer)
    hours = await hours_of(conn, {code: row["time_zone"]})
    return Place(
        code=code,
        name=row["name"],
        kind=row["kind"],
        region=row["region"],
        entity=row["entity"],
        currency=row["currency"],
        pickup=row["pickup"],
        status=row["status"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        hours=hours[code],
        periods=await periods_of(conn, code),
    )


async def hours_of(conn: AsyncConnection, zones: Mapping[str, str]) -> dict[str, OpeningHours]:
    """The calendars of locations, given the time zone of each; one without opening hours never closes."""
    wanted = sorted(zones)
    weekdays: dict[str, dict[int, tuple[time, time]]] = {}
    for row in await conn.execute(select(opening_hours).where(opening_hours.c.location.in_(wanted))):
        weekdays.setdefault(row.location, {})[row.weekday] = (row.opens, row.closes)
    closed: dict[str, set[date]] = {}
    for row in await conn.execute(select(closed_day).where(closed_day.c.location.in_(wanted))):
        closed.setdefault(row.location, set()).add(row.day)
    return {
        code: OpeningHours(zone, weekdays.get(code) or ALWAYS_OPEN.weekdays, frozenset(closed.get(code, ())))
        for code, zone in zones.items()
    }


async def periods_of(conn: AsyncConnection, code: str) -> tuple[Period, ...]:
    """What was said of a place beside its hours, in the order of time."""
    rows = await conn.execute(
        select(
            location_status.c.status, location_status.c.starts_at, location_status.c.ends_at, location_status.c.reason
        )
        .where(
            location_status.c.location == code,
            or_(location_status.c.ends_at.is_(None), location_status.c.ends_at > func.now() - CLOCKS_LOOK_BACK),
        )
        .order_by(location_status.c.starts_at)
    )
    return tuple(Period(*row) for row in rows)


async def entities_of(conn: AsyncConnection, codes: Iterable[str]) -> dict[str, str]:
    """The entity of each location."""
    rows = await conn.execute(select(location.c.code, location.c.entity).where(location.c.code.in_(sorted(set(codes)))))
    return {row.code: row.entity for row in rows}


async def time_zone(conn: AsyncConnection, code: str) -> str:
    """The zone of a location, in which people there read the clock; UTC for one that is not known."""
    found = await conn.execute(select(location.c.time_zone).where(location.c.code == code))
    return str(found.scalar_one_or_none() or "UTC")


async def items(conn: AsyncConnection, skus: Iterable[str]) -> dict[str, RowMapping]:
    """Items by SKU; those that are not in the master data are missing from the answer."""
    wanted = sorted(set(skus))
    rows = await conn.execute(select(item).where(item.c.sku.in_(wanted)))
    return {row["sku"]: row for row in rows.mappings()}


async def stopped_at(conn: AsyncConnection, skus: Iterable[str]) -> set[tuple[str, str]]:
    """(SKU, location) at which single items must not be sold; what is stopped everywhere is not among them."""
    rows = await conn.execute(
        select(item_stop.c.sku, item_stop.c.location).where(item_stop.c.sku.in_(sorted(set(skus))))
    )
    return {(row.sku, row.location) for row in rows}


async def known_items(conn: AsyncConnection, skus: Iterable[str], *, pointer: str = "/lines") -> dict[str, RowMapping]:
    """Items by SKU. Raises `UnknownSku`, naming every one that is not in the master data."""
    wanted = list(dict.fromkeys(skus))
    found = await items(conn, wanted)
    unknown = [sku for sku in wanted if sku not in found]
    if unknown:
        raise unknown_skus(unknown, f"{pointer}/{wanted.index(unknown[0])}/sku")
    return found


async def policy_at(conn: AsyncConnection, where: Place, at: datetime) -> Policy:
    """The policy in force at a place, least specific documents first."""
    rows = await conn.execute(
        select(policy_document)
        .where(
            policy_document.c.entity.in_(("", where.entity)),
            policy_document.c.region.in_(("", where.region)),
            policy_document.c.location.in_(("", where.code)),
            policy_document.c.effective_from <= at,
            or_(policy_document.c.effective_until.is_(None), policy_document.c.effective_until > at),
        )
        .order_by(
            policy_document.c.location != "",
            policy_document.c.region != "",
            policy_document.c.entity != "",
            policy_document.c.effective_from,
            policy_document.c.id,
        )
    )
    return merge([(row["version"], row["body"]) for row in rows.mappings()])


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
