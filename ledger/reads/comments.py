"""Reads of comments: who was told, who is waiting to be read, who can be told."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Select, Text, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_kinds import KINDS
from domain.people import Person
from ledger.prepared import Prepared, Row
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


async def told_on(conn: AsyncConnection, case_id: int) -> dict[int, list[Colleague]]:
    """Who was told of each comment of a case, by the number of its event."""
    return by_event(await _TOLD.rows(conn, case_id=case_id))


async def colleagues(conn: AsyncConnection, entity: str, region: str, location: str, *, but: str) -> list[Colleague]:
    """Active people who see a place, those nearest to it first; at most `MOST_OFFERED`, without `but`."""
    place = {"entity": entity, "region": region, "location": location}
    return by_person(await _COLLEAGUES.rows(conn, place, viewer=but))


_CASE = bindparam("case_id", type_=BigInteger)
_VIEWER = bindparam("viewer", type_=Text)
# Comments of a case that mention the viewer and that they have not answered, the oldest first.
UNANSWERED = (
    select(person.c.name, case_event.c.at, person_note.c.text)
    .select_from(case_event)
    .join(person, person.c.id == case_event.c.actor)
    .join(person_note, person_note.c.id == case_event.c.note_id)
    .join(mention, mention.c.event_id == case_event.c.id)
    .where(mention.c.case_id == _CASE, mention.c.person_id == _VIEWER, mention.c.seen_at.is_(None))
    .order_by(case_event.c.id)
)
TOLD = (
    select(mention.c.event_id, person.c.id, person.c.name)
    .join(person, person.c.id == mention.c.person_id)
    .where(mention.c.case_id == _CASE)
    .order_by(mention.c.id)
)
# People who see a place, other than the viewer: a row for each of their roles there.
COLLEAGUES = (
    select(person.c.id, person.c.name, person_role.c.role)
    .join(person_role, person_role.c.person_id == person.c.id)
    .where(
        person.c.active,
        person.c.id != _VIEWER,
        *(
            or_(person_role.c[name] == "", person_role.c[name] == bindparam(name, type_=Text))
            for name in ("entity", "region", "location")
        ),
    )
    .order_by(person_role.c.location == "", person_role.c.region == "", person.c.name, person_role.c.role)
    .limit(10 * MOST_OFFERED)
)
_TOLD, _COLLEAGUES = Prepared(TOLD), Prepared(COLLEAGUES)


def by_event(rows: Iterable[Row]) -> dict[int, list[Colleague]]:
    """Rows of `TOLD`."""
    found: dict[int, list[Colleague]] = {}
    for row in rows:
        found.setdefault(row["event_id"], []).append(Colleague(row["id"], row["name"], ()))
    return found


def by_person(rows: Iterable[Row]) -> list[Colleague]:
    """Rows of `COLLEAGUES`: each person once, with every role."""
    found: dict[str, Colleague] = {}
    for row in rows:
        before = found.get(row["id"], Colleague(row["id"], row["name"], ()))
        found[row["id"]] = before._replace(roles=tuple(dict.fromkeys((*before.roles, row["role"]))))
    return list(found.values())[:MOST_OFFERED]
