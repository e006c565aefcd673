"""The withdrawal of an approval whose facts have changed."""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.ids import approval_target
from domain.messages import Message
from ledger.approval.links import revoke_links
from ledger.tables import approval, audit
from ledger.transaction import Transaction


async def supersede(tx: Transaction, approval_id: int, at: datetime) -> None:
    """The facts have changed: a pending request is withdrawn. Its row is locked by this transaction."""
    ended = await tx.conn.execute(
        update(approval)
        .where(approval.c.id == approval_id, approval.c.state == "pending")
        .values(state="superseded", next_at=None, version=approval.c.version + 1)
        .returning(approval.c.id)
    )
    if ended.first() is not None:
        await revoke_links(tx, approval_id, at)
        tx.record("approval.superseded", f"approval:{approval_id}", at)
        tx.tell(approval_target(approval_id), Message.APPROVAL_CLOSED)


async def superseded_at(conn: AsyncConnection, approval_id: int) -> datetime | None:
    """When a request was withdrawn; None where it was not."""
    found = select(func.max(audit.c.at)).where(
        audit.c.on_what == f"approval:{approval_id}", audit.c.what == "approval.superseded"
    )
    at: datetime | None = (await conn.execute(found)).scalar_one()
    return at
