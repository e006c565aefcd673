"""Reads of the first page: the stories worth opening, what happened today, and the refunds behind the figure."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import case_file, journey, payment_operation, person, pinned_story

# Kinds by which a customer's promise breaks or is about to; the queue filters by the same words.
BROKEN_PROMISE = ("reservation_failure", "reservation_lost", "pick_short", "pick_overdue", "capture_failed")


class Story(NamedTuple):
    """A pinned journey with the newest case on it, if there is one."""

    journey_id: str
    title: str
    story: str
    journey_state: str | None
    location: str | None
    case_id: int | None
    case_state: str | None


class Decided(NamedTuple):
    """Cases that people closed, and the median time from opening to closing."""

    cases: int
    median_s: float | None


class Refund(NamedTuple):
    operation_id: str
    journey_id: str
    location: str
    amount_minor: int
    currency: str
    reason: str
    finished_at: datetime


async def stories(conn: AsyncConnection, viewer: Person) -> list[Story]:
    """Pinned stories of journeys that the viewer may see, in their order."""
    newest = (
        select(case_file.c.id, case_file.c.state, case_file.c.journey_id)
        .where(case_file.c.journey_id == pinned_story.c.journey_id)
        .order_by(case_file.c.id.desc())
        .limit(1)
        .lateral("newest")
    )
    rows = await conn.execute(
        select(
            pinned_story.c.journey_id,
            pinned_story.c.title,
            pinned_story.c.story,
            journey.c.state,
            journey.c.location,
            newest.c.id,
            newest.c.state.label("case_state"),
        )
        .join(journey, journey.c.id == pinned_story.c.journey_id)
        .join(newest, newest.c.journey_id == pinned_story.c.journey_id, isouter=True)
        .where(visible(journey.c, viewer))
        .order_by(pinned_story.c.rank)
    )
    return [Story(*row) for row in rows]


async def decided_by_people(conn: AsyncConnection, viewer: Person, since: datetime) -> Decided:
    """Cases resolved since then by a person, not by Endcap itself."""
    taken = func.extract("epoch", case_file.c.closed_at - case_file.c.opened_at)
    row = (
        await conn.execute(
            select(func.count(), func.percentile_cont(0.5).within_group(taken)).where(
                case_file.c.state == "resolved",
                case_file.c.closed_at >= since,
                exists().where(person.c.id == case_file.c.resolved_by),
                visible(case_file.c, viewer),
            )
        )
    ).one()
    return Decided(int(row[0]), None if row[1] is None else float(row[1]))


async def refunds(conn: AsyncConnection, viewer: Person, since: datetime) -> list[Refund]:
    """Refunds that the provider has confirmed since then, newest first."""
    operation = payment_operation.c
    rows = await conn.execute(
        select(
            operation.id,
            operation.journey_id,
            journey.c.location,
            operation.amount_minor,
            operation.currency,
            operation.reason,
            operation.finished_at,
        )
        .join(journey, journey.c.id == operation.journey_id)
        .where(
            operation.kind == "refund",
            operation.state == "succeeded",
            operation.finished_at >= since,
            visible(journey.c, viewer),
        )
        .order_by(operation.finished_at.desc(), operation.id)
        .limit(500)
    )
    return [Refund(*row) for row in rows]
