"""Who is who: people with their grants, keys with their scopes, and the people behind a role at a place."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ARRAY, Text, and_, any_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Grant, Person
from ledger.prepared import Prepared
from ledger.tables import api_key, person, person_alias, person_role


class Caller(NamedTuple):
    """A key: the source that it speaks for, and what it may do. `person` stands behind a personal token."""

    key_id: str
    source: str
    scopes: frozenset[str]
    sources: frozenset[str]
    person: Person | None
    act_as: frozenset[str]

    @classmethod
    def on_page(cls, person: Person, source: str, sources: frozenset[str] = frozenset()) -> "Caller":
        """Somebody who acts on a page of `source`: by their own roles, and by the scopes of no key."""
        return cls(person.id, source, frozenset(), sources, person, frozenset())


def key_hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


async def _people(conn: AsyncConnection, rows: Iterable[tuple[str, str, str | None]]) -> list[Person]:
    found = list(rows)
    grants: dict[str, list[Grant]] = {row[0]: [] for row in found}
    for grant in await conn.execute(
        select(person_role).where(person_role.c.person_id.in_(list(grants))).order_by(person_role.c.id)
    ):
        grants[grant.person_id].append(Grant(grant.role, grant.entity, grant.region, grant.location))
    return [Person(row[0], row[1], row[2] or "", tuple(grants[row[0]])) for row in found]


_COLUMNS = (person.c.id, person.c.name, person.c.email)


async def person_by_id(conn: AsyncConnection, person_id: str) -> Person | None:
    """An active person, or None."""
    rows = await conn.execute(select(*_COLUMNS).where(person.c.id == person_id, person.c.active))
    found = await _people(conn, (tuple(row) for row in rows))
    return found[0] if found else None


async def people_by_id(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, Person]:
    """Those of these people who are active, by id."""
    rows = await conn.execute(select(*_COLUMNS).where(person.c.id.in_(sorted(set(ids))), person.c.active))
    return {one.id: one for one in await _people(conn, (tuple(row) for row in rows))}


async def by_ids(conn: AsyncConnection, ids: Iterable[str]) -> list[Person]:
    """Active people by their ids, however these are written; whom there is not is left out."""
    wanted = sorted({one.lower() for one in ids})
    if not wanted:
        return []
    rows = await conn.execute(select(*_COLUMNS).where(func.lower(person.c.id).in_(wanted), person.c.active))
    return await _people(conn, (tuple(row) for row in rows))


async def person_by_email(conn: AsyncConnection, email: str) -> Person | None:
    """An active person by e-mail address, whatever its case, or None."""
    rows = await conn.execute(select(*_COLUMNS).where(func.lower(person.c.email) == email.lower(), person.c.active))
    found = await _people(conn, (tuple(row) for row in rows))
    return found[0] if found else None


async def caller_of_key(conn: AsyncConnection, key: str) -> Caller | None:
    """Who a bearer key speaks for, or None when it is unknown, revoked, or was replaced and its time is over."""
    given = key_hash(key)
    is_older = and_(api_key.c.older_hash == given, api_key.c.older_until > func.clock_timestamp())
    found = await conn.execute(
        select(api_key).where(or_(api_key.c.key_hash == given, is_older), api_key.c.revoked_at.is_(None))
    )
    row = found.mappings().first()
    if row is None:
        return None
    behind = await person_by_id(conn, row["person_id"]) if row["person_id"] else None
    if row["person_id"] and behind is None:
        return None
    return Caller(
        key_id=row["id"],
        source=row["source"],
        scopes=frozenset(row["scopes"]),
        sources=frozenset(row["sources"]),
        person=behind,
        act_as=frozenset(row["act_as"]),
    )


_NAMES = Prepared(select(person.c.id, person.c.name).where(person.c.id == any_(bindparam("ids", type_=ARRAY(Text)))))


async def names(conn: AsyncConnection, ids: Iterable[str | None]) -> dict[str, str]:
    """Names of people by id; `endcap` and keys keep their own word."""
    wanted = sorted({one for one in ids if one})
    return {row[0]: row[1] for row in await _NAMES.rows(conn, ids=wanted)} if wanted else {}


async def holders_of_role(
    conn: AsyncConnection, role: str, *, entity: str, region: str, location: str
) -> Sequence[Person]:
    """Active people who hold a role whose scope covers the place, by id."""
    rows = await conn.execute(
        select(*_COLUMNS)
        .join(person_role, person_role.c.person_id == person.c.id)
        .where(
            person.c.active,
            person_role.c.role == role,
            person_role.c.entity.in_(("", entity)),
            person_role.c.region.in_(("", region)),
            person_role.c.location.in_(("", location)),
        )
        .group_by(*_COLUMNS)
        .order_by(person.c.id)
    )
    return await _people(conn, (tuple(row) for row in rows))


async def known_actor(conn: AsyncConnection, source: str, alias: str) -> str | None:
    """The person with that id, or that alias in the source; None for an actor whom nobody knows."""
    found = await conn.execute(
        select(person.c.id)
        .outerjoin(person_alias, person_alias.c.person_id == person.c.id)
        .where(or_(person.c.id == alias, (person_alias.c.source == source) & (person_alias.c.alias == alias)))
    )
    one: str | None = found.scalars().first()
    return one


async def resolve_actor(conn: AsyncConnection, source: str, alias: str, location: str) -> list[str]:
    """The people that an actor in an event stands for: the one with that id or alias, else everybody at the location.

    An unknown actor counts as everyone there, so that an approver must come from outside.
    """
    known = await known_actor(conn, source, alias)
    if known is not None:
        return [known]
    everybody = await conn.execute(select(person.c.id).where(person.c.home_location == location).order_by(person.c.id))
    return list(everybody.scalars())
