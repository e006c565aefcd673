"""What systems and customers ask of an order: cancel, extend, let go on. A request is refused by name where the
recorded state does not allow it.
"""

from datetime import datetime, timedelta

from domain import exchanges
from domain.bopis import FINAL, ON_THE_HOLD_SHELF, BopisState, last_reminder
from domain.errors import Malformed, StateConflict
from domain.events import BopisCancelled, BopisExtended, BopisHoldReleased
from domain.messages import Message
from domain.words import local, money
from ledger import steps
from ledger.bopis import cases, decisions
from ledger.bopis.facts import ready_or_collected
from ledger.bopis.order import Order

LONGEST_WINDOW = timedelta(days=60)


async def cancelled(order: Order, data: BopisCancelled, cause: str, at: datetime) -> str:
    """Undo what was done and pay back at once. `lines: null` is the whole order.

    Raises `StateConflict` when the order has ended, `UnknownLine`, `Malformed` for a line with nothing open.
    """
    if BopisState(order.row["state"]) in FINAL:
        raise StateConflict(
            f"The order is {order.row['state']} already; goods that the customer has come back as a return."
        )
    by = "customer" if (data.actor or "").startswith("customer:") else "shop"
    await order.lock_cases()
    await order.end_asks("the order was cancelled by the customer", at)
    await order.lock_goods()
    if data.lines is None:
        owed = await decisions.cancel_everything(order, cause, at, reason=data.reason, by=by)
        detail = f"Cancelled ({data.reason.replace('_', ' ')}); {money(owed, order.row['currency'])} goes back."
    else:
        owed = await _cancel_lines(order, data.lines, cause, at, reason=data.reason, by=by)
        detail = f"Lines {', '.join(data.lines)} cancelled; {money(owed, order.row['currency'])} goes back."
    order.row["detail"]["failure"] = order.row["detail"].get("failure") if order.shorts() else None
    await _review_large_refund(order, owed, cause, at)
    await order.mail_customer("order_cancelled", cause, at, amount_minor=owed)
    await steps.note(order.tx, order.id, "cancelled", cause, detail, at, actor=data.actor)
    await order.save(at)
    order.tx.tell(order.id, Message.CANCEL_RECORDED)
    return detail


async def _cancel_lines(
    order: Order, line_ids: tuple[str, ...], cause: str, at: datetime, *, reason: str, by: str
) -> int:
    wanted = {}
    for line_id in dict.fromkeys(line_ids):
        line = order.line(line_id)
        if not order.open_quantity(line):
            raise Malformed(f"Line {line_id} has nothing left to cancel.", pointer="/data/lines")
        wanted[line_id] = order.open_quantity(line)
    if sum(wanted.values()) == sum(order.open_quantity(line) for line in order.lines.values()):
        return await decisions.cancel_everything(order, cause, at, reason=reason, by=by)
    await decisions.let_go(order, list(wanted), cause, at)
    owed = await decisions.give_up_units(order, wanted, cause, at, reason=reason)
    await order.settle(at)
    return owed


async def _review_large_refund(order: Order, owed_minor: int, cause: str, at: datetime) -> None:
    """What is owed is paid at once; a large one is looked at afterwards."""
    if owed_minor >= order.policy.bands.refund_approval_minor:
        await cases.refund_review(order, owed_minor, cause, at)


async def extended(order: Order, data: BopisExtended, cause: str, at: datetime) -> str:
    """Give the customer until a later instant. Raises `StateConflict` unless the goods stand ready, `Malformed` for
    an earlier time or one that is too far off.
    """
    if BopisState(order.row["state"]) not in ON_THE_HOLD_SHELF:
        raise StateConflict(f"The order is {order.row['state'].replace('_', ' ')}; only a ready pickup is extended.")
    window = order.row["dues"].get("window")
    if data.until <= at or (window and data.until <= datetime.fromisoformat(window)):
        raise Malformed("The new end of the pickup window is not later than the present one.", pointer="/data/until")
    if data.until > at + LONGEST_WINDOW:
        days = LONGEST_WINDOW.days
        raise Malformed(
            f"Goods are kept for {days} days from now at most; choose an earlier end.", pointer="/data/until"
        )
    await order.lock_cases()
    await order.lock_goods()
    order.due("window", data.until)
    reminder = last_reminder(data.until, order.place.hours)
    if reminder > at:
        order.due("window_reminder_last", reminder)
    detail = f"The pickup window was extended until {local(data.until, order.place.hours.time_zone)}."
    await steps.note(order.tx, order.id, "extended", cause, detail, at, actor=data.actor)
    await order.mail_customer("pickup_extended", cause, at)
    await order.save(at)
    order.tx.tell(order.id, Message.WINDOW_EXTENDED)
    return detail


async def hold_released(order: Order, _data: BopisHoldReleased, cause: str, at: datetime) -> str:
    """The source lets a kept-back order go on. Raises `StateConflict` when it was not kept back, or waits for a return
    to pay for it.
    """
    if order.row["state"] != BopisState.PLACED:
        raise StateConflict(f"The order is {order.row['state'].replace('_', ' ')}; nothing keeps it back.")
    if order.row["detail"].get("kept_back") == exchanges.TENDER:
        raise StateConflict("The order waits for the goods that it is exchanged for; it goes on when they have come.")
    await order.lock_cases()
    await order.lock_goods()
    detail = "The source let the order go on."
    await let_go_on(order, cause, at, detail)
    return detail


async def let_go_on(order: Order, cause: str, at: datetime, detail: str) -> None:
    """Nothing keeps the order back any more. Its cases and goods are locked."""
    order.row["detail"]["kept_back"] = None
    if order.shorts():
        order.row["detail"]["failure"] = "reservation_failure"
    await order.settle(at)
    await ready_or_collected(order, BopisState.PLACED, cause, at)
    await steps.note(order.tx, order.id, "hold_released", cause, detail, at)
    await order.save(at)
    order.tx.tell(order.id, Message.RESUMED)
