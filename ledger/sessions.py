"""Sessions of people in the console, kept on the server: only the hash of a session's token is stored.

It knows no cookie and checks no password; it says who a token belongs to, and until when.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Grant, Person
from ledger.prepared import Prepared
from ledger.tables import credential, person, person_role, session

if TYPE_CHECKING:
    from ledger.engine import Database
    from ledger.transaction import Transaction

LIFETIME = timedelta(hours=12)
IDLE = timedelta(hours=3)
TOUCH_EVERY = timedelta(minutes=2)


class Account(NamedTuple):
    """What is needed to check a password: the person and the argon2 hash."""

    person_id: str
    password_hash: str


class Session(NamedTuple):
    """A session that holds. `touch_due`: nobody has noted for a while that it is in use."""

    person: Person
    expires_at: datetime
    touch_due: bool


def hash_of(token: str) -> bytes:
    """SHA-256 of a token's text; the only form in which it is stored."""
    return hashlib.sha256(token.encode()).digest()


async def account(conn: AsyncConnection, email: str) -> Account | None:
    """The local account behind an address, whatever its case; None when there is none or the person has left."""
    found = await conn.execute(
        select(person.c.id, credential.c.password_hash)
        .join(credential, credential.c.person_id == person.c.id)
        .where(func.lower(person.c.email) == email.strip().lower(), person.c.active)
    )
    row = found.one_or_none()
    return Account(row.id, row.password_hash) if row else None


async def begin(database: "Database", person_id: str, token: str, *, replaces: str | None) -> datetime:
    """Store a new session for `token`, end the one it replaces, and return the instant at which it ends."""

    async def work(tx: "Transaction") -> datetime:
        if replaces:
            await _end(tx.conn, replaces)
        stored = await tx.conn.execute(
            insert(session)
            .values(
                token_hash=hash_of(token),
                person_id=person_id,
                created_at=func.clock_timestamp(),
                last_seen_at=func.clock_timestamp(),
                expires_at=func.clock_timestamp() + LIFETIME,
            )
            .returning(session.c.expires_at)
        )
        _record(tx, person_id, "signed_in")
        expires_at: datetime = stored.scalar_one()
        return expires_at

    return await database.write(work, actor=person_id, via="console")


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


_OF_TOKEN = Prepared(
    select(
        session.c.expires_at,
        (session.c.last_seen_at < func.clock_timestamp() - TOUCH_EVERY).label("touch_due"),
        person.c.id,
        person.c.name,
        person.c.email,
        *(person_role.c[name] for name in Grant._fields),
    )
    .join(person, person.c.id == session.c.person_id)
    .outerjoin(credential, credential.c.person_id == session.c.person_id)
    .outerjoin(person_role, person_role.c.person_id == session.c.person_id)
    .where(session.c.token_hash == bindparam("token_hash"), *_holds())
    .order_by(person_role.c.id)
)


async def session_of(conn: AsyncConnection, token: str) -> Session | None:
    """The session behind a token, with its person and their grants: one statement, since every page asks.

    None when it ended, expired, lay idle, or is older than the person's password.
    """
    rows = await _OF_TOKEN.rows(conn, token_hash=hash_of(token))
    if not rows:
        return None
    expires_at, touch_due, number, name, email = rows[0][:5]
    grants = tuple(Grant(*row[5:]) for row in rows if row["role"] is not None)
    return Session(Person(number, name, email or "", grants), expires_at, touch_due)


async def still_held(conn: AsyncConnection, hashes: Iterable[bytes]) -> dict[bytes, str]:
    """Those of many sessions, by the hash of their token, that hold now: the person of each."""
    rows = await conn.execute(
        select(session.c.token_hash, session.c.person_id)
        .join(person, person.c.id == session.c.person_id)
        .outerjoin(credential, credential.c.person_id == session.c.person_id)
        .where(session.c.token_hash.in_(list(hashes)), *_holds())
    )
    return {row.token_hash: row.person_id for row in rows}


async def touch(database: "Database", token: str) -> None:
    """Note that the session is in use."""

    async def work(tx: "Transaction") -> None:
        await tx.conn.execute(
            update(session)
            .where(session.c.token_hash == hash_of(token), session.c.ended_at.is_(None))
            .values(last_seen_at=func.clock_timestamp())
        )

    await database.write(work, actor="console", via="console")


async def end(database: "Database", token: str, person_id: str) -> None:
    """End one session; a token that is not known is left alone."""

    async def work(tx: "Transaction") -> None:
        await _end(tx.conn, token)
        _record(tx, person_id, "signed_out")

    await database.write(work, actor=person_id, via="console")


async def end_all(database: "Database", person_id: str) -> int:
    """End every session of a person; returns how many were open."""

    async def work(tx: "Transaction") -> int:
        ended = await tx.conn.execute(
            update(session)
            .where(session.c.person_id == person_id, session.c.ended_at.is_(None))
            .values(ended_at=func.clock_timestamp())
        )
        _record(tx, person_id, "signed_out_everywhere")
        return ended.rowcount

    return await database.write(work, actor=person_id, via="console")


async def _end(conn: AsyncConnection, token: str) -> None:
    await conn.execute(
        update(session)
        .where(session.c.token_hash == hash_of(token), session.c.ended_at.is_(None))
        .values(ended_at=func.clock_timestamp())
    )


def _record(tx: "Transaction", person_id: str, what: str) -> None:
    tx.record(what, f"person:{person_id}", datetime.now(UTC))
