"""Operations at a payment provider: written as requested before the call, and what became of them after it."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import postings, return_postings
from domain.bopis import FINAL
from domain.case import CaseOption, Consequence, MoneyEffect
from domain.errors import NotFound, StateConflict
from domain.messages import Situation, Step
from domain.payments import OPEN_STATES, PaymentOutcome
from domain.words import money
from ledger import case, policies, reference
from ledger.engine import Database
from ledger.journal import Entry
from ledger.steps import take_journey_step
from ledger.tables import case_file, journey, payment, payment_operation
from ledger.transaction import Rank, Transaction

ASK_AFTER_ATTEMPTS = 5  # without an answer, somebody is asked to call the provider


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


async def record_outcome(database: Database, step: Step, outcome: PaymentOutcome) -> Situation:
    """Record what the provider said, post it, and open a case where it said no. Answers with the journey's
    situation.
    """

    async def work(tx: Transaction, row: RowMapping) -> str:
        operation_id = step.operation_id or ""
        found = await operation(tx.conn, operation_id)
        if found.state not in ("requested", "unknown"):
            return ""
        if outcome.state == "declined" or (outcome.state == "unknown" and found.attempts + 1 == ASK_AFTER_ATTEMPTS):
            await _open_failed_case(tx, row, found, outcome, step.at)
        elif outcome.state == "succeeded":
            await _heal_failed_cases(tx, found, step.at)
        tx.enter(Rank.MONEY)
        await tx.conn.execute(
            update(payment_operation)
            .where(payment_operation.c.id == operation_id)
            .values(
                state=outcome.state,
                provider_reference=outcome.reference,
                error=outcome.error,
                attempts=payment_operation.c.attempts + 1,
                finished_at=None if outcome.state == "unknown" else step.at,
            )
        )
        if outcome.state == "succeeded":
            await succeeded(tx, row, found, step.at, outcome)
        return _sentence(found, outcome)

    return await take_journey_step(database, "payment", step, work)


def _sentence(found: OperationRow, outcome: PaymentOutcome) -> str:
    amount = f"{money(found.amount_minor, found.currency)} to {found.tender.replace('_', ' ')}"
    verb = {"refund": "Refund of", "capture": "Capture of", "void": "Release of", "renew": "Renewal of"}[found.kind]
    said = {"succeeded": "confirmed", "declined": f"declined: {outcome.error}", "unknown": "not answered yet"}
    return f"{verb} {amount} {said[outcome.state]}."


async def succeeded(
    tx: Transaction, row: RowMapping, found: OperationRow, at: datetime, outcome: PaymentOutcome | None = None
) -> None:
    """What follows once an operation has ended well: posted, what was given up meanwhile given back, the journey closed
    when it was its last one.
    """
    await _succeeded(tx, row, found, at, outcome)
    await _give_back_what_was_given_up(tx, row, found, at)
    await close_if_done(tx, row, at)


async def _succeeded(
    tx: Transaction, row: RowMapping, found: OperationRow, at: datetime, outcome: PaymentOutcome | None = None
) -> None:
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


async def _give_back_what_was_given_up(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> None:
    """Money that was given up while the provider was asked to take it has been taken: it goes back now."""
    owed = row["detail"].get("owed_when_captured", 0)
    if found.kind != "capture" or not owed:
        return
    # Not imported above: an order needs cases, and what is decided about cases needs payments.
    from ledger.bopis.money import owe
    from ledger.bopis.order import Order

    order = await Order.load(tx, row)
    await order.read_money()
    order.row["detail"]["owed_when_captured"] = 0
    await owe(order, owed, f"operation:{found.id}", at, reason="given up before it was captured")
    await order.save(at)


async def close_if_done(tx: Transaction, row: RowMapping, at: datetime) -> None:
    """A journey whose state is final ends with its last operation, unless something else is still to be done."""
    if row["kind"] == "returns":
        from ledger.returns.book import Return  # a return needs cases, and what is decided about cases needs payments

        await (await Return.read_alone(tx, row)).save(at)
        return
    if row["state"] not in FINAL or row["dues"] or row["asks"]:
        return
    open_ones = await tx.conn.execute(
        select(func.count())
        .select_from(payment_operation)
        .where(payment_operation.c.journey_id == row["id"], payment_operation.c.state.in_(OPEN_STATES))
    )
    if not open_ones.scalar_one():
        await tx.conn.execute(update(journey).where(journey.c.id == row["id"]).values(closed_at=at))


# What is asked about money that could not be taken, by any operation: once it is taken, nothing is left to ask.
_NOT_TAKEN = ("capture_failed", "handed_over_unpaid")


async def _heal_failed_cases(tx: Transaction, found: OperationRow, at: datetime) -> None:
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


async def _open_failed_case(
    tx: Transaction, row: RowMapping, found: OperationRow, outcome: PaymentOutcome, at: datetime
) -> None:
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
    await _succeeded(tx, row, found, at)


async def settle_by_hand(tx: Transaction, operation_id: str, at: datetime) -> None:
    """Record that a person paid the customer outside the provider."""
    found = await operation(tx.conn, operation_id)
    row = (await tx.conn.execute(select(journey).where(journey.c.id == found.journey_id))).mappings().one()
    await tx.conn.execute(
        update(payment_operation)
        .where(payment_operation.c.id == operation_id)
        .values(state="succeeded", provider_reference="paid by hand", finished_at=at)
    )
    await _succeeded(tx, row, found, at)
    await close_if_done(tx, row, at)
