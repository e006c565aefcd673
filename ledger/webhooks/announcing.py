"""Queues a message that no change of a state makes by itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from ledger.transaction import Transaction

_ANNOUNCE = text("SELECT announce(:what, :about, :subject, CAST(:at AS timestamptz), :data)").bindparams(
    bindparam("data", type_=JSONB)
)


async def announce(
    tx: Transaction, what: str, *, about: str | None, subject: str, at: datetime, data: Mapping[str, Any]
) -> None:
    """Queue `what` (`refund.requested`) for every active endpoint that asked for it and hears of the source `about`.

    `data` holds ids, states and figures, never personal data. Where nobody listens, nothing is queued.
    """
    values = {"what": what, "about": about, "subject": subject, "at": at, "data": dict(data)}
    await tx.conn.execute(_ANNOUNCE, values)
