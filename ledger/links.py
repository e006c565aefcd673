"""Links in mails: one for each reader and thing, of whose token only the hash is kept. Approvers and customers alike.

A link says who reads about what; whether it still opens is a matter of its dates and of what became of the thing.
"""

import base64
import hashlib
import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import link
from ledger.transaction import Transaction


class Link(NamedTuple):
    """What a token opens. Exactly one of `approval_id`, `offer_id`, `journey_id` is set, and one of the readers."""

    approval_id: int | None
    offer_id: int | None
    journey_id: str | None
    person_id: str | None
    customer_id: str | None
    expires_at: datetime
    revoked_at: datetime | None


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
) -> str:
    """A new link; returns its token, which is stored nowhere. The database refuses one about two things."""
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
        )
    )
    return token


async def find(conn: AsyncConnection, token: str) -> Link | None:
    """What a token opens, or None for one that never was."""
    columns = [link.c[name] for name in Link._fields]
    row = (await conn.execute(select(*columns).where(link.c.token_hash == token_hash(token)))).first()
    return None if row is None else Link(*row)


async def revoke(tx: Transaction, at: datetime, *, approval_id: int | None = None, offer_id: int | None = None) -> None:
    """Links about a thing that has ended still say what became of it, and decide nothing."""
    about: ColumnElement[bool] = link.c.approval_id == approval_id if offer_id is None else link.c.offer_id == offer_id
    await tx.conn.execute(
        update(link).where(about, or_(link.c.revoked_at.is_(None), link.c.revoked_at > at)).values(revoked_at=at)
    )
