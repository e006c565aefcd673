"""Sessions of people in the console, kept on the server: only the hash of a session's token is stored.

It knows no cookie and checks no password; it says who a token belongs to, and until when.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, any_, bindparam, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Grant, Person
from ledger.engine import Database
from ledger.prepared import Prepared, Record
from ledger.tables import credential, person, person_role, session
from ledger.transaction import Transaction

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=3)
TOUCH_EVERY = timedelta(minutes=2)


class Account(NamedTuple):
    """What is needed to check a password: the person and the argon2 hash; and whether they are an administrator."""

    person_id: str
    password_hash: str
    is_admin: bool


class Session(NamedTuple):
    """A session that holds. `touch_due`: nobody has noted for a while that it is in use. `proven_at`: when its person
    last gave their password or proved themselves to the provider `issuer` (None: a local account)."""

    person: Person
    expires_at: datetime
    touch_due: bool
    proven_at: datetime | None
    issuer: str | None


def hash_of(token: str) -> bytes:
    """SHA-256 of a token's text; the only form in which it is stored."""
    return hashlib.sha256(token.encode()).digest()


async def account(conn: AsyncConnection, email: str) -> Account | None:
    """The local account behind an address, whatever its case; None when there is none or the person has left."""
    found = await conn.execute(
        select(
            person.c.id,
            credential.c.password_hash,
            exists().where(person_role.c.person_id == person.c.id, person_role.c.role == "admin").label("is_admin"),
        )
        .join(credential, credential.c.person_id == person.c.id)
        .where(func.lower(person.c.email) == email.strip().lower(), person.c.active)
    )
    row = found.one_or_none()
    return Account(row.id, row.password_hash, row.is_admin) if row else None


async def begin(database: Database, person_id: str, token: str, *, replaces: str | None) -> datetime:
    """Store a new session for `token`, end the one it replaces, and return the instant at which it ends."""

    async def work(tx: Transaction) -> datetime:
        if replaces:
            await end_one(tx.conn, replaces)
        expires_at = await store(tx.conn, person_id, token, proven_at=func.clock_timestamp())
        assert expires_at is not None  # nothing that could be there already
        await record(tx, person_id, "signed_in")
        return expires_at

    return await database.write(work, actor=person_id, via="console")


async def store(
    conn: AsyncConnection, person_id: str, token: str, *, lasts: timedelta = LIFETIME, **more: Any
) -> datetime | None:
    """The row of a new session; returns when it ends, or None where its `state_hash` has begun one before."""
    begins = func.statement_timestamp()  # read twice, the clock would tell two instants, and a length not `lasts`
    stored = await conn.execute(
        insert(session)
        .values(
            token_hash=hash_of(token),
            person_id=person_id,
            created_at=begins,
            last_seen_at=begins,
            expires_at=begins + lasts,
            **more,
        )
        .on_conflict_do_nothing(index_elements=["state_hash"])
        .returning(session.c.expires_at)
    )
    expires_at: datetime | None = stored.scalar_one_or_none()
    return expires_at


def _holds() -> tuple[ColumnElement[bool], ...]:
    """What a session must be to count: neither ended, expired nor idle, and no older than the person's password."""
    now = func.clock_timestamp()
    return (
        session.c.ended_at.is_(None),
        session.c.expires_at > now,
        session.c.last_seen_at > now - IDLE,
        session.c.created_at >= func.coalesce(credential.c.changed_at, session.c.created_at),
        person.c.active,
    )


_OF_TOKENS = Prepared(
    select(
        session.c.token_hash,
        session.c.expires_at,
        (session.c.last_seen_at < func.clock_timestamp() - TOUCH_EVERY).label("touch_due"),
        session.c.proven_at,
        session.c.issuer,
        person.c.id,
        person.c.name,
        person.c.email,
        *(person_role.c[name] for name in Grant._fields),
    )
    .join(person, person.c.id == session.c.person_id)
    .outerjoin(credential, credential.c.person_id == session.c.person_id)
    .outerjoin(person_role, person_role.c.person_id == session.c.person_id)
    .where(session.c.token_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))), *_holds())
    .order_by(person_role.c.id)
)


