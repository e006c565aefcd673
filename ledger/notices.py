"""Tells customers that their order has come in: queued by a sweep, so that the intake of orders bears no cost of it.

New orders are read off the outbox, whose numbers only grow. Every other notice is queued by the transaction that it
speaks of (`Order.mail_customer`).
"""

from sqlalchemy import text

from ledger.engine import Database
from ledger.transaction import Transaction

LOOK_BACK = 20_000  # messages that a worker looks back over when it starts
_NEWEST = text("SELECT coalesce(max(id), 0) FROM outbox")
# Orders whose policy says nothing of it were placed before there was this notice: they are not told now.
_QUEUE = text(
    """
    INSERT INTO mail (dedupe_key, template, customer_id, journey_id, not_before)
    SELECT j.id || ':order_placed:1', 'order_placed', j.customer_id, j.id, now()
    FROM outbox o
    JOIN journey j ON j.id = o.target
    JOIN customer c ON c.id = j.customer_id AND c.email IS NOT NULL AND c.erased_at IS NULL
    LEFT JOIN policy_copy p ON p.id = j.policy_copy
    WHERE o.id > :after AND o.seq = 1 AND o.kind = 'start' AND j.kind = 'bopis'
      AND coalesce(p.body, j.policy) -> 'authority' ->> 'notice' = 'endcap'
      AND coalesce(p.body, j.policy) -> 'bopis' ->> 'confirm_placed' = 'true'
      AND NOT EXISTS (SELECT 1 FROM mail m WHERE m.dedupe_key = j.id || ':order_placed:1')
    ORDER BY o.id
    ON CONFLICT (dedupe_key) DO NOTHING
    """
)
# A transaction that is under way may still bring a lower number: what is younger than this is looked at again.
_SETTLED = text("SELECT max(id) FROM outbox WHERE id > :after AND recorded_at < now() - interval '30 seconds'")


class Placed:
    """The sweep, with the message up to which everybody was told."""

    def __init__(self) -> None:
        self._after: int | None = None

    async def sweep(self, database: Database) -> int:
        """Queue a mail for each order that nobody was told of; returns how many."""

        async def work(tx: Transaction) -> tuple[int, int]:
            after = self._after
            if after is None:
                after = max(int((await tx.conn.execute(_NEWEST)).scalar_one()) - LOOK_BACK, 0)
            settled = (await tx.conn.execute(_SETTLED, {"after": after})).scalar()
            queued = await tx.conn.execute(_QUEUE, {"after": after})
            return queued.rowcount, max(after, settled or 0)

        count, self._after = await database.write(work, actor="endcap", via="sweep")
        return count
