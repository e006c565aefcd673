"""What becomes of the tender `exchange`: operations that no provider is asked for. Each is one transaction under the
locks of the return, the order that it returns and the replacement, and is carried out once.

| operation | of | does |
|---|---|---|
| refund | the return | pays for the replacement with what is owed, and lets it go on; as money where it has ended |
| void | the replacement | called off by its customer: less, or nothing, is kept of the refund |
| void, of the return's | the replacement | its return has no money for it: it is called off |
| refund, to a return | a return of the replacement | that return pays it out, where the first order was paid from |
| refund | the replacement | given up after it was paid: the return owes it again, as money |
| capture | the replacement | taken by somebody before the goods have come: declined until they have |
"""

from datetime import datetime

from sqlalchemy import RowMapping, update

from domain import exchanges, return_postings
from domain.bopis import BopisState
from domain.messages import Message, Situation, Step
from domain.payments import PaymentOutcome
from domain.words import money
from ledger import outcomes, steps
from ledger.bopis import decisions, requests
from ledger.bopis.order import Order
from ledger.case import heal_kind
from ledger.engine import Database
from ledger.journal import Entry
from ledger.payments import OperationRow, operation
from ledger.returns import exchange, refunding, settling
from ledger.returns.document import Return
from ledger.steps import take_journey_step
from ledger.tables import payment, payment_operation
from ledger.transaction import Rank, Transaction

OPEN = ("requested", "unknown")


async def carry_out(database: Database, step: Step) -> Situation:
    """Carry out the operation `step.operation_id`, whose tender is `exchange`. One that is done changes nothing."""
    async with database.read() as conn:
        found = await operation(conn, step.operation_id or "")
        credit = None
        if found.kind == "capture":
            credit = await exchange.paid_by_return(conn, found.journey_id, found.reference)
    if credit is not None and credit["captured_minor"] + credit["voided_minor"] < credit["amount_minor"]:
        said = "the goods that pay for it have not come back"
        return await outcomes.record_outcome(database, step, PaymentOutcome("declined", error=said))

    async def work(tx: Transaction, row: RowMapping) -> str:
        found = await operation(tx.conn, step.operation_id or "")
        if found.state not in OPEN:
            return ""
        if row["kind"] == "returns" and found.reference.startswith(exchanges.credit_of("returns:")):
            return await _hand_on(tx, row, found, step.at)
        if row["kind"] == "returns":
            return await _pay(tx, row, found, step.at)
        if found.kind == "capture":  # the return has paid meanwhile
            await _end(tx, found, step.at, "withdrawn")
            await outcomes.close_if_done(tx, row, step.at)
            return ""
        if found.kind == "refund":
            return await _owe_again(tx, row, found, step.at)
        if exchange.is_call_off(found):
            return await _call_off(tx, row, found, step.at)
        return await _keep_less(tx, row, found, step.at)

    return await take_journey_step(database, "payment", step, work)


async def _end(tx: Transaction, found: OperationRow, at: datetime, state: str = "succeeded", **values: object) -> None:
    tx.enter(Rank.MONEY)
    await tx.conn.execute(
        update(payment_operation)
        .where(payment_operation.c.id == found.id)
        .values(state=state, attempts=payment_operation.c.attempts + 1, finished_at=at, **values)
    )


