"""The clocks of an order: which run in its state, and where they go when its place closes or opens."""

from datetime import datetime, timedelta

from domain import bopis, closures
from domain.calendars import OpeningHours, add_open_time
from ledger.bopis.holding import Goods
from ledger.reference import Place

# Which calendar a clock runs on, by the beginning of its name; what is not listed runs on real time.
_STAFF = ("pick", "verify", "ship", "arrived", "put_away")
_CUSTOMER = ("window",)


async def run(order: Goods, before: str, at: datetime) -> None:
    """Set the due instants of the state that the order has come to from `before`."""
    state = order.row["state"]
    if not any(row["doubted_at"] is not None and row["reserved"] for row in order.holds):
        order.drop_dues("verify")  # what is doubted later has its own time
    if state in bopis.TO_BE_PICKED:
        order.drop_dues("window")
        if before not in bopis.TO_BE_PICKED:
            await start_pick(order, at)
    elif state in bopis.ON_THE_HOLD_SHELF:
        order.drop_dues("pick")
        if before not in bopis.ON_THE_HOLD_SHELF:
            await _start_window(order, at)
    elif state != bopis.BopisState.PLACED:
        order.drop_dues("pick", "window", "arrived")
        if state != bopis.BopisState.TO_BE_SHIPPED:
            order.drop_dues("ship")
            if state != bopis.BopisState.SHIP_TO_STORE:
                order.drop_dues("goods")
        elif before != state:
            start_shipment(order, at)


async def start_pick(order: Goods, at: datetime) -> None:
    """Somebody has to pick at the order's place, from now on."""
    order.drop_dues("pick")
    due = bopis.pick_due(at, None, order.policy.bopis, order.place.staff_hours)
    for name, when in bopis.nag_dues(at, due, order.policy.bopis).items():
        order.due(name, when)


def start_shipment(order: Goods, at: datetime) -> None:
    """The order has to leave within this open time of the place that sends it."""
    span = timedelta(seconds=order.policy.bopis.ship_open_s)
    order.due("ship", add_open_time(at, span, order.place.staff_hours))


async def _start_window(order: Goods, at: datetime) -> None:
    # A late report must not eat the customer's time: the window begins when they can be told.
    told_at = max(at, await order.tx.now(order.row["clock_offset_s"]))
    frozen = bool(order.row["detail"].get("frozen"))
    dues = bopis.window_dues(told_at, order.policy.bopis, order.place.pickup_hours, frozen=frozen)
    for name, when in dues.items():
        order.due(name, when)


def move(order: Goods, since: datetime, before: Place, after: Place) -> list[str]:
    """Move the due instants by what changed at the order's place; returns the names of those that moved."""
    changed = []
    for name, written in order.row["dues"].items():
        calendars = _calendars(name, before, after)
        if calendars is None or written is None:
            continue
        due = datetime.fromisoformat(written)
        there = closures.moved(due, since, *calendars)
        if there != due:
            order.due(name, there)
            changed.append(name)
    return changed


def _calendars(name: str, before: Place, after: Place) -> tuple[OpeningHours, OpeningHours] | None:
    if name.startswith(_STAFF):
        return before.staff_hours, after.staff_hours
    if name.startswith(_CUSTOMER):
        return before.pickup_hours, after.pickup_hours
    return None
