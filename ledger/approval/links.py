"""Mail links of approvals: one for each approver and request."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import links
from ledger.tables import approval
from ledger.transaction import Transaction


class LinkRow(NamedTuple):
    """A mail link: whose it is, for what, and whether it still opens."""

    approval_id: int
    person_id: str
    expires_at: datetime
    revoked_at: datetime | None
    state: str
    asks_code: bool
    is_locked: bool  # the code was wrong too often


async def create_link(
    tx: Transaction, approval_id: int, person_id: str, *, expires_at: datetime, code: str | None = None
) -> str:
    """A new link for one approver; returns the token, of which only the hash is kept."""
    return await links.create(tx, approval_id=approval_id, person_id=person_id, expires_at=expires_at, code=code)


async def link(conn: AsyncConnection, token: str) -> LinkRow | None:
    """What a token opens, or None for one that never was, or that is no approver's."""
    found = await links.find(conn, token)
    if found is None or found.approval_id is None or found.person_id is None:
        return None
    state = await conn.execute(select(approval.c.state).where(approval.c.id == found.approval_id))
    return LinkRow(
        found.approval_id,
        found.person_id,
        found.expires_at,
        found.revoked_at,
        state.scalar_one(),
        asks_code=found.code_hash is not None,
        is_locked=found.is_locked,
    )


async def revoke_links(tx: Transaction, approval_id: int, at: datetime) -> None:
    """Links of an approval that has ended still say what became of it, and decide nothing."""
    await links.revoke(tx, at, approval_id=approval_id)
