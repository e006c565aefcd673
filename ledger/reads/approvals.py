"""Reads of approvals: who is asked for what until when, with the verdicts given."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, RowMapping, and_, exists, false, func, or_, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.approval import check_may_approve, sides_heard
from domain.approval_words import requester_words
from domain.case import CaseOption
from domain.errors import NotAllowed, NotFound, OwnRequest
from domain.people import Grant, Person
from ledger import delegations, reference
from ledger.people import names
from ledger.reads.access import of_journey_sources, visible
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.reads.questions import covers, put_to
from ledger.reads.sides import Heard, SideView, heard_of, side_views
from ledger.tables import approval, approval_side, approval_verdict, case_decision, person_note


class ApprovalFilter(BaseModel):
    """Every field narrows the list; `state` takes several words with commas; `mine`: what waits for the viewer, be it a
    verdict or an answer; `questions`: what waits for their answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str | None = None
    kind: str | None = None
    region: str | None = None
    location: str | None = None
    entity: str | None = None
    journey_id: str | None = None
    case_id: int | None = None
    mine: bool = False
    questions: bool = False


class ApprovalSummary(BaseModel):
    """An approval in a list. Money in minor units; `asked_roles` are those asked up to the level reached.

    `quorum` is how many must agree, `agreed` how many have; whoever `has_agreed` may still reject it or ask.
    """

    id: int
    kind: str
    subject: str
    state: str
    case_id: int | None
    decision_id: int | None
    journey_id: str | None
    location: str
    region: str
    entity: str
    amount_minor: int
    currency: str
    band: str
    requester: str
    requester_name: str
    asked_roles: list[str]
    next_role: str | None
    level: int
    quorum: int
    agreed: int
    opened_at: datetime
    deadline_at: datetime
    paused_at: datetime | None  # since then the clock stands: an approver has asked
    expires_at: datetime
    decided_by: str | None
    decided_by_name: str | None
    decided_for: str | None
    decided_for_name: str | None
    decided_via: str | None
    decided_at: datetime | None
    version: int
    clock_offset_s: int
    may_decide: bool  # the viewer may give a verdict; to agree as well they need `may_agree`
    may_agree: bool
    has_agreed: bool  # the viewer, or somebody for them
    why_not: str | None  # why they may not decide, or not agree
    acts_for_name: str | None  # in whose place the viewer would decide; None for themselves


class VerdictRow(BaseModel):
    """A verdict, a question or an answer, as it was given."""

    id: int
    person_id: str
    person_name: str
    on_behalf_of: str | None
    on_behalf_of_name: str | None
    verdict: str
    via: str
    note: str | None
    at: datetime


class ApprovalDetail(ApprovalSummary):
    """One approval with its facts, the option that waits for it, and every verdict."""

    facts: dict[str, Any]
    roles: list[str]
    next_at: datetime | None
    option: CaseOption | None
    reason: str | None  # what the requester wrote beside the decision
    sides: list[SideView]
    verdicts: list[VerdictRow]


class _SideColumns(NamedTuple):
    """The three columns that tell who sees a row."""

    entity: ColumnElement[str]
    region: ColumnElement[str]
    location: ColumnElement[str]


_SIDE = _SideColumns(approval_side.c.entity, approval_side.c.region, approval_side.c.name)


class _Eyes(NamedTuple):
    """Who looks, and the people who have delegated to them today: a delegate sees what they see."""

    viewer: Person | None
    principals: tuple[Person, ...]

    @property
    def voices(self) -> tuple[Person, ...]:
        """Everybody in whose name the viewer may speak, themselves first."""
        return () if self.viewer is None else (self.viewer, *self.principals)


async def _eyes(conn: AsyncConnection, viewer: Person | None) -> _Eyes:
    if viewer is None:
        return _Eyes(None, ())
    return _Eyes(viewer, tuple(await delegations.principals(conn, viewer.id, func.now())))


def _seen(eyes: _Eyes) -> ColumnElement[bool]:
    """Requests of a place that one of them sees, or of which one side is such a place."""
    if eyes.viewer is None:
        return true()
    table, side = approval.c, approval_side.c
    of_side = [exists().where(side.approval_id == table.id, visible(_SIDE, voice)) for voice in eyes.voices]
    return or_(*(visible(table, voice) for voice in eyes.voices), *of_side)


def _where(filters: ApprovalFilter, eyes: _Eyes) -> list[ColumnElement[bool]]:
    table = approval.c
    clauses: list[ColumnElement[bool]] = []
    if filters.state is not None:
        clauses.append(table.state.in_([word for word in filters.state.split(",") if word]))
    for name in ("kind", "region", "location", "entity", "journey_id"):
        wanted = getattr(filters, name)
        if wanted is not None:
            clauses.append(table[name] == wanted)
    if filters.case_id is not None:
        in_range = -(2**63) <= filters.case_id < 2**63
        clauses.append(table.case_id == filters.case_id if in_range else false())
    if filters.mine:
        clauses.append(_waits_for(eyes))
    if filters.questions:
        clauses.append(put_to(eyes.viewer) if eyes.viewer else false())
    return clauses


