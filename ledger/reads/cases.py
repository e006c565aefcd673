"""Reads of one case, with facts, options, clocks, events, decisions and relations."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel
from sqlalchemy import BindParameter, ColumnElement, Text, and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, PassedOver
from domain.case_kinds import KINDS
from domain.errors import NotFound
from domain.people import Person
from domain.words import kind_title
from ledger.decisions.offered import offered_asked, offered_now
from ledger.parents import cause_of
from ledger.prepared import Ask, Prepared, Several, ahead
from ledger.reads.access import ALL_SOURCES, Reach, of_journey_sources, reach_of, visible
from ledger.reads.case_history import DECISIONS, EVENTS, CaseEventRow, DecisionRow, decision_of, decisions_of
from ledger.reads.case_lists import seen
from ledger.reads.case_shapes import CaseSummary, summary
from ledger.tables import approval, case_decision, case_file, case_parent, person

COMES_BACK_WITHIN = timedelta(days=30)
MOST_EARLIER = 10
MOST_RELATED = 50


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


@lru_cache(maxsize=64)
def _case(reach: Reach, by_source: bool) -> Prepared:  # noqa: FBT001  a way of asking
    selected = select(case_file, person.c.name.label("claimed_by_name"))
    claimed = selected.join(person, person.c.id == case_file.c.claimed_by, isouter=True)
    return Prepared(claimed.where(case_file.c.id == _given("case_id"), seen(reach, by_source=by_source)))


@lru_cache(maxsize=64)
def _around(reach: Reach, by_source: bool) -> Several:  # noqa: FBT001  a way of asking
    """What belongs to a case that was read before: its values are those of `_asked_around`."""
    table = case_file.c
    others = and_(table.id != _given("case_id"), seen(reach, by_source=by_source))
    short = select(table.id, table.kind, table.state, table.subject)
    of_journey = table.journey_id == _given("journey_id")
    alike = and_(*(table[name] == _given(name) for name in ("kind", "location", "sku")))
    # Of one cause: the same item at the same place, or else the same order, whose cases are related anyhow.
    shared = and_(alike, table.sku != "", table.journey_id.is_not(None), _given("journey_id").is_not(None))
    opened_at = _given("opened_at")
    back = and_(table.closed_at <= opened_at, table.closed_at > opened_at - COMES_BACK_WITHIN)
    return Several(
        {
            "events": EVENTS,
            "decisions": DECISIONS,
            "approvals": select(approval.c.id).where(approval.c.case_id == _given("case_id")).order_by(approval.c.id),
            "parents": select(case_parent.c.id).where(
                case_parent.c.key == bindparam("cause", type_=Text), case_parent.c.closed_at.is_(None)
            ),
            "related": short.add_columns(of_journey.label("same_journey"))
            .where(others, or_(of_journey, and_(shared, table.closed_at.is_(None))))
            .order_by(of_journey.desc(), table.id)
            .limit(MOST_RELATED),
            "earlier": short.where(others, alike, table.sku != "", back)
            .order_by(table.closed_at.desc(), table.id.desc())
            .limit(MOST_EARLIER),
        },
        once=True,
    )


def _given(name: str) -> BindParameter[Any]:
    """A value of the case, by the name of its column."""
    return bindparam(name, type_=case_file.c["id" if name == "case_id" else name].type)


def _asked_around(row: Mapping[str, Any]) -> dict[str, Any]:
    cause = cause_of(row)
    names = ("journey_id", "kind", "location", "sku", "opened_at")
    is_open = row["closed_at"] is None
    return {
        "case_id": row["id"],
        "cause": cause.key if cause is not None and is_open else None,
        **{name: row[name] for name in names},
    }


type Sources = Collection[str] | None


def _seen_by(viewer: Person | None, sources: Sources) -> tuple[tuple[Reach, bool], dict[str, Any]]:
    """The way in which somebody asks for a case, and its values."""
    reach, words = reach_of(viewer)
    return (reach, sources is not None and ALL_SOURCES not in sources), {**words, "sources": sorted(sources or ())}


async def case_row(
    conn: AsyncConnection, viewer: Person | None, case_id: int, *, sources: Sources = None
) -> dict[str, Any]:
    """The row of a case. Raises `NotFound` for one that does not exist or that the viewer may not see."""
    way, values = _seen_by(viewer, sources)
    found = await _case(*way).row(conn, values, case_id=case_id) if -(2**63) <= case_id < 2**63 else None
    if found is None:
        raise NotFound(f"There is no case {case_id} that you may see.")
    return dict(found)


def detail_asked(viewer: Person | None, row: Mapping[str, Any], sources: Sources = None) -> list[Ask]:
    """What `detail_of` asks at first."""
    way, values = _seen_by(viewer, sources)
    return [*offered_asked(row), _around(*way).of({**values, **_asked_around(row)})]


async def case_detail(
    conn: AsyncConnection, viewer: Person | None, case_id: int, *, sources: Sources = None
) -> CaseDetail:
    """One case with all that is known of it. Raises `NotFound` as `case_row` does."""
    row = await case_row(conn, viewer, case_id, sources=sources)
    await ahead(conn, *detail_asked(viewer, row, sources))
    return await detail_of(conn, viewer, row, sources=sources)


async def detail_of(
    conn: AsyncConnection, viewer: Person | None, row: Mapping[str, Any], *, sources: Sources = None
) -> CaseDetail:
    """All that is known of a case of which the viewer has the row."""
    way, values = _seen_by(viewer, sources)
    may_decide = viewer is None or viewer.may_decide(row["entity"], row["region"], row["location"])
    kind = KINDS.get(row["kind"])
    offered = await offered_now(conn, row)
    around = await _around(*way).lists(conn, {**values, **_asked_around(row)})
    return CaseDetail(
        **summary(row),
        parent_id=around["parents"][0]["id"] if around["parents"] else None,
        facts=row["facts"],
        options=[_for_viewer(option, may_decide=may_decide) for option in offered.options],
        passed_over=offered.passed_over,
        runbook=kind.runbook if kind else "",
        resolved_by=row["resolved_by"],
        root_cause=row["root_cause"],
        next_level_at=row["next_level_at"],
        applies_at=row["applies_at"],
        may_decide=may_decide,
        events=[CaseEventRow.model_validate(event) for event in around["events"]],
        decisions=[decision_of(decision) for decision in around["decisions"]],
        approvals=[one["id"] for one in around["approvals"]],
        related=[_related(other) for other in around["related"]] + [_earlier(other) for other in around["earlier"]],
    )


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


def _related(other: Mapping[str, Any]) -> RelatedCase:
    relation = "same_journey" if other["same_journey"] else "same_parent"
    return RelatedCase.model_validate({**other, "title": kind_title(other["kind"]), "relation": relation})


def _earlier(other: Mapping[str, Any]) -> RelatedCase:
    """A case of the same kind about the same item at the same place, closed shortly before this one opened."""
    return RelatedCase.model_validate({**other, "title": kind_title(other["kind"]), "relation": "came_back"})
