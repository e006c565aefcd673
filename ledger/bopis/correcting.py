"""A report after the end of an order that was wrong: its movements and its postings are reversed by others."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, select

from domain.errors import StateConflict
from domain.messages import Message
from domain.postings import Line
from domain.words import units
from ledger import steps
from ledger.bopis import money
from ledger.bopis.order import Order
from ledger.tables import journal, journal_line, movement
from ledger.transaction import Transaction


async def take_back(tx: Transaction, case_row: RowMapping, journey_row: RowMapping, at: datetime) -> str:
    """Put goods back where the report took them from, and reverse what it posted; returns what was done.

    Raises `StateConflict` where the goods have moved on since: then what happened to them is to be reported.
    """
    order = await Order.load(tx, journey_row)
    await order.lock_cases()
    await order.lock_goods()
    reported = str(case_row["subject"]).removeprefix(f"{order.id}|")
    cause = f"case:{case_row['id']}:{case_row['episode']}"
    back = await _goods(order, await _movements(order, reported), cause, at)
    order.tx.post(money.entry(order, "bopis.report_corrected", cause, await _reversed(order, reported), at))
    if not order.nothing_left_on_hold_shelf() and "put_away" not in order.row["dues"]:
        order.due("put_away", at + timedelta(seconds=order.policy.bopis.put_away_s))
    detail = f"The report was wrong: {units(back)} put back in the book."
    await steps.note(tx, order.id, "report_corrected", cause, detail, at)
    await order.save(at)
    tx.tell(order.id, Message.RESUMED)
    return detail


async def _movements(order: Order, reported: str) -> Sequence[RowMapping]:
    """What the report moved out of a bucket here, newest first."""
    rows = await order.tx.conn.execute(
        select(movement)
        .where(
            movement.c.journey_id == order.id,
            movement.c.cause == reported,
            movement.c.kind.in_(("picked", "handed_over")),
        )
        .order_by(movement.c.id.desc())
    )
    return rows.mappings().all()


async def _goods(order: Order, moved: Sequence[RowMapping], cause: str, at: datetime) -> int:
    why, total = order.cause(cause, at), 0
    for row in moved:
        place, sku, quantity = row["from_location"], row["sku"], row["quantity"]
        if row["to_account"] == "staged":
            _take_off_hold_shelf(order, sku, quantity)
        order.tx.shelf.move(
            "corrected",
            sku,
            quantity,
            (place, row["to_account"]),
            (place, row["from_account"]),
            why,
            reason="report_was_wrong",
            unit_cost_e4=row["unit_cost_e4"],
            cost_minor=row["cost_minor"],
        )
        if row["from_account"] == "staged":
            order.leave_on_hold_shelf(_line_of(order, sku), quantity)
        else:
            order.free(place, sku)
        total += quantity
    return total


def _line_of(order: Order, sku: str) -> str:
    return next(line_id for line_id, line in order.lines.items() if line["sku"] == sku)


def _take_off_hold_shelf(order: Order, sku: str, quantity: int) -> None:
    """The units that were said to be picked are not there: nobody has to put them away."""
    for line_id, line in order.lines.items():
        if line["sku"] == sku:
            part = min(quantity, order.on_hold_shelf(line_id))
            order.leave_on_hold_shelf(line_id, -part)
            quantity -= part
    if quantity:
        raise StateConflict(
            "These goods were put away or handed over since, so what became of them is known: choose another option."
        )


async def _reversed(order: Order, reported: str) -> list[Line]:
    """The other side of every line that the report posted."""
    rows = await order.tx.conn.execute(
        select(journal_line)
        .join(journal, journal.c.id == journal_line.c.journal_id)
        .where(journal.c.journey_id == order.id, journal.c.cause == reported)
        .order_by(journal_line.c.journal_id, journal_line.c.line_no)
    )
    return [Line(row.account, row.credit_minor, row.debit_minor, row.location, row.sku) for row in rows]
