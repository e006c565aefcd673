"""An order for pickup on the pages that all journeys share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.people import Person
from ledger.prepared import Ask
from ledger.reads.coming import coming_to
from ledger.reads.exchanges import exchange_panel, return_behind
from ledger.reads.journeys import JourneyDetail, journey_customer
from ledger.reads.order_beside import order_beside, order_beside_asked
from ledger.reads.store import FloorOrder, StorePlace, counts, orders_for
from web.journeys.parts import Beside, Due, JourneyParts, NextTask, Tile, Urgency
from web.pages import path

DUES = {
    "pick_nag": Due(
        "Pick check", "noted if nothing is picked by then; from the end of the time to pick on it is a case"
    ),
    "window_reminder": Due("Reminder", "the customer is reminded by mail"),
    "window": Due(
        "End of the pickup window", "the goods are released, the money goes back, the customer is told"
    ),
    "verify": Due(
        "Promised unit verified", "what the store has not found by then is lost, and a case asks for a way out"
    ),
    "arrived": Due("Customer outside", "a case if nothing was handed over by then"),
    "goods": Due("Goods come to the store", "a case if they have not come by then"),
    "ship": Due("Order sent", "a case if it has not left by then"),
    "put_away": Due("Goods put away", "a case if they still stand on the hold shelf"),
    "offer": Due(
        "Customer's answer", "without one, what is missing is refunded, or the order cancelled, as it says itself"
    ),
    "wait": Due("End of waiting", "a case asks for a way out again"),
}  # fmt: skip


async def beside(conn: AsyncConnection, person: Person, journey_id: str) -> Beside | None:
    """The order with its customer; none where it has moved to a place that this person does not see."""
    order = await order_beside(conn, person, journey_id)
    return None if order is None else Beside({"order": order}, frozenset(line.sku for line in order.lines))


def beside_asked(person: Person, journey_id: str) -> list[Ask]:
    return [order_beside_asked(person, journey_id)]


async def details(conn: AsyncConnection, person: Person, journey: JourneyDetail) -> Mapping[str, Any]:
    paid_by = return_behind([(one.tender, one.reference) for one in journey.payments])
    return {
        "customer": await journey_customer(conn, person, journey.id),
        "swap": await exchange_panel(conn, person, paid_by, journey.id) if paid_by is not None else None,
        "coming": await coming_to(conn, journey.id),
    }


async def tiles(conn: AsyncConnection, place: StorePlace) -> list[Tile]:
    """What a store does for orders."""
    found = await counts(conn, place)
    base = f"/store/{path(place.code)}"
    return [
        Tile(Urgency.VERIFY, "Verify", found["verify"], f"{base}/pick#verify", "promised units that may be gone"),
        Tile(Urgency.PICK, "Pick", found["pick"], f"{base}/pick", "orders to bring to the hold shelf"),
        Tile(
            Urgency.HAND_OVER, "Hand over", found["hand_over"], f"{base}/hand-over",
            "orders that wait for their customer",
        ),
        Tile(
            Urgency.PUT_AWAY, "Put away", found["put_away"], f"{base}/put-away", "goods that nobody will collect"
        ),
    ]  # fmt: skip


async def next_tasks(conn: AsyncConnection, place: StorePlace) -> list[NextTask]:
    """Each customer who waits outside, then the first order to verify, to pick and to put away."""
    found = [_outside(place, order) for order in await orders_for(conn, place, "hand_over") if order.arrived_at]
    if waiting := await orders_for(conn, place, "verify"):
        found.append(_verify(place, waiting[0]))
    if waiting := await orders_for(conn, place, "pick"):
        found.append(_pick(place, waiting[0]))
    if waiting := await orders_for(conn, place, "put_away"):
        found.append(_put_away(place, waiting[0]))
    return found


def _page(place: StorePlace, task: str, order: FloorOrder) -> str:
    return f"/store/{path(place.code)}/{task}/{path(order.id)}"


def _outside(place: StorePlace, order: FloorOrder) -> NextTask:
    bay = f" at bay {order.bay}" if order.bay else ""
    return NextTask(
        Urgency.SOMEBODY_WAITS,
        f"Outside{bay}: order {order.key}",
        "The customer waits. Bring the goods and hand them over.",
        _page(place, "hand-over", order),
        order.now,
        since=order.arrived_at,
    )


def _verify(place: StorePlace, order: FloorOrder) -> NextTask:
    return NextTask(
        Urgency.VERIFY,
        f"First: look for order {order.key}",
        "Others may have taken what it was promised. Look on the shelf, then say what is there.",
        _page(place, "verify", order),
        order.now,
        "Answer",
        order.verify_by,
    )


def _pick(place: StorePlace, order: FloorOrder) -> NextTask:
    lines = "1 line" if len(order.lines) == 1 else f"{len(order.lines)} lines"
    return NextTask(
        Urgency.PICK,
        f"Next: pick order {order.key}",
        lines,
        _page(place, "pick", order),
        order.now,
        "Pick",
        order.pick_by,
    )


def _put_away(place: StorePlace, order: FloorOrder) -> NextTask:
    return NextTask(
        Urgency.PUT_AWAY,
        f"Next: put away order {order.key}",
        f"It is {order.state.replace('_', ' ')}; its goods still stand on the hold shelf.",
        _page(place, "put-away", order),
        order.now,
    )


PARTS = JourneyParts(
    kind="bopis", beside=beside, tiles=tiles, next_tasks=next_tasks, dues=DUES, details=details,
    beside_asked=beside_asked,
)  # fmt: skip
