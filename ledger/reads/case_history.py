"""What happened on a case, and what was decided. Callers have checked that the viewer may see the case."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption
from ledger.people import names
from ledger.tables import case_decision, case_event, person_note


class CaseEventRow(BaseModel):
    """One entry of a case's history; `note` is free text that a person wrote."""

    id: int
    at: datetime
    kind: str
    actor: str
    actor_name: str
    via: str
    episode: int
    text: str
    note: str | None
    detail: dict[str, Any] | None


class DecisionRow(BaseModel):
    """A decision as recorded, with the option as it was shown."""

    id: int
    option_id: str
    label: str
    parameters: dict[str, Any]
    option: CaseOption | None
    decided_by: str
    decided_by_name: str
    via: str
    note: str | None
    state: Literal["applying", "awaiting_approval", "applied", "refused", "undone"]
    reason: str | None
    approval_id: int | None
    at: datetime


async def events_of(conn: AsyncConnection, case_id: int) -> list[CaseEventRow]:
    query = (
        select(case_event, person_note.c.text.label("note"))
        .join(person_note, person_note.c.id == case_event.c.note_id, isouter=True)
        .where(case_event.c.case_id == case_id)
        .order_by(case_event.c.id)
    )
    rows = (await conn.execute(query)).mappings().all()
    known = await names(conn, {row["actor"] for row in rows})
    return [CaseEventRow.model_validate({**row, "actor_name": known.get(row["actor"], row["actor"])}) for row in rows]


async def decisions_of(conn: AsyncConnection, case_id: int) -> list[DecisionRow]:
    query = (
        select(case_decision, person_note.c.text.label("note"))
        .join(person_note, person_note.c.id == case_decision.c.note_id, isouter=True)
        .where(case_decision.c.case_id == case_id)
        .order_by(case_decision.c.id)
    )
    rows = (await conn.execute(query)).mappings().all()
    known = await names(conn, {row["decided_by"] for row in rows})
    return [
        DecisionRow.model_validate(
            {
                **row,
                "label": row["option"].get("label", row["option_id"]),
                "option": row["option"] or None,
                "decided_by_name": known.get(row["decided_by"], row["decided_by"]),
            }
        )
        for row in rows
    ]
