"""Reads of the first page: what is open by kind and place, whose time runs out, what keeps coming back, what today's
answers have kept and paid back, what was decided last.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.reads.endings import ended
from ledger.tables import case_decision, case_file, journey, payment_operation, person

AGES = (timedelta(hours=4), timedelta(days=1), timedelta(days=3))


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
    """Open cases of one kind at one place. `bands` counts them by age: below the first of `AGES`, between each two,
    above the last. Value in minor units.
    """

    kind: str
    entity: str
    location: str
    currency: str
    cases: int
    bands: tuple[int, ...]
    value_minor: int
    oldest_at: datetime


class Recurring(NamedTuple):
    """A SKU at a place, or a place: how many cases it has had, how often something was reported, how many are open."""

    sku: str
    location: str
    cases: int
    times: int
    open: int


class Kept(NamedTuple):
    """Cases whose customer got what was bought, and what was at risk by currency, in minor units."""

    cases: int
    value: list[tuple[str, int]]


class Decided(NamedTuple):
    """A decision on a case, with who took it."""

    case_id: int
    kind: str
    location: str
    option: str
    state: str
    by: str
    at: datetime


async def open_cases(conn: AsyncConnection, viewer: Person, now: datetime) -> list[Open]:
    """Open cases that the viewer may see, by kind and place."""
    table = case_file.c
    edges = [now - age for age in AGES]
    bands = [
        func.count().filter(table.opened_at >= edges[0]),
        *(func.count().filter(table.opened_at >= old, table.opened_at < young) for young, old in pairwise(edges)),
        func.count().filter(table.opened_at < edges[-1]),
    ]
    keys = (table.kind, table.entity, table.location, table.currency)
    rows = await conn.execute(
        select(*keys, func.count(), *bands, func.sum(table.value_at_risk_minor), func.min(table.opened_at))
        .where(table.closed_at.is_(None), visible(table, viewer))
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
    )
    past = 5 + len(bands)
    return [
        Open(row[0], row[1], row[2], row[3], row[4], tuple(row[5:past]), int(row[past]), row[past + 1]) for row in rows
    ]


async def due_between(conn: AsyncConnection, viewer: Person, edges: Sequence[datetime]) -> list[int]:
    """Open cases whose next clock runs out before the first edge, and between each two of them."""
    due = case_file.c.next_due_at
    counts = [func.count().filter(due < edges[0])]
    counts += [func.count().filter(and_(due >= start, due < end)) for start, end in pairwise(edges)]
    query = select(*counts).where(case_file.c.closed_at.is_(None), due < edges[-1], visible(case_file.c, viewer))
    return [int(count) for count in (await conn.execute(query)).one()]


async def recurring(conn: AsyncConnection, viewer: Person, since: datetime, *, limit: int = 5) -> list[Recurring]:
    """SKUs at a place that came up at least twice since then, most often first."""
    table = case_file.c
    times = func.sum(table.repeat_count + 1)
    rows = await conn.execute(
        select(table.sku, table.location, func.count(), times, func.count().filter(table.closed_at.is_(None)))
        .where(table.sku != "", table.opened_at >= since, visible(table, viewer))
        .group_by(table.sku, table.location)
        .having(times > 1)
        .order_by(times.desc(), table.location, table.sku)
        .limit(limit)
    )
    return [Recurring(*row) for row in rows]


async def troubled(conn: AsyncConnection, viewer: Person, since: datetime, *, limit: int = 5) -> list[Recurring]:
    """Places with most cases since then."""
    table = case_file.c
    rows = await conn.execute(
        select(
            table.location,
            func.count(),
            func.sum(table.repeat_count + 1),
            func.count().filter(table.closed_at.is_(None)),
        )
        .where(table.opened_at >= since, visible(table, viewer))
        .group_by(table.location)
        .order_by(func.count().desc(), table.location)
        .limit(limit)
    )
    return [Recurring("", *row) for row in rows]


async def kept(conn: AsyncConnection, viewer: Person, since: datetime) -> Kept:
    """Cases closed since then whose customer got what was bought."""
    table = case_file.c
    rows = await conn.execute(
        select(table.currency, func.count(), func.sum(table.value_at_risk_minor))
        .where(table.closed_at >= since, ended("kept"), visible(table, viewer))
        .group_by(table.currency)
        .order_by(table.currency)
    )
    found = rows.all()
    return Kept(sum(row[1] for row in found), [(row[0], int(row[2])) for row in found])


async def refunded(conn: AsyncConnection, viewer: Person, since: datetime) -> list[tuple[str, int, int]]:
    """Refunds that the provider has confirmed since then: (currency, how many, minor units)."""
    operation = payment_operation.c
    rows = await conn.execute(
        select(operation.currency, func.count(), func.sum(operation.amount_minor))
        .join(journey, journey.c.id == operation.journey_id)
        .where(
            operation.kind == "refund",
            operation.state == "succeeded",
            operation.finished_at >= since,
            visible(journey.c, viewer),
        )
        .group_by(operation.currency)
        .order_by(operation.currency)
    )
    return [(row[0], row[1], int(row[2])) for row in rows]


async def decided_last(conn: AsyncConnection, viewer: Person, *, limit: int = 10) -> list[Decided]:
    """The newest decisions on cases that the viewer may see."""
    decision = case_decision.c
    rows = await conn.execute(
        select(
            case_file.c.id,
            case_file.c.kind,
            case_file.c.location,
            func.coalesce(decision.option["label"].astext, decision.option_id),
            decision.state,
            func.coalesce(person.c.name, decision.decided_by),
            decision.at,
        )
        .join(case_file, case_file.c.id == decision.case_id)
        .join(person, person.c.id == decision.decided_by, isouter=True)
        .where(visible(case_file.c, viewer))
        .order_by(decision.id.desc())
        .limit(limit)
    )
    return [Decided(*row) for row in rows]


def by_kind(found: list[Open]) -> dict[str, list[Open]]:
    """The same by kind, in the order in which the kinds come."""
    kinds: dict[str, list[Open]] = defaultdict(list)
    for one in found:
        kinds[one.kind].append(one)
    return dict(kinds)
