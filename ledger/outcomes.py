"""What the outcome of a payment operation does to the journey that asked for it."""

from datetime import datetime

from sqlalchemy import RowMapping, func, select, update

from domain.bopis import FINAL
from domain.messages import Situation, Step
from domain.payments import OPEN_STATES, PaymentOutcome
from domain.words import money
from ledger.bopis.money import owe
from ledger.bopis.order import Order
from ledger.engine import Database
from ledger.payments import OperationRow, book, heal_failed_cases, open_failed_case, operation
from ledger.returns.document import Return
from ledger.steps import take_journey_step
from ledger.tables import journey, payment_operation
from ledger.transaction import Rank, Transaction

ASK_AFTER_ATTEMPTS = 5  # without an answer, somebody is asked to call the provider


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
            await open_failed_case(tx, row, found, outcome, step.at)
        elif outcome.state == "succeeded":
            await heal_failed_cases(tx, found, step.at)
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
    await book(tx, row, found, at, outcome)
    await _give_back_what_was_given_up(tx, row, found, at)
    await close_if_done(tx, row, at)


async def _give_back_what_was_given_up(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> None:
    """Money that was given up while the provider was asked to take it has been taken: it goes back now."""
    owed = row["detail"].get("owed_when_captured", 0)
    if found.kind != "capture" or not owed:
        return
    order = await Order.load(tx, row)
    await order.read_money()
    order.row["detail"]["owed_when_captured"] = 0
    await owe(order, owed, f"operation:{found.id}", at, reason="given up before it was captured")
    await order.save(at)


async def close_if_done(tx: Transaction, row: RowMapping, at: datetime) -> None:
    """A journey whose state is final ends with its last operation, unless something else is still to be done."""
    if row["kind"] == "returns":
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


async def settle_by_hand(tx: Transaction, operation_id: str, at: datetime) -> None:
    """Record that a person paid the customer outside the provider."""
    found = await operation(tx.conn, operation_id)
    row = (await tx.conn.execute(select(journey).where(journey.c.id == found.journey_id))).mappings().one()
    await tx.conn.execute(
        update(payment_operation)
        .where(payment_operation.c.id == operation_id)
        .values(state="succeeded", provider_reference="paid by hand", finished_at=at)
    )
    await book(tx, row, found, at)
    await close_if_done(tx, row, at)
