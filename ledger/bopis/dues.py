"""What happens to an order by itself: reminders, an overdue pick, a doubted unit nobody found, the end of a window."""

from datetime import datetime, timedelta

from domain.bopis import ON_THE_HOLD_SHELF, TO_BE_PICKED, BopisState
from domain.messages import Situation, Step
from domain.words import money
from ledger.bopis import asking, by_the_source, cases, clocks, decisions, verifying
from ledger.bopis.order import Order
from ledger.engine import Database
from ledger.journey_steps import take_due


async def on_due(database: Database, step: Step) -> Situation:
    """Something falls due: a reminder, an overdue pick, a unit that nobody could verify, the end of a window or a
    wait.
    """
    return await take_due(database, step, Order, _due)


async def _due(order: Order, due: str, cause: str, at: datetime) -> str:
    await order.lock_goods()
    state = BopisState(order.row["state"])
    if due.startswith("pick_nag") and state in TO_BE_PICKED:
        return await _nag(order, int(due.rsplit("_", 1)[1]), at)
    if due.startswith("window_reminder") and state in ON_THE_HOLD_SHELF:
        await order.mail_customer("pickup_reminder", due, at, window_until=order.row["dues"].get("window"))
        return "The customer was reminded to collect."
    if due == "window" and state in ON_THE_HOLD_SHELF:
        return await _no_show(order, cause, at)
    if due == "verify":
        return await verifying.nobody_looked(order, cause, at)
    if due == "arrived" and state in ON_THE_HOLD_SHELF:
        ref = await cases.customer_waiting(order, at)
        return f"The customer waits outside and nothing is handed over; case {ref.id}."
    if due == "goods" and state is BopisState.SHIP_TO_STORE:
        ref = await cases.shipment_overdue(order, at)
        order.due("goods", at + timedelta(seconds=order.policy.sourcing.to_store_s))
        return f"The goods have not come; case {ref.id} asks."
    if due == "ship" and state is BopisState.TO_BE_SHIPPED:
        ref = await cases.shipment_overdue(order, at)
        clocks.start_shipment(order, at)
        return f"The order has not left; case {ref.id} asks."
    if due == "refund_confirm":
        return await by_the_source.silence(order, at)
    if due == "put_away":
        return await _put_away_overdue(order, at)
    if due == "offer":
        return await asking.silence(order, cause, at)
    if due == "wait" and state is BopisState.RESERVATION_FAILED:
        ref = await cases.ask_for_way_out(order, at)
        return f"Nothing turned up; case {ref.id} asks again."
    return ""


async def _nag(order: Order, number: int, at: datetime) -> str:
    permille = order.policy.bopis.nag_permille[number - 1]
    if permille < 1000:
        return f"{permille / 10:g} % of the time to pick has passed, and nothing is picked yet."
    await cases.pick_overdue(order, at)
    promised = order.row["promised_at"]
    if promised is not None:
        await order.mail_customer("order_late", f"{promised:%Y%m%dT%H%M}", at)
    return "The pick is overdue; the store manager is asked." if permille == 1000 else "The pick is long overdue."


async def _no_show(order: Order, cause: str, at: datetime) -> str:
    owed = await decisions.cancel_everything(order, cause, at, reason="no_show")
    await order.mail_customer("pickup_expired", cause, at, amount_minor=owed)
    return f"Nobody came in time: released, {money(owed, order.row['currency'])} goes back."


async def _put_away_overdue(order: Order, at: datetime) -> str:
    await cases.put_away_overdue(order, at)
    # Until it is reported, the goods cannot be sold: look again after the same time.
    order.due("put_away", at + timedelta(seconds=order.policy.bopis.put_away_s))
    return "Goods were not put away in time; the store manager is asked."
