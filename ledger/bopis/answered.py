"""What people answer to the cases of an order, where it takes effect at once."""

from datetime import datetime, timedelta

from sqlalchemy import RowMapping, select, update

from domain.messages import Message
from domain.words import money
from ledger.bopis import by_the_source, decisions, waiting
from ledger.bopis.order import Order
from ledger.tables import journey
from ledger.transaction import Transaction


async def abandon(tx: Transaction, journey_row: RowMapping, cause: str, at: datetime) -> str:
    """End a suspended order: goods are released, money is paid back. `cause` is named in the customer's mail."""
    order = await Order.load(tx, journey_row)
    await order.lock_cases()
    order.row["suspended_from"] = None
    await order.end_asks("the order was abandoned", at)
    await order.lock_goods()
    owed = 0
    if not order.is_final:
        owed = await decisions.cancel_everything(order, cause, at, reason="abandoned")
        await order.mail_customer("order_cancelled", cause, at, amount_minor=owed)
    await order.save(at)
    tx.tell(order.id, Message.CANCEL_RECORDED)
    return f"The order was ended; {money(owed, order.row['currency'])} goes back."


async def ask_source_again(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """The source is told once more what it has to pay back, and given its time again."""
    order = await Order.load(tx, journey_row)
    await order.lock_goods()
    await by_the_source.ask(order, case_row["facts"]["operation_id"], at)
    await order.save(at)
    tx.tell(order.id, Message.RESUMED)
    return "The source was asked again."


async def more_time(tx: Transaction, _case: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """An overdue pick gets another hour before the next reminder."""
    row = (await tx.conn.execute(select(journey.c.dues).where(journey.c.id == journey_row["id"]))).scalar_one()
    dues = {name: when for name, when in row.items() if not name.startswith("pick")}
    dues["pick_nag_2"] = (at + timedelta(hours=1)).isoformat()
    await tx.conn.execute(update(journey).where(journey.c.id == journey_row["id"]).values(dues=dues))
    tx.tell(journey_row["id"], Message.RESUMED)
    return "The store was given another hour."


async def ask_again(tx: Transaction, journey_row: RowMapping, case_id: int, at: datetime) -> None:
    """A decision was undone: the order asks by its case as before, and waits again for what turns up."""
    order = await Order.load(tx, journey_row)
    await order.lock_cases()
    await order.lock_goods()
    order.row["asks"] = {"case_id": case_id}
    await waiting.wait_again(order, at)
    await order.save(at)