async def _pay(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> str:
    """The return pays for its replacement, as far as that still wants it; the rest is money."""
    it = await Return.load(tx, row)
    cause = f"operation:{found.id}"
    order = await Order.load(tx, it.replacement) if it.replacement is not None else None
    if order is not None:
        await order.lock_cases()
        await order.lock_goods()
    await it.lock_sales()
    part = 0
    if order is not None:
        credit = await exchange.paid_by_return(tx.conn, order.id, exchanges.credit_of(it.id))
        part = min(credit["amount_minor"] - credit["captured_minor"] - credit["voided_minor"], found.amount_minor)
    rest = found.amount_minor - part
    own = payment.c.journey_id == it.id, payment.c.reference == found.reference
    await tx.conn.execute(
        update(payment)
        .where(*own)
        .values(
            amount_minor=payment.c.amount_minor - rest,
            captured_minor=payment.c.captured_minor - rest,
            refund_requested_minor=payment.c.refund_requested_minor - rest,
            refunded_minor=payment.c.refunded_minor + part,
        )
    )
    if part:
        assert order is not None
        await _end(tx, found, at, amount_minor=part)
        await _take(it, order, part, cause, at)
    else:
        await _end(tx, found, at, "withdrawn", error="the replacement has ended")
    told = f"{money(part, found.currency)} paid for order {order.row['key']}." if order is not None and part else ""
    if rest:
        told += " " + await _as_money(it, rest, f"{cause}:back", at)
    await it.save(at)
    return told.strip()


async def _hand_on(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> str:
    """A replacement has come back that another return had paid for: that one pays the money out, where its own order
    was paid from. What is owed is the same, by another journey.
    """
    it = await Return.read_alone(tx, row)
    await it.lock_order()
    first = await Return.load(tx, await tx.lock_journey(found.reference.removeprefix(exchanges.credit_of(""))))
    await first.lock_sales()
    cause = f"operation:{found.id}"
    await tx.conn.execute(
        update(payment)
        .where(payment.c.journey_id == it.id, payment.c.reference == found.reference)
        .values(refunded_minor=payment.c.refunded_minor + found.amount_minor)
    )
    await _end(tx, found, at)
    told = await refunding.pay_money(
        first, found.amount_minor, cause, at, method=_method(first), why="its replacement came back"
    )
    await steps.note(tx, first.id, "exchange_undone", cause, f"The replacement came back. {told}", at)
    await first.save(at)
    tx.tell(first.id, Message.RETURN_RECORDED)
    await it.save(at)
    return f"{money(found.amount_minor, found.currency)} are paid out by return {first.row['key']}."


def _method(it: Return) -> str:
    """How what was refunded goes back: to the tenders that were used, or as the credit that policy gives."""
    found = (line["ruling"].get("method") for line in it.lines.values() if line["refunded"])
    return next((method for method in found if method), "original_tender")


async def _as_money(it: Return, amount_minor: int, cause: str, at: datetime) -> str:
    """What was to pay for a replacement goes back where it came from."""
    told = await refunding.pay_money(it, amount_minor, cause, at, method=_method(it), why="not exchanged after all")
    await it.mail_customer(
        "return_refunded", cause, at, amount_minor=amount_minor, fee_minor=0, clawed_minor=0, credit=False
    )
    return told


async def _take(it: Return, order: Order, amount_minor: int, cause: str, at: datetime) -> None:
    """The replacement is paid, as by any tender, and goes on."""
    tx = it.tx
    await tx.conn.execute(
        update(payment)
        .where(payment.c.journey_id == order.id, payment.c.reference == exchanges.credit_of(it.id))
        .values(captured_minor=payment.c.captured_minor + amount_minor)
    )
    lines = return_postings.exchanged(amount_minor)
    authority = it.policy.authority.of_posting("returns.exchanged")
    tx.post(
        Entry(order.row["entity"], "returns.exchanged", order.row["currency"], cause, lines, at, order.id, authority)
    )
    for kind in ("capture_failed", "handed_over_unpaid"):
        await heal_kind(tx, order.id, kind, "the goods that pay for it have come", at)
    if order.is_kept_back and order.row["detail"]["kept_back"] == exchanges.TENDER:
        await requests.let_go_on(order, cause, at, f"Paid by return {it.row['key']}; the order goes on.")
        if order.row["state"] == BopisState.TO_BE_SHIPPED:
            await order.mail_customer("order_to_be_shipped", cause, at)


async def _lock_return(tx: Transaction, found: OperationRow) -> Return:
    """The return that an order's payment stands for, with everything that its refund needs."""
    it = await Return.load(tx, await tx.lock_journey(found.reference.removeprefix(exchanges.credit_of(""))))
    await it.lock_goods()
    return it


async def _keep_less(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> str:
    """The customer has given up the replacement, or part of it, before it was paid."""
    it = await _lock_return(tx, found)
    before = it.exchange
    if before is not None and before["order"] == row["id"] and before["state"] in exchanges.OPEN:
        left = before["credit_minor"] - found.amount_minor
        it.row["detail"]["exchange"] = before | {"credit_minor": max(left, 0)}
        if left <= 0:
            await exchange.take_off(it, "the replacement was called off", at)
        await settling.settle(it, f"operation:{found.id}", at)
        await it.save(at)
        tx.tell(it.id, Message.RETURN_RECORDED)
    await _end(tx, found, at)
    await outcomes.close_if_done(tx, row, at)
    return f"{money(found.amount_minor, found.currency)} is not taken of return {it.row['key']}."


async def _call_off(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> str:
    """The return has no money for this order any more."""
    order = await Order.load(tx, row)
    await order.lock_cases()
    await order.lock_goods()
    if order.is_final:
        await _end(tx, found, at)
        await outcomes.close_if_done(tx, row, at)
        return ""
    because = "what was to pay for it has not come back"
    await order.end_asks(because, at)
    owed = await decisions.cancel_everything(order, f"operation:{found.id}", at, reason="exchange_off")
    await order.mail_customer("order_cancelled", f"operation:{found.id}", at, amount_minor=owed)
    await _end(tx, found, at)
    await order.save(at)
    return f"Called off: {because}."


async def _owe_again(tx: Transaction, row: RowMapping, found: OperationRow, at: datetime) -> str:
    """The replacement was given up after its return had paid for it: the return owes that money, and pays it out."""
    it = await _lock_return(tx, found)
    cause = f"operation:{found.id}"
    tx.enter(Rank.MONEY)
    await tx.conn.execute(
        update(payment)
        .where(payment.c.journey_id == row["id"], payment.c.reference == found.reference)
        .values(refunded_minor=payment.c.refunded_minor + found.amount_minor)
    )
    await _end(tx, found, at)
    lines = return_postings.replacement_given_up(found.amount_minor)
    authority = it.policy.authority.of_posting("returns.exchange_undone")
    tx.post(Entry(row["entity"], "returns.exchange_undone", row["currency"], cause, lines, at, row["id"], authority))
    told = await _as_money(it, found.amount_minor, cause, at)
    await steps.note(tx, it.id, "exchange_undone", cause, f"The replacement was given up. {told}", at)
    await it.save(at)
    tx.tell(it.id, Message.RETURN_RECORDED)
    await outcomes.close_if_done(tx, row, at)
    return f"Return {it.row['key']} owes {money(found.amount_minor, found.currency)} again."
