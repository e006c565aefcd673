"""What a customer may do with a ready order by the link in its mail: keep it waiting longer, or cancel it."""

from datetime import datetime, timedelta

from domain.bopis import ON_THE_HOLD_SHELF, BopisState
from domain.calendars import end_of_open_day
from domain.errors import Malformed, NotFound, StateConflict
from domain.events import BopisCancelled, BopisExtended
from domain.words import closing
from ledger.bopis import requests
from ledger.bopis.order import Order
from ledger.engine import Database
from ledger.transaction import Transaction

ACTS = ("extend", "cancel")


async def act(database: Database, journey_id: str, customer_id: str, *, act: str, window_seen: str, via: str) -> str:
    """Extend or cancel, as policy allows it; returns what was done.

    `window_seen` is the end of the window that the page showed: a second press finds another one, and changes nothing.

    Raises `Malformed` for no choice, `StateConflict` by name for what is not possible (any more), `NotFound`.
    """
    if act not in ACTS:
        raise Malformed("Choose one of the answers; nothing is chosen for you.", pointer="/answer")

    async def work(tx: Transaction) -> str:
        row = await tx.lock_journey(journey_id)
        if row["customer_id"] != customer_id:
            raise NotFound("This order is not known.")
        order = await Order.load(tx, row)
        at = await tx.now(row["clock_offset_s"])
        cause = f"customer:{journey_id}:{row['version']}"
        actor = f"customer:{customer_id}"
        if act == "extend":
            until = _extended(order, window_seen)
            return await requests.extended(order, BopisExtended(until=until, actor=actor), cause, at)
        if not order.policy.offers.cancel_by_link:
            raise StateConflict("This order cannot be cancelled by link; please ask the store.")
        if BopisState(row["state"]) not in ON_THE_HOLD_SHELF:
            raise StateConflict(f"The order is {row['state'].replace('_', ' ')} by now.")
        return await requests.cancelled(order, BopisCancelled(reason="customer_request", actor=actor), cause, at)

    return await database.write(work, actor=f"customer:{customer_id}", via=via)


def _extended(order: Order, window_seen: str) -> datetime:
    """The new end of the window; raises `StateConflict` where policy has no more time to give."""
    window = order.row["dues"].get("window")
    if BopisState(order.row["state"]) not in ON_THE_HOLD_SHELF or window is None:
        raise StateConflict(f"The order is {order.row['state'].replace('_', ' ')} by now.")
    ends = datetime.fromisoformat(window)
    zone = order.place.hours.time_zone
    if window != window_seen:
        raise StateConflict(f"We keep it until {closing(ends, zone)} already.")
    policy, times = order.policy.offers, order.row["detail"].get("extended_by_customer", 0)
    if times >= policy.extensions or not policy.extension_open_days:
        raise StateConflict(f"It cannot be kept longer than until {closing(ends, zone)}; please ask the store.")
    order.row["detail"]["extended_by_customer"] = times + 1
    # A second before its end it is still the window's last day, also where a day ends at midnight.
    return end_of_open_day(ends - timedelta(seconds=1), policy.extension_open_days, order.place.hours)
