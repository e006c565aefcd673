"""Mail links of approvals: one for each approver and request, of which only the hash is kept."""

import base64
import hashlib
import secrets
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.tables import approval, approval_link
from ledger.transaction import Transaction


class LinkRow(NamedTuple):
    """A mail link: whose it is, for what, and whether it still opens."""

    approval_id: int
    person_id: str
    expires_at: datetime
    revoked_at: datetime | None
    state: str


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def create_link(tx: Transaction, approval_id: int, person_id: str, *, expires_at: datetime) -> str:
    """A new link for one approver; returns the token, of which only the hash is kept."""
    token = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    await tx.conn.execute(
        insert(approval_link).values(
            token_hash=token_hash(token),
            approval_id=approval_id,
            person_id=person_id,
            created_at=await tx.now(),
            expires_at=expires_at,
        )
    )
    return token


async def link(conn: AsyncConnection, token: str) -> LinkRow | None:
    """What a token opens, or None for one that never was."""
    row = (
        (
            await conn.execute(
                select(approval_link, approval.c.state)
                .join(approval, approval.c.id == approval_link.c.approval_id)
                .where(approval_link.c.token_hash == token_hash(token))
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    return LinkRow(row["approval_id"], row["person_id"], row["expires_at"], row["revoked_at"], row["state"])


async def revoke_links(tx: Transaction, approval_id: int, at: datetime) -> None:
    """Links of an approval that has ended still say what became of it, and decide nothing."""
    await tx.conn.execute(
        update(approval_link)
        .where(
            approval_link.c.approval_id == approval_id,
            or_(approval_link.c.revoked_at.is_(None), approval_link.c.revoked_at > at),
        )
        .values(revoked_at=at)
    )
