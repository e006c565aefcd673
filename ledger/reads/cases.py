"""Reads of one case, with facts, options, clocks, events, decisions and relations."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, PassedOver
from domain.case_kinds import KINDS
from domain.errors import NotFound
from domain.people import Person
from ledger.case.offers import offered_now
from ledger.case.parents import cause_of, of_cause
from ledger.reads.access import of_journey_sources, visible
from ledger.reads.case_history import CaseEventRow, DecisionRow, decisions_of, events_of
from ledger.reads.case_lists import CaseSummary, summary
from ledger.reads.parents import parent_of
from ledger.tables import approval, case_decision, case_file, person

COMES_BACK_WITHIN = timedelta(days=30)
MOST_EARLIER = 10


class RelatedCase(BaseModel):
    id: int
    kind: str
    title: str
    state: str
    subject: str
    relation: Literal["same_journey", "same_parent", "came_back"]


class CaseDetail(CaseSummary):
    """One case with all that is known; `options[].allowed` already speaks for the viewer."""

    parent_id: int | None  # of the open cases of one cause
    facts: dict[str, Any]
    options: list[CaseOption]
    passed_over: list[PassedOver]
    runbook: str
    resolved_by: str | None
    root_cause: str | None
    next_level_at: datetime | None
    applies_at: datetime | None
    may_decide: bool
    events: list[CaseEventRow]
    decisions: list[DecisionRow]
    approvals: list[int]
    related: list[RelatedCase]


def _visible(viewer: Person | None, sources: Collection[str] | None) -> ColumnElement[bool]:
    return and_(visible(case_file.c, viewer), of_journey_sources(case_file.c.journey_id, sources))


def _selected() -> Select[Any]:
    return select(case_file, person.c.name.label("claimed_by_name")).join(
        person, person.c.id == case_file.c.claimed_by, isouter=True
    )


async def case_detail(
    conn: AsyncConnection, viewer: Person | None, case_id: int, *, sources: Collection[str] | None = None
) -> CaseDetail:
    """One case. Raises `NotFound` for one that does not exist or that the viewer may not see."""
    query = _selected().where(case_file.c.id == case_id, _visible(viewer, sources))
    row = (await conn.execute(query)).mappings().one_or_none() if -(2**63) <= case_id < 2**63 else None
    if row is None:
        raise NotFound(f"There is no case {case_id} that you may see.")
    may_decide = viewer is None or viewer.may_decide(row["entity"], row["region"], row["location"])
    kind = KINDS.get(row["kind"])
    offered = await offered_now(conn, row)
    return CaseDetail(
        **summary(row),
        parent_id=await parent_of(conn, row),
        facts=row["facts"],
        options=[_for_viewer(option, may_decide=may_decide) for option in offered.options],
        passed_over=offered.passed_over,
        runbook=kind.runbook if kind else "",
        resolved_by=row["resolved_by"],
        root_cause=row["root_cause"],
        next_level_at=row["next_level_at"],
        applies_at=row["applies_at"],
        may_decide=may_decide,
        events=await events_of(conn, case_id),
        decisions=await decisions_of(conn, case_id),
        approvals=list(
            (await conn.execute(select(approval.c.id).where(approval.c.case_id == case_id).order_by(approval.c.id)))
            .scalars()
        ),
        related=[*await _related(conn, viewer, row, sources), *await _came_back(conn, viewer, row, sources)],
    )  # fmt: skip


class Decided(NamedTuple):
    """A decision, the number of its case, and until when it can be undone, if it can."""

    case_id: int
    row: DecisionRow
    undo_until: datetime | None


async def decision_row(
    conn: AsyncConnection, viewer: Person | None, decision_id: int, *, sources: Collection[str] | None = None
) -> Decided:
    """One decision. Raises `NotFound` as `case_detail` does."""
    query = (
        select(case_decision.c.case_id, case_file.c.applies_at)
        .join(case_file, case_file.c.id == case_decision.c.case_id)
        .where(case_decision.c.id == decision_id, _visible(viewer, sources))
    )
    about = (await conn.execute(query)).one_or_none() if -(2**63) <= decision_id < 2**63 else None
    if about is None:
        raise NotFound(f"There is no decision {decision_id} that you may see.")
    found = next(row for row in await decisions_of(conn, about.case_id) if row.id == decision_id)
    return Decided(about.case_id, found, about.applies_at if found.state == "applying" else None)


def _for_viewer(option: CaseOption, *, may_decide: bool) -> CaseOption:
    """An option that policy allows is still not for everybody who may look at the case."""
    if may_decide or not option.allowed:
        return option
    return option.model_copy(update={"allowed": False, "why_not": "Your role may look at this case, not decide it."})


async def _related(
    conn: AsyncConnection, viewer: Person | None, row: Any, sources: Collection[str] | None
) -> list[RelatedCase]:
    cause = cause_of(row)
    if cause is None:
        return []
    table = case_file.c
    same_journey = table.journey_id == row["journey_id"]
    siblings = and_(of_cause(cause), table.closed_at.is_(None))
    query = (
        select(table.id, table.kind, table.state, table.subject, same_journey.label("same_journey"))
        .where(table.id != row["id"], or_(same_journey, siblings), _visible(viewer, sources))
        .order_by(same_journey.desc(), table.id)
        .limit(50)
    )
    found = []
    for other in (await conn.execute(query)).mappings():
        kind = KINDS.get(other["kind"])
        title = kind.title if kind else other["kind"]
        relation = "same_journey" if other["same_journey"] else "same_parent"
        found.append(RelatedCase.model_validate({**other, "title": title, "relation": relation}))
    return found


async def _came_back(
    conn: AsyncConnection, viewer: Person | None, row: Any, sources: Collection[str] | None
) -> list[RelatedCase]:
    """Cases of the same kind about the same item at the same place that were closed shortly before this one opened."""
    table = case_file.c
    if not row["sku"]:
        return []
    query = (
        select(table.id, table.kind, table.state, table.subject)
        .where(
            table.id != row["id"], table.sku == row["sku"], table.location == row["location"],
            table.kind == row["kind"], table.closed_at.is_not(None), table.closed_at <= row["opened_at"],
            table.closed_at > row["opened_at"] - COMES_BACK_WITHIN, _visible(viewer, sources),
        )
        .order_by(table.closed_at.desc(), table.id.desc())
        .limit(MOST_EARLIER)
    )  # fmt: skip
    title = KINDS[row["kind"]].title if row["kind"] in KINDS else row["kind"]
    return [
        RelatedCase.model_validate({**other, "title": title, "relation": "came_back"})
        for other in (await conn.execute(query)).mappings()
    ]
