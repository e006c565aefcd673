"""Which requests wait for somebody's answer: the people whom `ledger.verdicts` tells of a question by mail."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Grant, Person
from ledger.tables import approval, approval_verdict, person, person_note, person_role

STANDS_IN = ("regional_ops", "admin")  # for whoever reads no mail; the second where there is nobody of the first


class Question(NamedTuple):
    """What an approver wants to know before deciding."""

    by_name: str
    at: datetime
    text: str


def covers(grant: Grant, columns: Any) -> ColumnElement[bool]:
    """Whether a place that three columns name is within a grant."""
    pairs = ((columns.entity, grant.entity), (columns.region, grant.region), (columns.location, grant.location))
    return and_(true(), *(column == word for column, word in pairs if word))


def put_to(viewer: Person) -> ColumnElement[bool]:
    """Pending requests with an open question that the viewer is to answer: about what they have asked for, or, at their
    place, about what a system, a customer or a policy has. Nobody answers what they want to know themselves.
    """
    row = approval.c
    is_no_person = or_(row.requester == "endcap", row.requester.like("key:%"), row.requester.like("customer:%"))
    first, then = (_at_place(viewer, role) for role in STANDS_IN)
    in_their_stead = and_(is_no_person, ~_wants_to_know(viewer.id), or_(first, and_(then, ~_somebody(STANDS_IN[0]))))
    return and_(row.state == "pending", row.paused_at.is_not(None), or_(row.requester == viewer.id, in_their_stead))


def _at_place(viewer: Person, role: str) -> ColumnElement[bool]:
    return or_(~true(), *(covers(grant, approval.c) for grant in viewer.grants if grant.role == role))


def _wants_to_know(who: Any) -> ColumnElement[bool]:
    """Whether somebody has asked since the last answer."""
    said, before = approval_verdict.alias().c, approval_verdict.alias().c
    answered = select(func.max(before.id)).where(before.approval_id == approval.c.id, before.verdict == "answer")
    return exists().where(
        said.approval_id == approval.c.id,
        said.verdict == "ask",
        said.person_id == who,
        said.id > func.coalesce(answered.scalar_subquery(), 0),
    )


def _somebody(role: str) -> ColumnElement[bool]:
    """Whether anybody holds the role there who has not asked themselves."""
    held = person_role.c
    return exists().where(
        person.c.id == held.person_id,
        person.c.active,
        held.role == role,
        *(held[name].in_(("", approval.c[name])) for name in ("entity", "region", "location")),
        ~_wants_to_know(person.c.id),
    )


async def open_questions(conn: AsyncConnection, approval_ids: Collection[int]) -> dict[int, Question]:
    """The latest question about each of some requests."""
    said = approval_verdict.c
    rows = await conn.execute(
        select(said.approval_id, person.c.name, said.at, person_note.c.text)
        .join(person, person.c.id == said.person_id)
        .join(person_note, person_note.c.id == said.note_id)
        .where(said.approval_id.in_(sorted(approval_ids)), said.verdict == "ask")
        .order_by(said.id)
    )
    return {row.approval_id: Question(row.name, row.at, row.text) for row in rows}
