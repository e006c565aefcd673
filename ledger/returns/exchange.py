"""What an exchange keeps of a return's refund: nothing of it is paid as money while the replacement waits, and nothing
of it is kept once there is no replacement any more.

The replacement is a journey of its own and never changed here. What a return wants of it is written as an operation of
the tender `exchange`, which `exchange_payments` carries out.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import bopis, exchanges
from domain.bopis import BopisState
from domain.errors import StateConflict, UnknownLine
from domain.ids import payment_id
from domain.messages import Message
from ledger import steps
from ledger.payments import OperationRow
from ledger.returns import questions, refunding
from ledger.returns.document import Return, waiting
from ledger.returns.refunding import Refund
from ledger.tables import payment, payment_operation


def lines_of(it: Return, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The lines of the return that are exchanged; all that may come back for None. Raises `UnknownLine`,
    `StateConflict`.
    """
    may = [key for key, line in it.lines.items() if line["claimed"] and not line["ruling"].get("refused")]
    lines = tuple(wanted or may)
    for number, line_id in enumerate(lines):
        pointer = f"/lines/{number}"
        if line_id not in it.lines:
            raise UnknownLine(f"The return has no line {line_id}.", pointer=pointer)
        line = it.lines[line_id]
        if line["ruling"].get("refused"):
            raise StateConflict(f"Line {line_id} does not come back: {line['ruling']['because']}", pointer=pointer)
        if line["ruling"].get("asks"):
            raise StateConflict(f"Somebody still decides whether line {line_id} may come back.", pointer=pointer)
        if line["refunded"]:
            raise StateConflict(
                f"Line {line_id} was paid back already; order the other item by itself.", pointer=pointer
            )
    if not lines:
        raise StateConflict("No line of the return comes back; there is nothing to exchange.")
    return lines


def worth_of(it: Return, lines: Sequence[str]) -> Refund:
    """What lines are worth when all of them come: the share that was paid, less the fee, less what a promotion is not
    earned by any more. The sale lines are locked. Raises `StateConflict` where that is nothing.
    """
    worth = refunding.refund_due(it, all_units={line_id: int(it.lines[line_id]["claimed"]) for line_id in lines})
    if worth.total_minor <= 0:
        raise StateConflict("What comes back is worth nothing any more; there is nothing to exchange.")
    return worth


def is_called_off(order: RowMapping | None) -> bool:
    """Whether nothing of a replacement goes to its customer any more: it was never placed, or has ended without."""
    return order is None or BopisState(order["state"]) in (BopisState.CANCELLED, BopisState.EXPIRED)


async def share(it: Return, refund: Refund, at: datetime) -> Refund:
    """What of the refund that is due is paid now: all of it where the exchanged lines pay for the replacement, without
    them while they do not yet, and as money where they never will.
    """
    kept = it.kept_for_exchange
    if not kept or it.exchange is None:
        return refund
    credit = it.exchange["credit_minor"]
    worth = sum(one.net_minor for line_id, one in refund.lines.items() if line_id in kept)
    pays = worth >= credit and refund.total_minor >= credit
    if it.exchange["state"] == "waiting" and pays:
        refund.exchange_minor = credit
        return refund
    if it.exchange["state"] != "placing" and not pays and _nothing_more_comes(it):
        await take_off(it, "what came back does not pay for it", at)
        return refund
    others = {line_id: one.units for line_id, one in refund.lines.items() if line_id not in kept}
    return refunding.refund_due(it, all_units=others)


def _nothing_more_comes(it: Return) -> bool:
    """Whether every unit that is to come is here and has its disposition."""
    here = any(line["received"] for line in it.lines.values())
    return (
        here and "goods" not in it.row["dues"] and not any(waiting(line) or line["asked"] for line in it.lines.values())
    )


def applied(it: Return) -> None:
    """The refund pays for the replacement, once the operation that says so is carried out."""
    assert it.exchange is not None
    it.row["detail"]["exchange"] = it.exchange | {"state": "applied"}
    it.drop_dues("exchange")


async def take_off(it: Return, because: str, at: datetime) -> None:
    """There is no exchange any more: the replacement is called off by its own workflow, and the refund is money."""
    exchange = it.exchange
    if exchange is None or exchange["state"] not in exchanges.OPEN:
        return
    it.row["detail"]["exchange"] = exchange | {"state": "off", "because": because}
    it.drop_dues("exchange")
    if await questions.end(it, at, state="withdrawn", because=because):
        await questions.tell_off(it, because, at)
    order = it.replacement
    occurrence = f"{exchange['order']}:{it.row['version']}"
    await steps.note(it.tx, it.id, "exchange_off", occurrence, f"Not exchanged: {because}.", at)
    if order is None or BopisState(order["state"]) in bopis.FINAL:
        return
    paid_by = payment_id(order["id"], exchanges.credit_of(it.id))
    await it.tx.conn.execute(
        insert(payment_operation).values(
            id=f"void:{paid_by}:off:{it.row['version']}",
            payment_id=paid_by,
            journey_id=order["id"],
            kind="void",
            amount_minor=exchange["credit_minor"],
            currency=it.row["currency"],
            reason=because,
            state="requested",
            at=at,
        )
    )
    it.tx.tell(order["id"], Message.RESUMED)


def is_call_off(operation: OperationRow) -> bool:
    """Whether an operation on the replacement was written by its return, which has no money for it any more."""
    return operation.id.startswith(f"void:{payment_id(operation.journey_id, operation.reference)}:off:")


async def paid_by_return(conn: AsyncConnection, order_journey: str, reference: str) -> RowMapping:
    """The row of the replacement's payment that its return stands for."""
    wanted = select(payment).where(payment.c.id == payment_id(order_journey, reference))
    return (await conn.execute(wanted)).mappings().one()
