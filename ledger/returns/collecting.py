"""The money of a difference that a customer has agreed to pay. What becomes of an operation on its payment:

| operation | on | does |
|---|---|---|
| capture, written by the customer's yes | the replacement | charged once; then the return pays the rest |
| the same, once there is no exchange | the replacement | withdrawn; if the provider was asked before, given back |
| any other capture | the replacement | declined: nobody has agreed to it, the goods were taken before |
| void | the replacement | nothing was held: recorded, and the question is looked at again |
| refund | the replacement, or a return of it | the provider gives back what it charged |

The provider is asked outside of any transaction. What it is asked is written down before: an operation that may have
reached it is never taken back, only asked for again under its key.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import exchanges
from domain.ids import payment_id
from domain.messages import Message, Situation, Step
from domain.payments import PaymentOutcome
from domain.words import money
from ledger import outcomes, steps
from ledger.bopis.order import Order
from ledger.case import heal_kind
from ledger.engine import Database
from ledger.payments import OperationRow, operation
from ledger.returns import difference, exchange, questions, settling
from ledger.returns.document import Return
from ledger.steps import take_journey_step
from ledger.tables import journey, payment, payment_operation
from ledger.transaction import Rank, Transaction

OPEN = ("requested", "unknown")
NOT_AGREED = "the customer has not agreed to pay the difference"


class Ask(NamedTuple):
    """What comes next: a provider is asked for `kind` by `reference`, or nobody is."""

    kind: Literal["charge", "refund", "decline", "here"]
    reference: str = ""


async def paid_by_return(conn: AsyncConnection, found: OperationRow) -> str | None:
    """The journey of the return that pays the rest of the replacement whose payment an operation is about.

    None for a payment that is no difference, whatever its source calls it.
    """
    if not exchanges.is_difference(found.reference):
        return None
    own = await _order_of(conn, found)
    credit = await conn.execute(
        select(payment.c.reference).where(payment.c.journey_id == own, payment.c.tender == exchanges.TENDER)
    )
    reference = credit.scalar()
    return None if reference is None else str(reference).removeprefix(exchanges.credit_of(""))


async def _order_of(conn: AsyncConnection, found: OperationRow) -> str:
    """The replacement: the operation's own journey, or the order that its journey, a return, brings back."""
    row = (await conn.execute(select(journey.c.kind, journey.c.detail).where(journey.c.id == found.journey_id))).one()
    return str(row.detail.get("order")) if row.kind == "returns" else found.journey_id


async def begin(database: Database, found: OperationRow, return_journey: str) -> Ask:
    """Say what an open operation on a difference needs. Before a provider is asked for money, that is written down."""

    async def work(tx: Transaction) -> Ask:
        row = await tx.lock_journey(found.journey_id)
        now = await operation(tx.conn, found.id)
        if now.state not in OPEN or now.kind == "void":
            return Ask("here")
        if now.kind == "refund":
            return Ask("refund", await _charged_as(tx.conn, now))
        if now.kind != "capture":
            return Ask("decline")
        if now.state == "unknown":  # it may have moved: only its provider knows
            return Ask("charge", exchanges.means_of(now.reference))
        swap = (await tx.lock_journey(return_journey))["detail"].get("exchange") or {}
        if swap.get("charge") != now.id:
            return Ask("decline")
        if swap["state"] != "collecting" or exchange.is_called_off(row):
            return Ask("here")
        tx.enter(Rank.MONEY)
        await tx.conn.execute(
            update(payment_operation).where(payment_operation.c.id == now.id).values(state="unknown")
        )  # fmt: skip
        return Ask("charge", exchanges.means_of(now.reference))

    return await database.write(work, actor="endcap", via="worker")


async def _charged_as(conn: AsyncConnection, found: OperationRow) -> str:
    """By which name the provider knows what it has charged: its own, or the key under which it was asked."""
    own = payment_id(await _order_of(conn, found), found.reference)
    table = payment_operation
    rows = await conn.execute(
        select(table.c.id, table.c.provider_reference)
        .where(table.c.payment_id == own, table.c.kind == "capture", table.c.state == "succeeded")
        .order_by(table.c.finished_at.desc(), table.c.id)
        .limit(1)
    )
    row = rows.one()
    return str(row.provider_reference or row.id)


# ---------------------------------------------------------------------- without a provider
async def end_here(database: Database, step: Step, return_journey: str) -> Situation:
    """Carry out an operation that needs no provider: nothing was held, or nothing is wanted any more."""

    async def work(tx: Transaction, row: RowMapping) -> str:
        found = await operation(tx.conn, step.operation_id or "")
        if found.state not in OPEN or (found.kind == "capture" and found.state != "requested"):
            return ""
        it = await _lock(tx, row, return_journey)
        if found.kind == "capture":
            return await _withdraw(tx, row, found, step.at)
        await _end(tx, found, step.at, "succeeded")
        swap = it.exchange
        if swap is not None and swap["order"] == row["id"]:
            if told := await difference.look(it, step.at):
                await steps.note(tx, it.id, "difference", found.id, told, step.at)
            await it.save(step.at)
            tx.tell(it.id, Message.RETURN_RECORDED)
        await outcomes.close_if_done(tx, row, step.at)
        return f"{money(found.amount_minor, found.currency)} less to be paid."

    return await take_journey_step(database, "payment", step, work)


