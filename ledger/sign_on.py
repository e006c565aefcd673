"""Sessions that a provider of single sign-on begins: which person of ours an identity is; no answer counts twice.

The provider says who somebody is; what they may do stands in the table of people, before and after.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, or_, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotAllowed, NotFound, StateConflict
from ledger import sessions
from ledger.engine import Database
from ledger.people import person_by_email
from ledger.tables import person, person_identity, session
from ledger.transaction import Transaction


class SignedOn(NamedTuple):
    """A session that has begun: whose, and until when."""

    person_id: str
    expires_at: datetime


async def begin(
    database: Database,
    token: str,
    *,
    issuer: str,
    subject: str,
    email: str | None,
    proven_at: datetime | None,
    state: str,
    replaces: str | None,
    provider_session: str | None = None,
    lasts: timedelta = sessions.LIFETIME,
) -> SignedOn:
    """Begin a session for whoever the identity is, in place of an earlier one. `provider_session` is what the provider
    calls it.

    The first time, a verified `email` says which person that is; from then on the provider's own name for them does.
    Raises `NotAllowed` where it is nobody of ours, and `StateConflict` where `state` has begun a session before.
    """

    async def work(tx: Transaction) -> SignedOn:
        who = await _person_of(tx, issuer, subject, email)
        if replaces:
            await sessions.end_one(tx.conn, replaces)
        expires_at = await sessions.store(
            tx.conn, who, token, lasts=lasts, proven_at=proven_at, issuer=issuer, provider_session=provider_session,
            state_hash=sessions.hash_of(state),
        )  # fmt: skip
        if expires_at is None:
            raise StateConflict("This answer of the provider was used already. Begin to sign in again.")
        await sessions.record(tx, who, "signed_in")
        return SignedOn(who, expires_at)

    return await database.write(work, actor="console", via="console")


async def end(
    database: Database, *, issuer: str, subject: str | None, provider_session: str | None, before: datetime
) -> int:
    """End what the provider has ended: the session that it names, else all that it has begun for `subject`; returns how
    many there were. One that nobody knows its name of ends with any of its person's.

    Only those that had begun `before`: whoever has signed in since stays, should the same be said again.
    """
    of_person: ColumnElement[bool] = true()
    if subject is not None:
        mine = select(person_identity.c.person_id).where(
            person_identity.c.issuer == issuer, person_identity.c.subject == subject
        )
        of_person = session.c.person_id == mine.scalar_subquery()
    of_name: ColumnElement[bool] = true()
    if provider_session is not None:
        of_name = session.c.provider_session == provider_session
        if subject is not None:
            of_name = or_(of_name, session.c.provider_session.is_(None))

    async def work(tx: Transaction) -> int:
        ended = await tx.conn.execute(
            update(session)
            .where(
                session.c.issuer == issuer, session.c.ended_at.is_(None), session.c.created_at < before,
                of_person, of_name,
            )
            .values(ended_at=func.clock_timestamp())
            .returning(session.c.person_id)
        )  # fmt: skip
        whose = [row.person_id for row in ended]
        for who in sorted(set(whose)):
            await sessions.record(tx, who, "signed_out_by_provider")
        return len(whose)

    return await database.write(work, actor="console", via="console")


async def _person_of(tx: Transaction, issuer: str, subject: str, email: str | None) -> str:
    known = await tx.conn.execute(
        select(person.c.id, person.c.active)
        .join(person_identity, person_identity.c.person_id == person.c.id)
        .where(person_identity.c.issuer == issuer, person_identity.c.subject == subject)
    )
    if (row := known.first()) is not None:
        if not row.active:
            raise NotAllowed("You are known here, and may not sign in any more. Ask an administrator.")
        return str(row.id)
    if email is None:
        raise NotAllowed(
            "The provider does not vouch for your mail address, so Endcap cannot tell who you are. "
            "Ask an administrator to link your account (endcap link)."
        )
    found = await person_by_email(tx.conn, email)
    if found is None:
        raise NotAllowed("Nobody here has your mail address. Ask an administrator to add you.")
    await _link(tx, issuer, subject, found.id)
    return found.id


async def _link(tx: Transaction, issuer: str, subject: str, person_id: str) -> None:
    made = await tx.conn.execute(
        insert(person_identity)
        .values(issuer=issuer, subject=subject, person_id=person_id, linked_by=tx.actor)
        .on_conflict_do_nothing()
        .returning(person_identity.c.person_id)
    )
    if made.first() is None:
        raise NotAllowed(
            "Another account of the provider is linked to this person, or this account to another person. "
            "Ask an administrator to unlink it first (endcap unlink)."
        )
    tx.record("person.linked", f"person:{person_id}", await tx.now(), after={"issuer": issuer})


async def link(database: Database, email: str, issuer: str, subject: str) -> None:
    """Say which identity somebody is, for a provider that vouches for no address. Raises `NotFound`, `NotAllowed`."""

    async def work(tx: Transaction) -> None:
        await _link(tx, issuer, subject, await _by_email(tx.conn, email))

    await database.write(work, actor="operator", via="cli")


async def unlink(database: Database, email: str) -> int:
    """Forget which identities somebody is, and end their sessions; returns how many there were. The next sign-in links
    anew by the address. Raises `NotFound`, and `StateConflict` where there is nothing to forget.
    """

    async def work(tx: Transaction) -> int:
        who = await _by_email(tx.conn, email)
        gone = await tx.conn.execute(delete(person_identity).where(person_identity.c.person_id == who))
        if gone.rowcount == 0:
            raise StateConflict(f"No account of a provider is linked to {email}.")
        await sessions.end_every(tx.conn, who)
        tx.record("person.unlinked", f"person:{who}", await tx.now())
        return gone.rowcount

    return await database.write(work, actor="operator", via="cli")


async def _by_email(conn: AsyncConnection, email: str) -> str:
    found = await conn.execute(select(person.c.id).where(func.lower(person.c.email) == email.strip().lower()))
    who = found.scalar()
    if who is None:
        raise NotFound(f"There is nobody with the address {email}; load people.csv first.")
    return str(who)
