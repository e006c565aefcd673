"""Mail links of approvals: one for each approver and request."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import links, mails
from ledger.tables import approval, mail
from ledger.transaction import Transaction

AGAIN_AFTER = timedelta(hours=1)


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


async def mail_again(tx: Transaction, approval_id: int, person_id: str) -> datetime | None:
    """Have an approver sent a new link, at most one an hour; returns when that one was asked for, or None."""
    at = await tx.now()
    about = select(approval.c.case_id, approval.c.journey_id).where(approval.c.id == approval_id)
    row = (await tx.conn.execute(about)).one()
    asked = select(func.count(), func.max(mail.c.recorded_at)).where(
        mail.c.approval_id == approval_id, mail.c.person_id == person_id, mail.c.context["occasion"].astext == "again"
    )
    count, last = (await tx.conn.execute(asked)).one()
    if last is not None and last > at - AGAIN_AFTER:
        asked_at: datetime = last
        return asked_at
    await mails.queue(
        tx,
        template="approval_request",
        dedupe_key=f"approval:{approval_id}:again:{person_id}:{count}",  # two at once are one
        not_before=at - timedelta(days=1),  # due at once, whatever the clock of the request says
        person_id=person_id,
        approval_id=approval_id,
        case_id=row.case_id,
        journey_id=row.journey_id,
        context={"occasion": "again"},
    )
    tx.record("approval.link_asked", f"approval:{approval_id}", at)
    return None


async def revoke_links(tx: Transaction, approval_id: int, at: datetime) -> None:
    """Links of an approval that has ended still say what became of it, and decide nothing."""
    await links.revoke(tx, at, approval_id=approval_id)
