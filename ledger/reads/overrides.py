"""Reads of overrides: those of a return, the reasons that its policy knows, and who asks for how many."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.overrides import OverrideView
from domain.people import Person
from ledger import policies
from ledger.people import names
from ledger.reads.access import visible
from ledger.tables import journey, return_override


async def overrides_of(conn: AsyncConnection, journey_id: str) -> list[OverrideView]:
    """Those of a return that the viewer sees, in the order in which they were asked for."""
    table = return_override
    rows = (
        (await conn.execute(select(table).where(table.c.journey_id == journey_id).order_by(table.c.id)))
        .mappings()
        .all()
    )
    known = await names(conn, [row["asked_by"] for row in rows])
    return [
        OverrideView.model_validate({**row, "asked_by_name": known.get(row["asked_by"], row["asked_by"])})
        for row in rows
    ]


async def reasons_of(conn: AsyncConnection, journey_id: str) -> tuple[str, ...]:
    """The codes of the policy that a return keeps."""
    row = (await conn.execute(select(journey).where(journey.c.id == journey_id))).mappings().one()
    return (await policies.of_journey(conn, row)).returns.override_reasons


class Asker(NamedTuple):
    """Who asked to override what was refused: how often, what came of it, and what was agreed to, by currency."""

    name: str
    asked: int
    approved: int
    refused: int  # rejected, or nobody answered
    amount_minor: int
    currency: str


async def askers(conn: AsyncConnection, viewer: Person, start: datetime, end: datetime) -> list[Asker]:
    """Everybody who asked from `start` and before `end`, for returns that the viewer sees, most often first."""
    table = return_override.c
    state = table.state
    rows = await conn.execute(
        select(
            table.asked_by,
            journey.c.currency,
            func.count().label("asked"),
            func.count().filter(state == "approved").label("approved"),
            func.count().filter(state.in_(("rejected", "expired"))).label("refused"),
            func.coalesce(func.sum(table.amount_minor).filter(state == "approved"), 0).label("amount_minor"),
        )
        .join(journey, journey.c.id == table.journey_id)
        .where(table.recorded_at >= start, table.recorded_at < end, visible(journey.c, viewer))
        .group_by(table.asked_by, journey.c.currency)
        .order_by(func.count().desc(), table.asked_by)
        .limit(100)
    )
    found = rows.all()
    known = await names(conn, [row.asked_by for row in found])
    return [
        Asker(
            known.get(row.asked_by, row.asked_by), row.asked, row.approved, row.refused, int(row.amount_minor),
            row.currency,
        )
        for row in found
    ]  # fmt: skip
