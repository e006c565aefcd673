"""Reads of the first page: what is open by kind and place, what keeps coming back, what today's answers have kept."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import case_file

AGES = (timedelta(hours=4), timedelta(days=1), timedelta(days=3))
# Ways out by which the customer does not get what was bought: what they were worth was not kept.
GIVEN_UP = ("cancel_refund", "part", "abandon", "accept_loss")


class Watch(NamedTuple):
    """One of the lists that a retailer looks at every morning, and the kinds of cases it is made of."""

    title: str
    kinds: tuple[str, ...]


WATCHED = (
    Watch("Reservation failures", ("reservation_failure", "reservation_lost", "pick_short")),
    Watch("Negative inventory", ("negative_inventory",)),
    Watch("Delayed receipts", ("receipt_overdue", "shipment_overdue")),
    Watch("Count variances", ("count_variance",)),
    Watch("Synchronisation gaps", ("sync_gap", "event_rejected", "event_parked")),
)


class Open(NamedTuple):
    """Open cases of one kind at one place. `older` counts those older than each of `AGES`; value in minor units."""

    kind: str
    entity: str
    location: str
    currency: str
    cases: int
    older: tuple[int, ...]
    value_minor: int
    oldest_at: datetime


class Recurring(NamedTuple):
    """A SKU at a place, or a place, with how many cases it has had and how many are open."""

    sku: str
    location: str
    cases: int
    open: int


async def open_cases(conn: AsyncConnection, viewer: Person, now: datetime) -> list[Open]:
    """Open cases that the viewer may see, by kind and place."""
    table = case_file.c
    older = [func.count().filter(table.opened_at < now - age) for age in AGES]
    keys = (table.kind, table.entity, table.location, table.currency)
    rows = await conn.execute(
        select(*keys, func.count(), *older, func.sum(table.value_at_risk_minor), func.min(table.opened_at))
        .where(table.closed_at.is_(None), visible(table, viewer))
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
    )
    past = len(AGES)
    return [
        Open(row[0], row[1], row[2], row[3], row[4], tuple(row[5 : 5 + past]), int(row[5 + past]), row[6 + past])
        for row in rows
    ]


async def recurring(conn: AsyncConnection, viewer: Person, since: datetime, *, limit: int = 5) -> list[Recurring]:
    """SKUs at a place that came up at least twice since then, most often first."""
    table = case_file.c
    seen = func.sum(table.repeat_count + 1)
    rows = await conn.execute(
        select(table.sku, table.location, seen, func.count().filter(table.closed_at.is_(None)))
        .where(table.sku != "", table.opened_at >= since, visible(table, viewer))
        .group_by(table.sku, table.location)
        .having(seen > 1)
        .order_by(seen.desc(), table.location, table.sku)
        .limit(limit)
    )
    return [Recurring(*row) for row in rows]


async def troubled(conn: AsyncConnection, viewer: Person, since: datetime, *, limit: int = 5) -> list[Recurring]:
    """Places with most cases since then."""
    table = case_file.c
    rows = await conn.execute(
        select(table.location, func.count(), func.count().filter(table.closed_at.is_(None)))
        .where(table.opened_at >= since, visible(table, viewer))
        .group_by(table.location)
        .order_by(func.count().desc(), table.location)
        .limit(limit)
    )
    return [Recurring("", *row) for row in rows]


async def kept(conn: AsyncConnection, viewer: Person, since: datetime) -> list[tuple[str, int]]:
    """What was at risk in cases closed since then whose customer got what was bought: (currency, minor units)."""
    table = case_file.c
    rows = await conn.execute(
        select(table.currency, func.sum(table.value_at_risk_minor))
        .where(
            table.closed_at >= since,
            table.value_at_risk_minor > 0,
            table.resolution.not_in((*GIVEN_UP, "duplicate")),
            visible(table, viewer),
        )
        .group_by(table.currency)
        .order_by(table.currency)
    )
    return [(row[0], int(row[1])) for row in rows]


def by_kind(found: list[Open]) -> dict[str, list[Open]]:
    """The same by kind, in the order in which the kinds come."""
    kinds: dict[str, list[Open]] = defaultdict(list)
    for one in found:
        kinds[one.kind].append(one)
    return dict(kinds)