def _waits_for(eyes: _Eyes) -> ColumnElement[bool]:
    """Pending, asked of a role that the viewer speaks for there, begun by none of those, and not agreed to yet; and
    what a question is asked about that they are to answer.
    """
    if eyes.viewer is None:
        return false()
    table = approval.c
    ways: list[ColumnElement[bool]] = []
    for voice in eyes.voices:
        for role, entity, region, location in voice.grants:
            asked = table.roles[1 : func.greatest(table.level, 1)].contains([role])
            here = covers(Grant(role, entity, region, location), table)
            there = exists().where(
                approval_side.c.approval_id == table.id, covers(Grant(role, entity, region, location), _SIDE)
            )
            ways.append(and_(asked, ~table.barred.contains([voice.id]), or_(here, there)))
    if not ways:
        return put_to(eyes.viewer)
    said = exists().where(
        approval_verdict.c.approval_id == table.id,
        approval_verdict.c.verdict == "approve",
        or_(approval_verdict.c.person_id == eyes.viewer.id, approval_verdict.c.on_behalf_of == eyes.viewer.id),
    )
    asked_of = and_(table.state == "pending", ~table.barred.contains([eyes.viewer.id]), or_(*ways), ~said)
    return or_(asked_of, put_to(eyes.viewer))


async def list_approvals(
    conn: AsyncConnection,
    viewer: Person | None,
    filters: ApprovalFilter | None = None,
    *,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    sources: Collection[str] | None = None,
    by_token: bool = False,
) -> Page[ApprovalSummary]:
    """Pending ones (or `mine`) by deadline, all others newest first. `by_token`: the viewer comes by a token of theirs.

    Raises `Malformed` for a foreign cursor.
    """
    filters = filters or ApprovalFilter()
    mark = fingerprint(
        "approvals",
        {**filters.model_dump(), "viewer": viewer.id if viewer and (filters.mine or filters.questions) else ""},
    )
    after = read_cursor(mark, cursor, value_type=datetime, id_type=int)
    table = approval.c
    eyes = await _eyes(conn, viewer)
    query = select(approval).where(_seen(eyes), of_journey_sources(table.journey_id, sources), *_where(filters, eyes))
    by_deadline = filters.mine or filters.questions or filters.state == "pending"
    column = table.deadline_at if by_deadline else table.opened_at
    if after is not None:
        here, there = tuple_(column, table.id), tuple_(after.value, after.id)
        query = query.where(here > there if by_deadline else here < there)
    query = query.order_by(column, table.id) if by_deadline else query.order_by(column.desc(), table.id.desc())
    rows = (await conn.execute(query.limit(check_limit(limit) + 1))).mappings().all()
    known = await _names(conn, rows[:limit])
    heard = await heard_of(conn, rows[:limit])
    dear = await _too_dear(conn, rows[:limit]) if by_token else frozenset()
    summaries = [_summary(row, eyes, known, heard[row["id"]], is_too_dear=row["id"] in dear) for row in rows[:limit]]
    items = [ApprovalSummary.model_validate(one) for one in summaries]
    more = len(rows) > limit
    return Page(items=items, next=write_cursor(mark, rows[limit - 1][column.name], items[-1].id) if more else None)


async def approval_detail(
    conn: AsyncConnection,
    viewer: Person | None,
    approval_id: int,
    *,
    sources: Collection[str] | None = None,
    by_token: bool = False,
) -> ApprovalDetail:
    """One approval. `by_token`: the viewer comes by a token of theirs.

    Raises `NotFound` for one that does not exist or that the viewer may not see.
    """
    eyes = await _eyes(conn, viewer)
    query = select(approval).where(
        approval.c.id == approval_id,
        _seen(eyes),
        of_journey_sources(approval.c.journey_id, sources),
    )
    row = (await conn.execute(query)).mappings().one_or_none() if -(2**63) <= approval_id < 2**63 else None
    if row is None:
        raise NotFound(f"There is no approval {approval_id} that you may see.")
    known = await _names(conn, [row])
    heard = (await heard_of(conn, [row]))[row["id"]]
    dear = await _too_dear(conn, [row]) if by_token else frozenset()
    return ApprovalDetail(
        **_summary(row, eyes, known, heard, is_too_dear=row["id"] in dear),
        facts=row["facts"],
        roles=row["roles"],
        next_at=row["next_at"],
        option=await _option(conn, row["decision_id"]) or _option_of_facts(row["facts"]),
        reason=await _reason(conn, row["decision_id"], row["facts"].get("note_id")) or _given(row),
        verdicts=await _verdicts(conn, approval_id),
        sides=await side_views(conn, row, heard),
    )


async def _too_dear(conn: AsyncConnection, rows: Collection[Any]) -> frozenset[int]:
    """Those pending to whose amount no token agrees. Recording a verdict looks again, by the policy of its instant."""
    pending = [row for row in rows if row["state"] == "pending"]
    if not pending:
        return frozenset()
    places = await reference.places(conn, {row["location"] for row in pending})
    policies = await reference.policies_at(conn, list(places.values()), None)
    return frozenset(
        row["id"] for row in pending if not policies[row["location"]].bands.a_token_agrees_to(row["amount_minor"])
    )


