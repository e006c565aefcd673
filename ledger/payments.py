"""Operations at a payment provider: written as requested before the call, posted and asked about after it.

What their outcome does to the journey that asked for them is above the journeys, in `ledger.outcomes`.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import postings, return_postings
from domain.case import CaseOption, Consequence, MoneyEffect
from domain.errors import NotFound, StateConflict
from domain.payments import PaymentOutcome
from ledger import case, policies, reference
from ledger.journal import Entry
from ledger.tables import case_file, payment, payment_operation
from ledger.transaction import Rank, Transaction


class OperationRow(NamedTuple):
    """What a provider is asked to do. `id` is also its idempotency key; the amount is in minor units."""

    id: str
    journey_id: str
    kind: str
    amount_minor: int
    currency: str
    tender: str
    reference: str
    state: str
    attempts: int


async def operation(conn: AsyncConnection, operation_id: str) -> OperationRow:
    """An operation with the tender that it concerns. Raises `NotFound`."""
    row = (
        (
            await conn.execute(
                select(payment_operation, payment.c.tender, payment.c.reference)
                .join(payment, payment.c.id == payment_operation.c.payment_id)
                .where(payment_operation.c.id == operation_id)
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(f"There is no payment operation {operation_id}.")
    return OperationRow(
        row["id"],
        row["journey_id"],
        row["kind"],
        row["amount_minor"],
        row["currency"],
        row["tender"],
        row["reference"],
        row["state"],
        row["attempts"],
    )


async def book(
    tx: Transaction, row: RowMapping, found: OperationRow, at: datetime, outcome: PaymentOutcome | None = None
) -> None:
    """Post what an operation that ended well has moved, and keep it with its payment."""
    policy = await policies.of_journey(tx.conn, row)
    if found.kind == "renew":
        until = outcome.authorized_until if outcome is not None else None
        until = until or at + timedelta(seconds=policy.payments.renewed_for_s)
        await tx.conn.execute(
            update(payment)
            .where(payment.c.journey_id == row["id"], payment.c.reference == found.reference)
            .values(authorized_until=until)
        )
        return
    of_return = row["kind"] == "returns"
    column, lines = {
        "refund": (
            "refunded_minor",
            return_postings.paid(found.amount_minor, found.tender)
            if of_return
            else postings.refund_paid(found.amount_minor),
        ),
        "capture": ("captured_minor", postings.deposit(found.amount_minor)),
        "void": (None, []),
    }[found.kind]
    if column is not None:
        await tx.conn.execute(
            update(payment)
            .where(payment.c.journey_id == row["id"], payment.c.reference == found.reference)
            .values({column: payment.c[column] + found.amount_minor})
        )
    event = f"{row['kind']}.{found.kind}"
    tx.post(
        Entry(
            row["entity"],
            event,
            row["currency"],
            f"operation:{found.id}",
            lines,
            at,
            row["id"],
            policy.authority.of_posting(event),
        )
    )


# What is asked about money that could not be taken, by any operation: once it is taken, nothing is left to ask.
_NOT_TAKEN = ("capture_failed", "handed_over_unpaid")


async def heal_failed_cases(tx: Transaction, found: OperationRow, at: datetime) -> None:
    """The provider has answered after all, or has taken the money under a later operation."""
    taken = found.kind == "capture"
    if not taken and not found.attempts:
        return
    tx.enter(Rank.CASE)
    of_it = case_file.c.dedupe_key == f"{_case_kind(found)}|{found.id}"
    if taken:
        of_it = (case_file.c.journey_id == found.journey_id) & case_file.c.kind.in_(_NOT_TAKEN)
    open_ones = await tx.conn.execute(
        select(case_file.c.id).where(of_it, case_file.c.closed_at.is_(None)).order_by(case_file.c.id).with_for_update()
    )
    for case_id in open_ones.scalars().all():
        await case.heal(tx, case_id, "the provider has confirmed it", at)


def _case_kind(found: OperationRow) -> str:
    return "capture_failed" if found.kind in ("capture", "renew") else "refund_failed"


async def open_failed_case(
    tx: Transaction, row: RowMapping, found: OperationRow, outcome: PaymentOutcome, at: datetime
) -> None:
    """Ask somebody about an operation that the provider declined, or does not answer."""
    place = await reference.place(tx.conn, row["location"])
    said = outcome.error or "no answer"
    silent = outcome.state == "unknown"
    money = (
        MoneyEffect(
            label={"capture": "Captured", "renew": "Held again"}.get(found.kind, "Refund"),
            amount_minor=found.amount_minor,
            currency=found.currency,
        ),
    )
    options = [
        CaseOption(
            id="acknowledge" if silent else "retry",
            label="The provider was called; keep asking" if silent else "Ask the provider again",
            rank=1,
            because="it is asked again by itself, under the same key" if silent else "most refusals pass",
            consequence=Consequence(money=money, customer="Hears nothing until it is confirmed."),
        )
    ]
    if found.kind == "refund":
        options.append(
            CaseOption(
                id="manual_payout",
                label="Paid out by hand",
                rank=2,
                confirms=("paid_out",),
                consequence=Consequence(money=money, customer="Has the money already."),
            )
        )
    await case.open_case(
        tx,
        case.Opening(
            kind=_case_kind(found),
            subject=found.id,
            place=place,
            policy=await policies.of_journey(tx.conn, row),
            at=at,
            journey_id=row["id"],
            channel=row["channel"],
            facts={"operation_id": found.id, "tender": found.tender, "error": said, "order": row["key"]},
            options=options,
            value_at_risk_minor=found.amount_minor,
            clock_offset_s=row["clock_offset_s"],
            text=f"The provider does not answer: {said}." if silent else f"The provider declined: {said}.",
        ),
    )


async def request_again(tx: Transaction, operation_id: str, at: datetime) -> None:
    """Have a declined operation carried out once more, under a new key: the provider keeps its answer to the old
    one.
    """
    row = (
        (
            await tx.conn.execute(
                select(payment_operation).where(payment_operation.c.id == operation_id).with_for_update()
            )
        )
        .mappings()
        .one()
    )
    if row["state"] != "declined":
        raise StateConflict(f"The operation is {row['state']}; only a declined one is tried again.")
    if row["kind"] in ("capture", "renew"):
        await _check_still_wanted(tx, row)
    again = dict(row) | {
        "id": f"{operation_id}:{row['attempts']}",
        "state": "requested",
        "error": None,
        "finished_at": None,
        "at": at,
    }
    again.pop("recorded_at")
    await tx.conn.execute(payment_operation.insert().values(**again))


async def _check_still_wanted(tx: Transaction, row: RowMapping) -> None:
    """Raise `StateConflict` where the money was taken, let go, or is being asked for under another operation."""
    paid = (await tx.conn.execute(select(payment).where(payment.c.id == row["payment_id"]))).mappings().one()
    asked = await tx.conn.execute(
        select(func.coalesce(func.sum(payment_operation.c.amount_minor), 0)).where(
            payment_operation.c.payment_id == row["payment_id"],
            payment_operation.c.kind == "capture",
            payment_operation.c.state.in_(("requested", "unknown")),
        )
    )
    loose = paid["amount_minor"] - paid["captured_minor"] - paid["voided_minor"] - asked.scalar_one()
    if loose < row["amount_minor"]:
        raise StateConflict("The money was taken, let go, or is being asked for already; nothing is left to try again.")


async def confirmed_by_source(
    tx: Transaction, row: RowMapping, found: OperationRow, provider_reference: str | None, at: datetime
) -> None:
    """The source has paid it back: posted as if a provider had confirmed it. The operation is locked."""
    await tx.conn.execute(
        update(payment_operation)
        .where(payment_operation.c.id == found.id)
        .values(state="succeeded", provider_reference=provider_reference, error=None, finished_at=at)
    )
    await book(tx, row, found, at)
