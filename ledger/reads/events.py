"""Reads of events that were set aside: what came, what is wrong with it, and the case that it belongs to.

What an event says is not shown: it may hold personal data, and is opened only to be taken again.
"""

from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import case_file, event_inbox


class SetAside(BaseModel):
    """A quarantined event. `may_replay` says whether the viewer may decide at the place of its case."""

    source: str
    event_id: str
    type: str
    occurred_at: datetime
    recorded_at: datetime
    code: str
    detail: str
    case_id: int | None
    may_replay: bool


async def list_set_aside(
    conn: AsyncConnection,
    viewer: Person | None,
    *,
    source: str | None = None,
    event_id: str | None = None,
    case_id: int | None = None,
    limit: int = 100,
) -> list[SetAside]:
    """Quarantined events, the oldest first. A person sees those whose case they see; None (an operator) sees all."""
    query = (
        select(event_inbox, case_file.c.entity, case_file.c.region, case_file.c.location)
        .outerjoin(case_file, case_file.c.id == event_inbox.c.case_id)
        .where(event_inbox.c.outcome == "quarantined")
        .order_by(event_inbox.c.recorded_at, event_inbox.c.source, event_inbox.c.event_id)
        .limit(limit)
    )
    if viewer is not None:
        query = query.where(and_(case_file.c.id.is_not(None), visible(case_file.c, viewer)))
    for column, wanted in ((event_inbox.c.source, source), (event_inbox.c.event_id, event_id)):
        if wanted is not None:
            query = query.where(column == wanted)
    if case_id is not None:
        query = query.where(event_inbox.c.case_id == case_id)
    return [
        SetAside(
            source=row["source"],
            event_id=row["event_id"],
            type=row["type"],
            occurred_at=row["occurred_at"],
            recorded_at=row["recorded_at"],
            code=row["problem"].get("code", ""),
            detail=row["problem"].get("detail", ""),
            case_id=row["case_id"],
            may_replay=viewer is None or viewer.may_decide(row["entity"], row["region"], row["location"]),
        )
        for row in (await conn.execute(query)).mappings()
    ]