def _summary(
    row: Any, eyes: _Eyes, known: dict[str, str], heard: Heard, *, is_too_dear: bool = False
) -> dict[str, Any]:
    reached = max(row["level"], 1)  # the level counts the roles asked so far
    own = {
        "requester_name", "decided_by_name", "decided_for_name", "acts_for_name", "asked_roles", "next_role", "agreed",
        "has_agreed", "may_decide", "may_agree", "why_not",
    }  # fmt: skip
    spoken = {one for word in heard.words for one in (word.person, word.voice)}
    has_agreed = row["state"] == "pending" and eyes.viewer is not None and eyes.viewer.id in spoken
    voice, why_not = _voice(row, eyes, heard)
    if has_agreed:
        voice, why_not = None, "You have agreed already; it waits for somebody else's word."
    may_decide = why_not is None
    if may_decide and is_too_dear:
        why_not = "This amount is above what a token alone may agree to; it may reject and ask."
    return {
        **{name: row[name] for name in ApprovalSummary.model_fields.keys() - own},
        "requester_name": known.get(row["requester"]) or requester_words(row["requester"]),
        "decided_by_name": known.get(row["decided_by"], row["decided_by"]) if row["decided_by"] else None,
        "decided_for_name": known.get(row["decided_for"], row["decided_for"]) if row["decided_for"] else None,
        "asked_roles": row["roles"][:reached],
        "next_role": row["roles"][reached] if reached < len(row["roles"]) else None,
        "agreed": len(heard.words),
        "may_decide": may_decide,
        "may_agree": why_not is None,
        "has_agreed": has_agreed,
        "why_not": why_not,
        "acts_for_name": voice.name if voice is not None and voice is not eyes.viewer else None,
    }


def _voice(row: Any, eyes: _Eyes, heard: Heard) -> tuple[Person | None, str | None]:
    """Whose verdict the viewer may give, their own first; else None, and why not.

    The record under the row's lock has the last word.
    """
    if row["state"] != "pending":
        return None, f"It is {row['state']} already."
    if eyes.viewer is None:
        return None, "A verdict needs a person; this key is a system's."
    words = None
    for voice in eyes.voices:
        roles = {role for side in heard.sides for role in voice.roles_at(side.entity, side.region, side.location)}
        asked = heard.sides[0].asked(row["level"])
        try:
            check_may_approve(voice.id, roles, asked_roles=asked, barred=row["barred"])
        except OwnRequest as refusal:
            if voice is eyes.viewer:
                return None, refusal.detail
        except NotAllowed as refusal:
            words = words or refusal.detail
        else:
            if sides_heard(voice, heard.sides, row["level"]):
                return voice, None
    return None, words


async def _names(conn: AsyncConnection, rows: Collection[Any]) -> dict[str, str]:
    return await names(
        conn, {row[name] for row in rows for name in ("requester", "decided_by", "decided_for") if row[name]}
    )


async def _option(conn: AsyncConnection, decision_id: int | None) -> CaseOption | None:
    if decision_id is None:
        return None
    query = select(case_decision.c.option).where(case_decision.c.id == decision_id)
    found = (await conn.execute(query)).scalar_one_or_none()
    return CaseOption.model_validate(found) if found else None


def _option_of_facts(facts: dict[str, Any]) -> CaseOption | None:
    """What a customer has accepted: nobody decided it, so it stands in the facts alone."""
    return CaseOption.model_validate(facts["option"]) if {"offer", "option"} <= facts.keys() else None


async def _reason(conn: AsyncConnection, decision_id: int | None, note_id: int | None) -> str | None:
    """What whoever asked wrote beside the decision, or with the request where no decision was before it."""
    if decision_id is None:
        alone = select(person_note.c.text).where(person_note.c.id == note_id)
        return (await conn.execute(alone)).scalar_one_or_none() if note_id is not None else None
    query = (
        select(person_note.c.text)
        .join(case_decision, case_decision.c.note_id == person_note.c.id)
        .where(case_decision.c.id == decision_id)
    )
    return (await conn.execute(query)).scalar_one_or_none()


def _given(row: RowMapping) -> str | None:
    """Why a vendor's debt is to be given up: a line of its document, and no note about a person."""
    return row["facts"].get("reason") if row["kind"] == "write_off" else None


async def _verdicts(conn: AsyncConnection, approval_id: int) -> list[VerdictRow]:
    query = (
        select(approval_verdict, person_note.c.text.label("note"))
        .join(person_note, person_note.c.id == approval_verdict.c.note_id, isouter=True)
        .where(approval_verdict.c.approval_id == approval_id)
        .order_by(approval_verdict.c.id)
    )
    rows = (await conn.execute(query)).mappings().all()
    known = await names(conn, {row[name] for row in rows for name in ("person_id", "on_behalf_of")})
    return [
        VerdictRow.model_validate(
            {
                **row,
                "person_name": known.get(row["person_id"], row["person_id"]),
                "on_behalf_of_name": known.get(row["on_behalf_of"] or "", row["on_behalf_of"]),
            }
        )
        for row in rows
    ]