async def sessions_of(conn: AsyncConnection, tokens: Iterable[str]) -> dict[str, Session]:
    """The sessions behind tokens, each with its person and their grants: one statement, since every page asks.

    One that ended, expired, lay idle, or is older than the person's password is left out.
    """
    by_hash = {hash_of(token): token for token in tokens}
    found: dict[str, list[Record]] = defaultdict(list)
    for row in await _OF_TOKENS.rows(conn, hashes=list(by_hash)):
        found[by_hash[row["token_hash"]]].append(row)
    return {token: _session(rows) for token, rows in found.items()}


def _session(rows: Sequence[Record]) -> Session:
    """Out of its rows, one for each grant."""
    _, expires_at, touch_due, proven_at, issuer, number, name, email = rows[0][:8]
    grants = tuple(Grant(*row[8:]) for row in rows if row["role"] is not None)
    return Session(Person(number, name, email or "", grants), expires_at, touch_due, proven_at, issuer)


async def session_of(conn: AsyncConnection, token: str) -> Session | None:
    """The session behind one token; None as `sessions_of` leaves it out."""
    return (await sessions_of(conn, [token])).get(token)


async def still_held(conn: AsyncConnection, hashes: Iterable[bytes]) -> dict[bytes, str]:
    """Those of many sessions, by the hash of their token, that hold now: the person of each."""
    rows = await conn.execute(
        select(session.c.token_hash, session.c.person_id)
        .join(person, person.c.id == session.c.person_id)
        .outerjoin(credential, credential.c.person_id == session.c.person_id)
        .where(session.c.token_hash.in_(list(hashes)), *_holds())
    )
    return {row.token_hash: row.person_id for row in rows}


async def touch(database: Database, token: str) -> None:
    """Note that the session is in use."""

    async def work(tx: Transaction) -> None:
        await tx.conn.execute(
            update(session)
            .where(session.c.token_hash == hash_of(token), session.c.ended_at.is_(None))
            .values(last_seen_at=func.clock_timestamp())
        )

    await database.write(work, actor="console", via="console")


async def end(database: Database, token: str, person_id: str) -> str | None:
    """End one session; a token that is not known is left alone. Returns the provider that had begun it, if one had."""

    async def work(tx: Transaction) -> str | None:
        issuer = await end_one(tx.conn, token)
        await record(tx, person_id, "signed_out")
        return issuer

    return await database.write(work, actor=person_id, via="console")


async def end_all(database: Database, person_id: str) -> int:
    """End every session of a person; returns how many were open."""

    async def work(tx: Transaction) -> int:
        ended = await end_every(tx.conn, person_id)
        await record(tx, person_id, "signed_out_everywhere")
        return ended

    return await database.write(work, actor=person_id, via="console")


async def end_every(conn: AsyncConnection, person_id: str) -> int:
    """End every session of a person within somebody's transaction; returns how many were open."""
    ended = await conn.execute(
        update(session)
        .where(session.c.person_id == person_id, session.c.ended_at.is_(None))
        .values(ended_at=func.clock_timestamp())
    )
    return ended.rowcount


async def end_one(conn: AsyncConnection, token: str) -> str | None:
    """End a session within somebody's transaction; returns the provider that had begun it, if one had."""
    ended = await conn.execute(
        update(session)
        .where(session.c.token_hash == hash_of(token), session.c.ended_at.is_(None))
        .values(ended_at=func.clock_timestamp())
        .returning(session.c.issuer)
    )
    issuer: str | None = ended.scalar_one_or_none()
    return issuer


async def record(tx: Transaction, person_id: str, what: str) -> None:
    """Say in the audit what a person has done with a session."""
    tx.record(what, f"person:{person_id}", await tx.now(), who=person_id)
