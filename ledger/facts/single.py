"""Takes one event in a transaction of its own: those about an order, requests, and what a batch has left."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain.claims import ClaimReference
from domain.errors import AmbiguousReference, DomainError, Malformed, NotAllowed, NotFound
from domain.events import (
    FACTS,
    CountEntered,
    EventOutcome,
    OrderReference,
    OrderShipped,
    PosSale,
    ReceivedLine,
    RefundConfirmed,
    SaleLineIn,
    StockAdjusted,
    StockReceived,
)
from domain.ids import journey_id
from domain.return_requests import PosReturn, ReturnReference
from domain.tracking import TransferTracked
from domain.transfers import TransferReference
from ledger import adjustments, closures, goods, holds, reference, stops
from ledger.bopis import arriving, by_the_source, facts, handing_over, requests, shipped, verifying
from ledger.bopis.order import Order
from ledger.count import requests as requests_of_counts
from ledger.engine import Database
from ledger.facts import delivered, of_claims, of_transfers, refusals, returned
from ledger.facts.inbox import REPLAY, Arrived, claim, problem
from ledger.people import Caller
from ledger.returns.book import Return
from ledger.tables import event_inbox, journey
from ledger.transaction import Transaction

Handler = Callable[[Order, Any, str, datetime], Awaitable[str]]
Check = Callable[[Any], None]  # of the locked journey: an order, a return, a transfer

ON_ORDERS: dict[str, Handler] = {
    "bopis.picked": facts.picked,
    "bopis.handed_over": handing_over.handed_over,
    "bopis.put_away": facts.put_away,
    "bopis.shipped": shipped.shipped,
    "bopis.verified": verifying.verified,
    "bopis.arrived": arriving.arrived,
    "refund.confirmed": by_the_source.confirmed,
    "bopis.cancelled": requests.cancelled,
    "bopis.extended": requests.extended,
    "bopis.hold_released": requests.hold_released,
}
# What is said of a place, or of an item; the answer is the case that was opened, if any.
ON_PLACES: dict[str, Callable[[Transaction, Any, str, datetime], Awaitable[int | None]]] = {
    "location.status": closures.reported,
    "item.stop_sale": stops.stopped,
    "item.sale_resumed": stops.resumed,
}


async def take_one(
    database: Database, caller: Caller, arrived: Arrived, received_at: datetime, *, via: str = "api"
) -> EventOutcome:
    """Take one event with its whole effect, or set it aside: a fact is quarantined, a request refused.

    A fact that the caller may not report is refused, too; one that comes back by `via` was allowed when it came first.
    """
    actor = f"key:{caller.key_id}"
    try:
        with refusals.of_the_database():
            return await database.write(lambda tx: take(tx, caller, arrived), actor=actor, via=via)
    except DomainError as error:
        refusal = error
    said = problem(refusal)
    if arrived.event.type in FACTS and (via == REPLAY or not isinstance(refusal, NotAllowed)):
        return await database.write(
            lambda tx: refusals.quarantine(tx, caller.source, arrived, said, received_at), actor=actor, via=via
        )
    return await database.write(lambda tx: refusals.refuse(tx, caller.source, arrived, said), actor=actor, via=via)


async def take(tx: Transaction, caller: Caller, arrived: Arrived, *, check: Check | None = None) -> EventOutcome:
    """Take an event with its whole effect, once. `check` may refuse it by what the locked order is by now."""
    (before,) = await claim(tx, caller.source, [arrived])
    if before is not None:
        return before
    data, cause, at = arrived.data, arrived.cause(caller.source), arrived.event.occurred_at
    if isinstance(data, DomainError):
        raise data
    if isinstance(data, OrderReference):
        return await _of_order(tx, caller, arrived, data, cause, at, check)
    if isinstance(data, ReturnReference | PosReturn):
        return await _of_return(tx, caller, arrived, data, cause, at, check)
    if isinstance(data, TransferReference):
        return await _of_transfer(tx, caller, arrived, data, cause, at, check)
    if isinstance(data, ClaimReference):
        meant = await of_claims.take(tx, caller, arrived.event.type, data, cause, at)
        return await _accepted(tx, caller, arrived, meant, None, "accepted")
    about, case_id, outcome = await _of_the_rest(tx, caller, arrived, data, cause, at)
    return await _accepted(tx, caller, arrived, about, case_id, outcome)


async def _of_the_rest(
    tx: Transaction, caller: Caller, arrived: Arrived, data: Any, cause: str, at: datetime
) -> tuple[str | None, int | None, str]:
    """What is said of counts, carriers, holds, places and goods: its journey and its case, if any, and the outcome."""
    about, case_id, outcome = None, None, "accepted"
    if isinstance(data, CountEntered):
        about = await requests_of_counts.find(tx, caller, data.count_id)
        await requests_of_counts.enter(tx, about, caller.source, data, cause)
    elif isinstance(data, TransferTracked):
        about = await of_transfers.news(tx, caller, data, cause, at)
    elif isinstance(data, OrderShipped):
        await holds.shipped(tx, caller, data, cause, at)
    elif arrived.event.type in ON_PLACES:
        case_id = await ON_PLACES[arrived.event.type](tx, data, cause, at)
    elif isinstance(data, PosSale):
        about, outcome = await _sale(tx, caller, data, cause, at)
    elif isinstance(data, StockReceived):
        about = await _received(tx, caller, data, cause, at)
    else:
        case_id = await _goods(tx, caller, data, cause, at)
    return about, case_id, outcome


async def _of_order(
    tx: Transaction,
    caller: Caller,
    arrived: Arrived,
    data: OrderReference,
    cause: str,
    at: datetime,
    check: Check | None,
) -> EventOutcome:
    found = await _lock_order(tx, caller, data)
    if found is None:
        return await _park(tx, caller, arrived, data.journey_id or data.order_id or "")
    if found["kind"] != "bopis":
        await _of_another_kind(tx, found, arrived.event.type, data, cause, at)
    else:
        order = await Order.load(tx, found)
        if check is not None:
            check(order)
        await ON_ORDERS[arrived.event.type](order, data, cause, order.clock(at))
    return await _accepted(tx, caller, arrived, str(found["id"]), None, "accepted")


async def _of_return(
    tx: Transaction,
    caller: Caller,
    arrived: Arrived,
    data: ReturnReference | PosReturn,
    cause: str,
    at: datetime,
    check: Check | None,
) -> EventOutcome:
    taken = await returned.take(tx, caller, arrived.event.type, data, cause, at, check=check)
    if taken.about is None:
        return await _park(tx, caller, arrived, data.return_id or "", what="return")
    return await _accepted(tx, caller, arrived, taken.about, None, taken.outcome)


async def _accepted(
    tx: Transaction, caller: Caller, arrived: Arrived, about: str | None, case_id: int | None, outcome: str
) -> EventOutcome:
    await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.source == caller.source, event_inbox.c.event_id == arrived.event.id)
        .values(outcome="accepted", journey_id=about, case_id=case_id, body_sealed=None, waits_for=None, problem=None)
    )
    return arrived.outcome(outcome, case_id=case_id)


async def _of_another_kind(
    tx: Transaction, row: RowMapping, kind: str, data: OrderReference, cause: str, at: datetime
) -> None:
    """A fact that names a journey which is no order: a return is paid back by its source, too. Raises `Malformed`."""
    if row["kind"] != "returns" or not isinstance(data, RefundConfirmed):
        raise Malformed(f"{row['id']} is no order; {kind} is about orders.", pointer="/data/journey_id")
    it = await Return.read_alone(tx, row)
    await it.lock_order()
    await by_the_source.confirmed(it, data, cause, at)


async def _lock_order(tx: Transaction, caller: Caller, data: OrderReference) -> RowMapping | None:
    """The row of the journey that is meant, locked; None when there is none yet. Raises as `_find_order`."""
    wanted = _meant(caller, data)
    if len(wanted) > 1:
        about = await _find_order(tx, caller, data)
        return None if about is None else await tx.lock_journey(about)
    try:
        row = await tx.lock_journey(wanted[0])
    except NotFound:
        return None
    _check_source(caller, row["source"])
    return row


async def _find_order(tx: Transaction, caller: Caller, data: OrderReference) -> str | None:
    """The journey that is meant, or None when there is none yet. Raises `AmbiguousReference`, `Malformed`,
    `NotAllowed`.
    """
    wanted = _meant(caller, data)
    rows = await tx.conn.execute(select(journey.c.id, journey.c.source).where(journey.c.id.in_(wanted)))
    known = {row.id: row.source for row in rows}
    own = [key for key, source in known.items() if source == caller.source]
    if own:
        return str(own[0])
    if len(known) > 1:
        raise AmbiguousReference(f"Order {data.order_id} exists in several sources; name order_source.")
    for key, source in known.items():
        _check_source(caller, source)
        return str(key)
    return None


def _meant(caller: Caller, data: OrderReference) -> list[str]:
    """The journeys that may be meant: one for each source of the caller when none is named."""
    sources = sorted({caller.source, *caller.sources})
    if data.journey_id is not None:
        return [data.journey_id]
    if data.order_id is None:
        raise Malformed("Name the order: journey_id, or order_id (with order_source).", pointer="/data/order_id")
    if data.order_source is None:
        return [journey_id("bopis", source, data.order_id) for source in sources]
    _check_source(caller, data.order_source)
    return [journey_id("bopis", data.order_source, data.order_id)]


def _check_source(caller: Caller, source: str) -> None:
    if source != caller.source and source not in caller.sources:
        raise NotAllowed(f"This key may not speak about orders of {source}.")


async def _of_transfer(
    tx: Transaction,
    caller: Caller,
    arrived: Arrived,
    data: TransferReference,
    cause: str,
    at: datetime,
    check: Check | None,
) -> EventOutcome:
    """What is said of a transfer; it waits for one that nobody has asked for yet."""
    meant = await of_transfers.find(tx, caller, data)
    if meant is None:
        return await _park(tx, caller, arrived, data.transfer_id, what="transfer")
    about = await of_transfers.take(tx, meant, arrived.event.type, data, cause, at, check=check)
    return await _accepted(tx, caller, arrived, about, None, "accepted")


async def _park(
    tx: Transaction, caller: Caller, arrived: Arrived, waits_for: str, *, what: str = "order"
) -> EventOutcome:
    """The order, or the return, has not come yet: keep the event sealed, and apply it when it comes."""
    said = {
        "code": f"{what}_unknown",
        "detail": f"There is no {what} {waits_for} yet; the event is applied when it comes.",
    }
    await tx.conn.execute(
        update(event_inbox)
        .where(event_inbox.c.source == caller.source, event_inbox.c.event_id == arrived.event.id)
        .values(outcome="parked", waits_for=waits_for, problem=said, body_sealed=tx.seal.close(arrived.body))
    )
    return arrived.outcome("parked", problem=said)


async def _by_order[Line: (SaleLineIn, ReceivedLine)](
    tx: Transaction, caller: Caller, lines: Sequence[Line]
) -> tuple[dict[str, dict[str, int]], list[Line]]:
    """Units by order and order line, of the lines that name one; and the lines that name none. Raises `NotFound`."""
    named: dict[str, dict[str, int]] = {}
    rest = []
    for line in lines:
        if line.order_id is None or line.line_id is None:
            rest.append(line)
            continue
        about = await _find_order(tx, caller, OrderReference(order_id=line.order_id, order_source=line.order_source))
        if about is None:
            raise NotFound(f"A line names order {line.order_id}, which is not known.", pointer="/data/lines")
        units = named.setdefault(about, {})
        units[line.line_id] = units.get(line.line_id, 0) + line.quantity
    return named, rest


async def _sale(tx: Transaction, caller: Caller, data: PosSale, cause: str, at: datetime) -> tuple[str | None, str]:
    """A till receipt; returns the order it hands over, if any, and the outcome. Lines that name an order are that
    order's hand-over: one movement, whoever reports it.
    """
    handed, rest = await _by_order(tx, caller, data.lines)
    if len(handed) > 1:
        raise Malformed("One receipt may hand over one order; send a receipt for each.", pointer="/data/lines")
    for about, lines in handed.items():
        order = await Order.load(tx, await tx.lock_journey(about))
        order.beside = {(data.location, line.sku) for line in rest}
        await handing_over.rung_up(order, lines, cause, order.clock(at))
    outcome = "accepted"
    if rest:
        answer = await _take_goods(tx, caller, data.model_copy(update={"lines": tuple(rest)}), cause, at)
        outcome = "duplicate" if answer == goods.DUPLICATE and not handed else "accepted"
    return next(iter(handed), None), outcome


async def _received(tx: Transaction, caller: Caller, data: StockReceived, cause: str, at: datetime) -> str | None:
    """A delivery; lines that name an order are what a warehouse has sent for it. Returns that order, if any."""
    came, rest = await _by_order(tx, caller, data.lines)
    if len(came) > 1:
        raise Malformed("One delivery may bring goods for one order; send one for each.", pointer="/data/lines")
    for about, quantities in came.items():
        beside = {(data.location, line.sku) for line in rest}
        await delivered.for_order(tx, about, quantities, data, beside, cause, at)
    if rest:
        await _take_goods(tx, caller, data.model_copy(update={"lines": tuple(rest)}), cause, at)
    return next(iter(came), None)


async def _take_goods(tx: Transaction, caller: Caller, data: goods.GoodsData, cause: str, at: datetime) -> goods.Answer:
    places, fact, costs = await _known(tx, caller, data, cause, at)
    (answer,) = await goods.take(tx, [fact], costs, places.sources)
    if isinstance(answer, DomainError):
        raise answer
    return answer


async def _goods(tx: Transaction, caller: Caller, data: goods.GoodsData, cause: str, at: datetime) -> int | None:
    """A delivery or an adjustment; returns the case that was opened, if any."""
    if not isinstance(data, StockAdjusted):
        await _take_goods(tx, caller, data, cause, at)
        return None
    _, fact, _ = await _known(tx, caller, data, cause, at)
    place = await reference.place(tx.conn, data.location, pointer="/data/location")
    return await adjustments.report(tx, caller.source, data, cause, place, fact.policy, at)


async def _known(
    tx: Transaction, caller: Caller, data: goods.GoodsData, cause: str, at: datetime
) -> tuple[goods.Places, goods.GoodsFact, goods.Costs]:
    places = goods.places_of(tx.conn)
    await places.refresh(tx.conn, {data.location})
    fact = goods.fact_of(places, caller, data, cause, at)
    costs = await goods.read_costs(tx.conn, ((fact.place.entity, sku) for sku in fact.skus))
    goods.check_items(fact, costs)
    return places, fact, costs
