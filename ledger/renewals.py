"""Authorisations that end before their goods are ready are renewed in time; one that is not becomes a case."""

from datetime import datetime, timedelta

from sqlalchemy import insert, select, text

from domain.messages import Message
from domain.policy import PaymentPolicy
from ledger import policies, steps
from ledger.engine import Database
from ledger.tables import payment, payment_operation
from ledger.transaction import Rank, Transaction

PAGE_ROWS = 200

# Money that was authorised and is not taken yet, of an order that may still want it; on the order's own clock.
_CANDIDATES = text(
    """
    SELECT p.id, p.journey_id FROM payment p JOIN journey j ON j.id = p.journey_id
    LEFT JOIN policy_copy c ON c.id = j.policy_copy
    WHERE p.authorized_until IS NOT NULL
      AND p.authorized_until < CAST(:now AS timestamptz) + make_interval(secs => j.clock_offset_s
            + coalesce((c.body -> 'payments' ->> 'renew_before_s')::int, :before_s))
      AND p.captured_minor + p.voided_minor < p.amount_minor AND j.closed_at IS NULL
      AND j.state NOT IN ('collected', 'expired', 'cancelled', 'shipped')
      AND NOT EXISTS (
        SELECT 1 FROM payment_operation o WHERE o.payment_id = p.id
          AND (o.state IN ('requested', 'unknown')
               OR o.id = 'renew:' || p.id || ':' || floor(extract(epoch FROM p.authorized_until))::bigint))
    ORDER BY p.journey_id, p.id LIMIT :limit
    """
)


async def sweep(database: Database, now: datetime) -> int:
    """Ask for the renewal of each authorisation that ends soon at `now`; returns how many were asked for."""
    async with database.read() as conn:
        values = {"now": now, "before_s": PaymentPolicy().renew_before_s, "limit": PAGE_ROWS}
        rows = (await conn.execute(_CANDIDATES, values)).all()
    asked = 0
    for row in rows:
        asked += await database.write(
            lambda tx, row=row: _ask(tx, row.id, row.journey_id, now),  # type: ignore[misc]
            actor="endcap",
            via="system",
        )
    return asked


async def _ask(tx: Transaction, payment_id: str, journey_id: str, now: datetime) -> int:
    """Write the operation down; the journey carries it out. What was taken or let go meanwhile needs none."""
    order = await tx.lock_journey(journey_id)
    at = now + timedelta(seconds=order["clock_offset_s"])
    policy = await policies.of_journey(tx.conn, order)
    before = timedelta(seconds=policy.payments.renew_before_s)
    tx.enter(Rank.MONEY)
    found = await tx.conn.execute(select(payment).where(payment.c.id == payment_id).with_for_update())
    row = found.mappings().one()
    loose = row["amount_minor"] - row["captured_minor"] - row["voided_minor"]
    if order["closed_at"] is not None or loose <= 0 or row["authorized_until"] - before > at:
        return 0
    operation_id = renewal_id(payment_id, row["authorized_until"])
    asked = await tx.conn.execute(select(payment_operation.c.id).where(payment_operation.c.id == operation_id))
    if asked.first() is not None:
        return 0
    await tx.conn.execute(
        insert(payment_operation).values(
            id=operation_id,
            payment_id=payment_id,
            journey_id=journey_id,
            kind="renew",
            amount_minor=loose,
            currency=order["currency"],
            reason="the authorisation ends",
            at=at,
        )
    )
    detail = "The authorisation ends before the order is done; the provider is asked to renew it."
    await steps.note(tx, journey_id, "renewal", operation_id, detail, at)
    tx.tell(journey_id, Message.RENEWAL_ASKED)
    return 1


def renewal_id(payment_id: str, ends_at: datetime) -> str:
    """The operation's id, which is the provider's key: one renewal for each end of an authorisation."""
    return f"renew:{payment_id}:{int(ends_at.timestamp())}"
