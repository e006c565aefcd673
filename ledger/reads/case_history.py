"""What happened on a case, and what was decided. Callers have checked that the viewer may see the case."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import BigInteger, FromClause, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption
from ledger.prepared import Prepared
from ledger.tables import case_decision, case_event, person, person_note


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


_CASE = bindparam("case_id", type_=BigInteger)


def _noted(table: FromClause, row: type[BaseModel], by: str) -> Select[Any]:
    """Rows of a case in their order, each with what somebody wrote, and whoever did it (column `by`) by name."""
    made = {"note": person_note.c.text, f"{by}_name": func.coalesce(person.c.name, table.c[by])}
    names = [name for name in row.model_fields if name != "label"]
    columns = [made[name].label(name) if name in made else table.c[name] for name in names]
    return (
        select(*columns)
        .select_from(table)
        .join(person_note, person_note.c.id == table.c.note_id, isouter=True)
        .join(person, person.c.id == table.c[by], isouter=True)
        .where(table.c.case_id == _CASE)
        .order_by(table.c.id)
    )


EVENTS = _noted(case_event, CaseEventRow, "actor")  # of the case `case_id`
DECISIONS = _noted(case_decision, DecisionRow, "decided_by")
_DECISIONS = Prepared(DECISIONS)


def decision_of(row: Mapping[str, Any]) -> DecisionRow:
    """A row of `DECISIONS`."""
    label = row["option"].get("label", row["option_id"])
    return DecisionRow.model_validate({**row, "label": label, "option": row["option"] or None})


async def decisions_of(conn: AsyncConnection, case_id: int) -> list[DecisionRow]:
    return [decision_of(dict(row)) for row in await _DECISIONS.rows(conn, case_id=case_id)]
