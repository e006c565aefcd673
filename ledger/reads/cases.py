"""Reads of cases: queues with filters, and one case with facts, options, clocks, events, decisions and relations."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case import CaseOption, PassedOver, PriorityTerm
from domain.case_kinds import KINDS
from domain.errors import NotFound
from domain.people import Person
from ledger.case.offers import offered_now
from ledger.case.parents import cause_of, of_cause
from ledger.reads.access import of_journey_sources, visible
from ledger.reads.case_filter import CaseFilter, named, where
from ledger.reads.case_history import CaseEventRow, DecisionRow, decisions_of, events_of
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.reads.parents import parent_of, stands_for_its_cause
from ledger.tables import approval, case_decision, case_file, person

COMES_BACK_WITHIN = timedelta(days=30)
MOST_EARLIER = 10


class Priority(BaseModel):
    score: int
    terms: list[PriorityTerm]


class Clock(BaseModel):
    """A clock that is running; `paused` while the case waits."""

    name: Literal["unclaimed", "unstarted", "unresolved"]
    due_at: datetime
    paused: bool


class CaseSummary(BaseModel):
    """A case in a queue. Money in minor units of `currency`."""

    id: int
    kind: str
    title: str
    state: str
    severity: str
    level: int
    episode: int
    subject: str
    journey_id: str | None
    location: str
    region: str
    entity: str
    channel: str
    sku: str
    owner: str
    claimed_by: str | None
    claimed_by_name: str | None
    claimed_at: datetime | None
    waiting_reason: str | None
    waiting_until: datetime | None
    value_at_risk_minor: int
    currency: str
    promised_at: datetime | None
    priority: Priority
    clocks: list[Clock]
    next_due_at: datetime | None
    repeat_count: int
    parent_id: int | None
    version: int
    opened_at: datetime
    closed_at: datetime | None
    resolution: str | None
    clock_offset_s: int


class RelatedCase(BaseModel):
    id: int
    kind: str
    title: str
    state: str
    subject: str
    relation: Literal["same_journey", "same_parent", "came_back"]


class CaseDetail(CaseSummary):
    """One case with all that is known; `options[].allowed` already speaks for the viewer."""

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


async def list_cases(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: CaseFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sources: Collection[str] | None = None,
) -> Page[CaseSummary]:
    """A queue in the order of `filters.sorted_by`. Raises `Malformed` for a foreign cursor or a limit out of bounds."""
    filters = filters or CaseFilter()
    mark = fingerprint("cases", filters.model_dump())
    by = filters.sorted_by
    after = read_cursor(mark, cursor, value_type=int if by == "priority" else datetime, id_type=int)
    table = case_file.c
    wanted = where(filters, await named(conn, filters))
    query = _selected().where(_visible(viewer, sources), *wanted)
    if filters.rolled_up:
        query = query.where(stands_for_its_cause(wanted))
    if by == "due":
        query = query.order_by(table.next_due_at.asc().nulls_last(), table.id)
        if after is not None and after.value is None:
            query = query.where(table.next_due_at.is_(None), table.id > after.id)
        elif after is not None:
            later = tuple_(table.next_due_at, table.id) > tuple_(after.value, after.id)
            query = query.where(or_(later, table.next_due_at.is_(None)))
    else:
        column = {"priority": table.priority_score, "opened": table.opened_at, "closed": table.closed_at}[by]
        query = query.order_by(column.desc(), table.id.desc())
        query = query.where(table.closed_at.is_not(None)) if by == "closed" else query
        if after is not None:
            query = query.where(tuple_(column, table.id) < tuple_(after.value, after.id))
    rows = (await conn.execute(query.limit(check_limit(limit) + 1))).mappings().all()
    items = [CaseSummary.model_validate(_summary(row)) for row in rows[:limit]]
    name = {"due": "next_due_at", "priority": "priority_score", "opened": "opened_at", "closed": "closed_at"}[by]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, rows[limit - 1][name], items[-1].id) if more else None)


async def count_cases(conn: AsyncConnection, viewer: Person | None, filters: CaseFilter, *, cap: int = 100) -> int:
    """How many cases match, counted to `cap` at most (100 means "99+")."""
    return (await count_several(conn, viewer, [(filters, cap)]))[0]


async def count_several(
    conn: AsyncConnection, viewer: Person | None, several: Sequence[tuple[CaseFilter, int]]
) -> list[int]:
    """How many cases match each of these filters, each counted to its own cap, in one statement."""
    seen = visible(case_file.c, viewer)
    counts = []
    for filters, cap in several:
        rows = select(case_file.c.id).where(seen, *where(filters, await named(conn, filters))).limit(cap).subquery()
        counts.append(select(func.count()).select_from(rows).scalar_subquery())
    return [int(count) for count in (await conn.execute(select(*counts))).one()]


async def cases_again(
    conn: AsyncConnection, viewer: Person, filters: CaseFilter, ids: Sequence[int]
) -> list[tuple[CaseSummary, bool]]:
    """Cases that a page shows already, in the order given, each as it is now and whether the filters still want it."""
    fits = and_(literal(value=True), *where(filters, await named(conn, filters)))
    query = _selected().add_columns(fits.label("fits")).where(case_file.c.id.in_(ids), _visible(viewer, None))
    found = {row["id"]: row for row in (await conn.execute(query)).mappings()}
    rows = [found[case_id] for case_id in dict.fromkeys(ids) if case_id in found]
    return [(CaseSummary.model_validate(_summary(row)), bool(row["fits"])) for row in rows]


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
        **_summary(row) | {"parent_id": await parent_of(conn, row)},
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


async def decision_row(
    conn: AsyncConnection, viewer: Person | None, decision_id: int, *, sources: Collection[str] | None = None
) -> tuple[int, DecisionRow]:
    """A decision and the number of its case. Raises `NotFound` as `case_detail` does."""
    query = (
        select(case_decision.c.case_id)
        .join(case_file, case_file.c.id == case_decision.c.case_id)
        .where(case_decision.c.id == decision_id, _visible(viewer, sources))
    )
    case_id = (await conn.execute(query)).scalar_one_or_none() if -(2**63) <= decision_id < 2**63 else None
    if case_id is None:
        raise NotFound(f"There is no decision {decision_id} that you may see.")
    found = next(row for row in await decisions_of(conn, case_id) if row.id == decision_id)
    return case_id, found


def _summary(row: Any) -> dict[str, Any]:
    paused = row["state"] == "waiting"
    kind = KINDS.get(row["kind"])
    clocks = [
        Clock(name=name, due_at=row[f"{name}_due_at"], paused=paused)
        for name in ("unclaimed", "unstarted", "unresolved")
        if row[f"{name}_due_at"] is not None and row["closed_at"] is None
    ]
    names = CaseSummary.model_fields.keys() - {"title", "owner", "priority", "clocks"}
    return {
        **{name: row[name] for name in names},
        "title": kind.title if kind else row["kind"].replace("_", " ").capitalize(),
        "owner": row["owner_role"],
        "priority": Priority(score=row["priority_score"], terms=row["priority_terms"]),
        "clocks": clocks,
    }


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
