"""Lets people and systems in: passwords of local accounts, and keys with their scopes. Only hashes are stored."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from argon2 import PasswordHasher
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from domain.errors import Malformed, NotFound
from domain.texts import settled
from ledger.engine import Database
from ledger.people import key_hash
from ledger.tables import api_key, credential, person, session
from ledger.transaction import Transaction

SCOPES = (
    "orders:write",
    "events:write",
    "stock:adjust",
    "promotions:write",
    "claims:write",
    "customers:erase",
    "webhooks",
    "read",
    "decide",
    "approve",
    "act_as",
)
MIN_PASSWORD = 12
_NO_OLDER = {"older_hash": None, "older_until": None}
LONGEST_OLDER = timedelta(days=30)


def password_hasher() -> PasswordHasher:
    """Argon2id at the least cost that OWASP recommends; one for all, or sign-in would tell by its time who is there."""
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


async def set_password(database: Database, email: str, password: str) -> None:
    """Give a person a local account, or a new password; their sessions end. Raises `NotFound`, `Malformed`."""
    if len(password) < MIN_PASSWORD:
        raise Malformed(f"A password needs at least {MIN_PASSWORD} characters.")
    try:
        hashed = password_hasher().hash(settled(password))  # as a form brings it
    except ValueError as error:
        raise Malformed(str(error)) from error

    async def work(tx: Transaction) -> None:
        found = await tx.conn.execute(select(person.c.id).where(func.lower(person.c.email) == email.lower()))
        who = found.scalar()
        if who is None:
            raise NotFound(f"There is nobody with the address {email}; load people.csv first.")
        now = await tx.now()
        await tx.conn.execute(
            insert(credential)
            .values(person_id=who, password_hash=hashed, changed_at=now)
            .on_conflict_do_update(index_elements=["person_id"], set_={"password_hash": hashed, "changed_at": now})
        )
        await tx.conn.execute(
            update(session).where(session.c.person_id == who, session.c.ended_at.is_(None)).values(ended_at=now)
        )
        tx.record("person.password_set", f"person:{who}", now)

    await database.write(work, actor="operator", via="cli")


async def create_key(
    database: Database,
    key_id: str,
    source: str,
    scopes: Sequence[str],
    *,
    sources: Sequence[str] = (),
    person_id: str | None = None,
) -> str:
    """A new key for a source, or a person's own token; returns the key, which is shown once.

    `sources` are other sources whose orders it may name. Raises `Malformed` for an unknown scope or an id that is
    taken, `NotFound` for an unknown person.
    """
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise Malformed(f"There is no scope {', '.join(unknown)}; the scopes are {', '.join(SCOPES)}.")
    if "approve" in scopes and person_id is None:
        raise Malformed("Only a person's own token may approve; name the person.")
    key = _new_key(source)

    async def work(tx: Transaction) -> None:
        if person_id is not None:
            found = await tx.conn.execute(select(person.c.id).where(person.c.id == person_id))
            if found.first() is None:
                raise NotFound(f"There is no person {person_id}; load people.csv first.")
        now = await tx.now()
        made = await tx.conn.execute(
            insert(api_key)
            .values(
                id=key_id,
                key_hash=key_hash(key),
                source=source,
                scopes=list(scopes),
                sources=list(sources),
                person_id=person_id,
                created_at=now,
            )
            .on_conflict_do_nothing()
            .returning(api_key.c.id)
        )
        if made.first() is None:
            raise Malformed(f"There is a key {key_id} already; choose another id.")
        tx.record("key.created", f"key:{key_id}", now, after={"source": source, "scopes": list(scopes)})

    await database.write(work, actor="operator", via="cli")
    return key


def _new_key(source: str) -> str:
    return f"endcap_{source}_{secrets.token_urlsafe(32)}"


async def rotate_key(database: Database, key_id: str, *, older_for: timedelta) -> str:
    """A new key in place of the one that holds, which goes on beside it for `older_for`; returns the new one, once.

    A key that was replaced before ends now: there are never more than two. Raises `NotFound` for one that does not
    hold, `Malformed` for a time that is none or longer than 30 days.
    """
    if not timedelta(0) <= older_for <= LONGEST_OLDER:
        raise Malformed("The key before may go on for 0 to 720 hours.")

    async def work(tx: Transaction) -> str:
        now = await tx.now()
        holds = (api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        row = (await tx.conn.execute(select(api_key).where(*holds).with_for_update())).mappings().first()
        if row is None:
            raise NotFound(f"There is no key {key_id} that holds.")
        key = _new_key(row["source"])
        older = {"older_hash": row["key_hash"], "older_until": now + older_for} if older_for else _NO_OLDER
        await tx.conn.execute(update(api_key).where(*holds).values(key_hash=key_hash(key), **older))
        hours = older_for.total_seconds() / 3600
        tx.record("key.rotated", f"key:{key_id}", now, after={"older_for_hours": hours})
        return key

    return await database.write(work, actor="operator", via="cli")


async def revoke_key(database: Database, key_id: str) -> None:
    """End a key at once, and the one that it has replaced. Raises `NotFound` for one that does not hold."""

    async def work(tx: Transaction) -> None:
        now = await tx.now()
        ended = await tx.conn.execute(
            update(api_key)
            .where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(api_key.c.id)
        )
        if ended.first() is None:
            raise NotFound(f"There is no key {key_id} that holds.")
        tx.record("key.revoked", f"key:{key_id}", now)

    await database.write(work, actor="operator", via="cli")
