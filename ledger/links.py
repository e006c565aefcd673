"""Links in mails: one for each reader and thing, of whose token only the hash is kept. Approvers and customers alike.

A link says who reads about what; whether it still opens is a matter of its dates and of what became of the thing.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotAllowed
from ledger.engine import Database
from ledger.tables import link
from ledger.transaction import Transaction

MISSES = 5  # wrong codes that a link bears


class Link(NamedTuple):
    """What a token opens. Exactly one of `approval_id`, `offer_id`, `journey_id` is set, and one of the readers."""

    approval_id: int | None
    offer_id: int | None
    journey_id: str | None
    person_id: str | None
    customer_id: str | None
    expires_at: datetime
    revoked_at: datetime | None
    code_hash: bytes | None
    code_misses: int

    @property
    def is_locked(self) -> bool:
        return self.code_misses >= MISSES

    @property
    def asks_code(self) -> bool:
        return self.code_hash is not None


def new_code() -> str:
    """Six digits for a mail; the page asks for them before it takes an answer."""
    return f"{secrets.randbelow(1_000_000):06}"


def _code_hash(token: str, code: str) -> bytes:
    """Of both together: who has read the table has no token to try the codes with."""
    return hashlib.sha256(f"{token}\n{code}".encode()).digest()


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def create(
    tx: Transaction,
    *,
    expires_at: datetime,
    approval_id: int | None = None,
    offer_id: int | None = None,
    journey_id: str | None = None,
    person_id: str | None = None,
    customer_id: str | None = None,
    code: str | None = None,
) -> str:
    """A new link; returns its token, which is stored nowhere. The database refuses one about two things.

    `code` is what the page asks for before it takes an answer; None asks for nothing.
    """
    token = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    await tx.conn.execute(
        insert(link).values(
            token_hash=token_hash(token),
            approval_id=approval_id,
            offer_id=offer_id,
            journey_id=journey_id,
            person_id=person_id,
            customer_id=customer_id,
            created_at=await tx.now(),
            expires_at=expires_at,
            code_hash=_code_hash(token, code) if code is not None else None,
        )
    )
    return token


async def find(conn: AsyncConnection, token: str) -> Link | None:
    """What a token opens, or None for one that never was."""
    columns = [link.c[name] for name in Link._fields]
    row = (await conn.execute(select(*columns).where(link.c.token_hash == token_hash(token)))).first()
    return None if row is None else Link(*row)


async def check_code(database: Database, token: str, code: str, *, then: str = "Ask for a new one.") -> None:
    """Raise `NotAllowed` unless the code is the one of the mail; after five wrong ones the link takes none any more,
    and `then` says what to do.

    A miss is counted in a transaction of its own, whatever the answer leads to.
    """

    async def work(tx: Transaction) -> int | None:
        wanted = select(link.c.code_hash, link.c.code_misses).where(link.c.token_hash == token_hash(token))
        row = (await tx.conn.execute(wanted.with_for_update())).one()
        if row.code_misses >= MISSES:
            return 0
        if row.code_hash is None or hmac.compare_digest(row.code_hash, _code_hash(token, "".join(code.split()))):
            return None
        counted = update(link).where(link.c.token_hash == token_hash(token)).values(code_misses=row.code_misses + 1)
        await tx.conn.execute(counted)
        return MISSES - int(row.code_misses) - 1

    left = await database.write(work, actor="link", via="link")
    if left == 0:
        raise NotAllowed(f"The code was wrong five times: this link takes no answer any more. {then}")
    if left is not None:
        tries = "one try is" if left == 1 else f"{left} tries are"
        raise NotAllowed(f"This is not the code of the mail. It has six digits; {tries} left.")


async def revoke(tx: Transaction, at: datetime, *, approval_id: int | None = None, offer_id: int | None = None) -> None:
    """Links about a thing that has ended still say what became of it, and decide nothing."""
    about: ColumnElement[bool] = link.c.approval_id == approval_id if offer_id is None else link.c.offer_id == offer_id
    await tx.conn.execute(
        update(link).where(about, or_(link.c.revoked_at.is_(None), link.c.revoked_at > at)).values(revoked_at=at)
    )