async def _lock(tx: Transaction, row: RowMapping, return_journey: str) -> Return:
    """The return, with everything that its refund needs, and the cases of its replacement."""
    it = await Return.load(tx, await tx.lock_journey(return_journey))
    await tx.lock_asks({"id": row["id"], "asks": row["asks"]})
    await it.lock_goods()
    return it


async def _end(tx: Transaction, found: OperationRow, at: datetime, state: str, **values: object) -> None:
    tx.enter(Rank.MONEY)
    await tx.conn.execute(
        update(payment_operation)
        .where(payment_operation.c.id == found.id)
        .values(state=state, attempts=payment_operation.c.attempts + 1, finished_at=at, **values)
    )


async def _withdraw(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> str:
    """The exchange has ended before the provider was asked: nothing is charged."""
    await _end(tx, found, at, "withdrawn", error="there is no exchange any more")
    await _want_no_more(tx, row, found, at)
    return f"{money(found.amount_minor, found.currency)} are not charged: there is no exchange any more."


async def _want_no_more(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> None:
    """Money that was not taken is not waited for, nor given back when it comes."""
    if not exchange.is_called_off(row):
        return  # to be called off yet, which lets go of it; or its customer has the goods, and owes it
    order = await Order.load(tx, row)
    await order.read_money()
    tx.enter(Rank.MONEY)
    await tx.conn.execute(
        update(payment)
        .where(payment.c.id == payment_id(order.id, found.reference))
        .values(voided_minor=payment.c.voided_minor + found.amount_minor)
    )
    owed = order.row["detail"].get("owed_when_captured", 0)
    order.row["detail"]["owed_when_captured"] = max(owed - found.amount_minor, 0)
    await order.save(at)


# ---------------------------------------------------------------------- what the provider has said
async def record_outcome(database: Database, step: Step, outcome: PaymentOutcome, return_journey: str) -> Situation:
    """Record what the provider said of a charge, and go on: exchanged, asked once more, or money."""
    if outcome.state == "unknown":
        return await outcomes.record_outcome(database, step, outcome)

    async def work(tx: Transaction, row: RowMapping) -> str:
        found = await operation(tx.conn, step.operation_id or "")
        if found.state not in OPEN:
            return ""
        it = await _lock(tx, row, return_journey)
        swap = it.exchange or {}
        # Called off meanwhile, the money is nobody's: what was charged goes back by the replacement's own rules.
        is_wanted = swap.get("charge") == found.id and swap["state"] == "collecting"
        is_wanted = is_wanted and not exchange.is_called_off(row)
        if outcome.state == "succeeded":
            told = await _charged(tx, row, it, found, outcome, step.at, is_wanted=is_wanted)
        else:
            told = await _declined(tx, row, it, found, outcome, step.at, is_wanted=is_wanted)
        await steps.note(tx, it.id, "difference", found.id, told, step.at)
        await it.save(step.at)
        tx.tell(it.id, Message.RETURN_RECORDED)
        return told

    return await take_journey_step(database, "payment", step, work)


async def _charged(
    tx: Transaction,
    row: RowMapping,
    it: Return,
    found: OperationRow,
    outcome: PaymentOutcome,
    at: datetime,
    *,
    is_wanted: bool,
) -> str:
    for kind in ("capture_failed", "handed_over_unpaid"):
        await heal_kind(tx, row["id"], kind, "the customer has paid", at)
    await _end(tx, found, at, "succeeded", provider_reference=outcome.reference, error=None)
    if is_wanted:
        assert it.exchange is not None
        await questions.end(it, at, state="applied")
        it.row["detail"]["exchange"] = it.exchange | {"state": "waiting"}
        await it.mail_customer(
            "exchange_paid", found.id, at, amount_minor=found.amount_minor, order_id=it.exchange["order_id"]
        )
        await settling.settle(it, f"operation:{found.id}", at)
    await outcomes.succeeded(tx, row, found, at)
    amount = money(found.amount_minor, found.currency)
    if not is_wanted:
        return f"{amount} was charged after the exchange had ended; it goes back."
    return f"The customer has paid the difference of {amount}."


async def _declined(
    tx: Transaction,
    row: RowMapping,
    it: Return,
    found: OperationRow,
    outcome: PaymentOutcome,
    at: datetime,
    *,
    is_wanted: bool,
) -> str:
    amount = money(found.amount_minor, found.currency)
    # Somebody who was told that the provider does not answer need not call it any more.
    await heal_kind(tx, row["id"], "capture_failed", "the provider has answered", at)
    await _end(tx, found, at, "declined", error=outcome.error)
    told = f"The provider did not pay {amount}: {outcome.error}."
    if not is_wanted:
        await _want_no_more(tx, row, found, at)
        return told
    swap = it.exchange
    assert swap is not None
    await questions.end(it, at, state="rejected", because="the payment was declined")
    if swap["asked"] < it.policy.returns.exchange_asks:
        return f"{told} {await difference.ask(it, at, declined=True)}"
    because = "the payment of the difference was declined"
    await exchange.take_off(it, because, at)
    await questions.tell_off(it, because, at)
    paid = await settling.settle(it, f"operation:{found.id}", at)
    return f"{told} Not exchanged. {paid}".strip()
