"""Reads of comments: who was told, who is waiting to be read, who can be told."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_kinds import KINDS
from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import case_event, case_file, mention, person, person_note, person_role

MOST_SHOWN = 20
MOST_OFFERED = 60


class Comment(NamedTuple):
    """A comment as the one who was told of it reads it."""

    by_name: str
    at: datetime
    text: str


class Mentioned(NamedTuple):
    """A comment that somebody has not answered yet, with its case."""

    case_id: int
    title: str
    subject: str
    location: str
    comment: Comment


class Colleague(NamedTuple):
    """Somebody who sees the case, with the roles by which they do."""

    id: str
    name: str
    roles: tuple[str, ...]


def _comments() -> Select[Any]:
    return (
        select(case_event.c.id, person.c.name, case_event.c.at, person_note.c.text, case_event.c.case_id)
        .join(person, person.c.id == case_event.c.actor)
        .join(person_note, person_note.c.id == case_event.c.note_id)
    )


async def comment_of(conn: AsyncConnection, event_id: int) -> Comment | None:
    """One comment; None where its text was erased."""
    row = (await conn.execute(_comments().where(case_event.c.id == event_id))).one_or_none()
    return None if row is None else Comment(row[1], row[2], row[3])


async def unanswered(conn: AsyncConnection, viewer: Person) -> list[Mentioned]:
    """Comments that mention the viewer and that they have not answered or marked as seen, the newest first."""
    rows = await conn.execute(
        _comments()
        .add_columns(case_file.c.kind, case_file.c.subject, case_file.c.location)
        .join(mention, mention.c.event_id == case_event.c.id)
        .join(case_file, case_file.c.id == mention.c.case_id)
        .where(mention.c.person_id == viewer.id, mention.c.seen_at.is_(None), visible(case_file.c, viewer))
        .order_by(case_event.c.id.desc())
        .limit(MOST_SHOWN)
    )
    return [
        Mentioned(row[4], KINDS[row[5]].title if row[5] in KINDS else row[5], row[6], row[7], Comment(*row[1:4]))
        for row in rows
    ]


async def unanswered_on(conn: AsyncConnection, viewer: Person, case_id: int) -> list[Comment]:
    """The same of one case, which the viewer may see, the oldest first."""
    rows = await conn.execute(
        _comments()
        .join(mention, mention.c.event_id == case_event.c.id)
        .where(mention.c.case_id == case_id, mention.c.person_id == viewer.id, mention.c.seen_at.is_(None))
        .order_by(case_event.c.id)
    )
    return [Comment(row[1], row[2], row[3]) for row in rows]


async def told_on(conn: AsyncConnection, case_id: int) -> dict[int, list[Colleague]]:
    """Who was told of each comment of a case, by the number of its event."""
    rows = await conn.execute(
        select(mention.c.event_id, person.c.id, person.c.name)
        .join(person, person.c.id == mention.c.person_id)
        .where(mention.c.case_id == case_id)
        .order_by(mention.c.id)
    )
    found: dict[int, list[Colleague]] = {}
    for event_id, person_id, name in rows:
        found.setdefault(event_id, []).append(Colleague(person_id, name, ()))
    return found


async def colleagues(conn: AsyncConnection, entity: str, region: str, location: str, *, but: str) -> list[Colleague]:
    """Active people who see a place, those nearest to it first; at most `MOST_OFFERED`, without `but`."""
    rows = await conn.execute(
        select(person.c.id, person.c.name, person_role.c.role, person_role.c.location, person_role.c.region)
        .join(person_role, person_role.c.person_id == person.c.id)
        .where(
            person.c.active,
            person.c.id != but,
            person_role.c.entity.in_(("", entity)),
            person_role.c.region.in_(("", region)),
            person_role.c.location.in_(("", location)),
        )
        .order_by(person_role.c.location == "", person_role.c.region == "", person.c.name, person_role.c.role)
        .limit(10 * MOST_OFFERED)
    )
    found: dict[str, Colleague] = {}
    for person_id, name, role, _, _ in rows:
        before = found.get(person_id, Colleague(person_id, name, ()))
        found[person_id] = before._replace(roles=tuple(dict.fromkeys((*before.roles, role))))
    return list(found.values())[:MOST_OFFERED]
