"""How often each code was given: root causes of closed cases, reasons of adjustments, returns, counts and transfers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import (
    adjustment,
    adjustment_line,
    approval,
    case_file,
    journey,
    return_line,
    return_override,
    transfer,
)


class Caused(NamedTuple):
    """Cases of one kind that were closed because of a root cause, with what was at stake, in minor units."""

    root_cause: str
    kind: str
    currency: str
    cases: int
    value_minor: int


class Given(NamedTuple):
    """A reason and how many documents, or lines of documents, it was given for."""

    code: str
    times: int


async def caused(conn: AsyncConnection, viewer: Person, since: datetime, until: datetime) -> list[Caused]:
    """Root causes of cases that were closed from `since` and before `until`, most cases first."""
    table = case_file.c
    keys = (table.root_cause, table.kind, table.currency)
    rows = await conn.execute(
        select(*keys, func.count(), func.sum(table.value_at_risk_minor))
        .where(
            table.root_cause.is_not(None),
            table.closed_at >= since,
            table.closed_at < until,
            visible(table, viewer),
        )
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
    )
    return [Caused(row[0], row[1], row[2], row[3], int(row[4])) for row in rows]


async def given(conn: AsyncConnection, viewer: Person, since: datetime) -> dict[str, list[Given]]:
    """How often each reason was given since then, by kind of document; reasons that nobody gave are left out."""
    asked = adjustment_line.join(adjustment, adjustment.c.id == adjustment_line.c.adjustment_id)
    back = return_line.join(journey, journey.c.id == return_line.c.journey_id)
    moved = transfer.join(journey, journey.c.id == transfer.c.journey_id)
    overridden = return_override.join(journey, journey.c.id == return_override.c.journey_id)
    of_counts = journey.c.detail["reason"].astext
    queries: dict[str, Select[str, int]] = {
        "adjustment": _times(adjustment_line.c.reason)
        .select_from(asked)
        .where(adjustment.c.at >= since, visible(adjustment.c, viewer)),
        "returns": _times(return_line.c.reason).select_from(back).where(*_begun("returns", viewer, since)),
        "return_override": _times(return_override.c.reason)
        .select_from(overridden)
        .where(return_override.c.recorded_at >= since, visible(journey.c, viewer)),
        "count": _times(of_counts).where(*_begun("count", viewer, since)),
        "transfer": _times(transfer.c.reason).select_from(moved).where(*_begun("transfer", viewer, since)),
    }
    return {name: [Given(code, times) for code, times in await conn.execute(query)] for name, query in queries.items()}


def _times(code: ColumnElement[str]) -> Select[str, int]:
    return select(code, func.count()).group_by(code).order_by(func.count().desc(), code)


def _begun(kind: str, viewer: Person, since: datetime) -> tuple[ColumnElement[bool], ...]:
    return journey.c.kind == kind, journey.c.opened_at >= since, visible(journey.c, viewer)


async def why_of_items(
    conn: AsyncConnection, viewer: Person, since: datetime, items: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], list[Given]]:
    """The root causes of the cases of items at places, (SKU, location), that were opened since then."""
    table = case_file.c
    wanted = tuple_(table.sku, table.location).in_(sorted(set(items)))
    found: dict[tuple[str, str], list[Given]] = {}
    for sku, place, cause, times in await conn.execute(_why(viewer, since, table.sku, table.location).where(wanted)):
        found.setdefault((sku, place), []).append(Given(cause, times))
    return found


async def why_of_places(
    conn: AsyncConnection, viewer: Person, since: datetime, places: Iterable[str]
) -> dict[str, list[Given]]:
    """The same of places."""
    table = case_file.c
    found: dict[str, list[Given]] = {}
    query = _why(viewer, since, table.location).where(table.location.in_(sorted(set(places))))
    for place, cause, times in await conn.execute(query):
        found.setdefault(place, []).append(Given(cause, times))
    return found


class Asked(NamedTuple):
    """A change of codes that waits for somebody's word."""

    approval_id: int
    subject: str
    at: datetime


async def changes_asked_for(conn: AsyncConnection, viewer: Person) -> list[Asked]:
    """Those of the places that the viewer sees, the oldest first."""
    columns = (approval.c.id, approval.c.subject, approval.c.opened_at)
    rows = await conn.execute(
        select(*columns)
        .where(approval.c.kind == "policy_change", approval.c.state == "pending", visible(approval.c, viewer))
        .order_by(approval.c.id)
        .limit(50)
    )
    return [Asked(*row) for row in rows]


def _why(viewer: Person, since: datetime, *keys: ColumnElement[str]) -> Select[*tuple[Any, ...]]:
    cause = case_file.c.root_cause
    return (
        select(*keys, cause, func.count())
        .where(cause.is_not(None), case_file.c.opened_at >= since, visible(case_file.c, viewer))
        .group_by(*keys, cause)
        .order_by(func.count().desc(), cause)
    )
