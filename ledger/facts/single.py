"""Takes one event in a transaction of its own: those about an order, requests, and what a batch has left."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, update

from domain.claims import ClaimReference
from domain.errors import DomainError, Malformed, NotAllowed
from domain.events import (
    FACTS,
    CountEntered,
    EventOutcome,
    OrderReference,
    OrderShipped,
    PosSale,
    RefundConfirmed,
    StockAdjusted,
    StockReceived,
)
from domain.return_requests import PosReturn, ReturnReference
from domain.tracking import TransferTracked
from domain.transfers import TransferReference
from ledger import adjustments, closures, goods, holds, reference, stops
from ledger.bopis import arriving, by_the_source, facts, handing_over, requests, shipped, verifying
from ledger.bopis.order import Order
from ledger.count import requests as requests_of_counts
from ledger.engine import Database
from ledger.facts import delivered, of_claims, of_transfers, refusals, returned
from ledger.facts.finding import by_order, lock_order
from ledger.facts.inbox import REPLAY, Arrived, claim, problem
from ledger.people import Caller
from ledger.returns.document import Return
from ledger.tables import event_inbox
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
    if isinstance(arrived.data, DomainError):
        raise arrived.data
    return await _Taking(tx, caller, arrived, arrived.cause(caller.source), arrived.event.occurred_at, check).take()


@dataclass(frozen=True, slots=True)
class _Taking:
    """One event on its way into the ledger: who sent it, what its movements name as their cause, when it happened."""

    tx: Transaction
    caller: Caller
    arrived: Arrived
    cause: str
    at: datetime
    check: Check | None

    async def take(self) -> EventOutcome:
        """By what the event is about: an order, a return, a transfer, a claim, or anything else."""
        data = self.arrived.data
        if isinstance(data, OrderReference):
            return await self._of_order(data)
        if isinstance(data, ReturnReference | PosReturn):
            return await self._of_return(data)
        if isinstance(data, TransferReference):
            return await self._of_transfer(data)
        if isinstance(data, ClaimReference):
            about = await of_claims.take(self.tx, self.caller, self.arrived.event.type, data, self.cause, self.at)
            return await self._accepted(about)
        return await self._of_the_rest(data)

    # ------------------------------------------------------------------ about a journey
    async def _of_order(self, data: OrderReference) -> EventOutcome:
        found = await lock_order(self.tx, self.caller, data)
        if found is None:
            return await self._park(data.journey_id or data.order_id or "")
        if found["kind"] != "bopis":
            await self._of_another_kind(found, data)
        else:
            order = await Order.load(self.tx, found)
            if self.check is not None:
                self.check(order)
            await ON_ORDERS[self.arrived.event.type](order, data, self.cause, order.clock(self.at))
        return await self._accepted(str(found["id"]))

    async def _of_another_kind(self, row: RowMapping, data: OrderReference) -> None:
        """A fact that names a journey which is no order: a return is paid back by its source, too. Raises
        `Malformed`.
        """
        if row["kind"] != "returns" or not isinstance(data, RefundConfirmed):
            kind = self.arrived.event.type
            raise Malformed(f"{row['id']} is no order; {kind} is about orders.", pointer="/data/journey_id")
        it = await Return.read_alone(self.tx, row)
        await it.lock_order()
        await by_the_source.confirmed(it, data, self.cause, self.at)

    async def _of_return(self, data: ReturnReference | PosReturn) -> EventOutcome:
        taken = await returned.take(
            self.tx, self.caller, self.arrived.event.type, data, self.cause, self.at, check=self.check
        )
        if taken.about is None:
            return await self._park(data.return_id or "", what="return")
        return await self._accepted(taken.about, outcome=taken.outcome)

    async def _of_transfer(self, data: TransferReference) -> EventOutcome:
        """What is said of a transfer; it waits for one that nobody has asked for yet."""
        meant = await of_transfers.find(self.tx, self.caller, data)
        if meant is None:
            return await self._park(data.transfer_id, what="transfer")
        about = await of_transfers.take(
            self.tx, meant, self.arrived.event.type, data, self.cause, self.at, check=self.check
        )
        return await self._accepted(about)

    # ------------------------------------------------------------------ about anything else
    async def _of_the_rest(self, data: Any) -> EventOutcome:
        """What is said of counts, carriers, holds, places and goods."""
        tx, caller, cause, at = self.tx, self.caller, self.cause, self.at
        if isinstance(data, CountEntered):
            about = await requests_of_counts.find(tx, caller, data.count_id)
            await requests_of_counts.enter(tx, about, caller.source, data, cause)
            return await self._accepted(about)
        if isinstance(data, TransferTracked):
            return await self._accepted(await of_transfers.news(tx, caller, data, cause, at))
        if isinstance(data, OrderShipped):
            await holds.shipped(tx, caller, data, cause, at)
            return await self._accepted(None)
        if self.arrived.event.type in ON_PLACES:
            return await self._accepted(None, case_id=await ON_PLACES[self.arrived.event.type](tx, data, cause, at))
        if isinstance(data, PosSale):
            return await self._sale(data)
        if isinstance(data, StockReceived):
            return await self._accepted(await self._received(data))
        return await self._accepted(None, case_id=await self._adjusted(data))

    async def _sale(self, data: PosSale) -> EventOutcome:
        """A till receipt. Lines that name an order are that order's hand-over: one movement, whoever reports it."""
        handed, rest = await by_order(self.tx, self.caller, data.lines)
        if len(handed) > 1:
            raise Malformed("One receipt may hand over one order; send a receipt for each.", pointer="/data/lines")
        for about, lines in handed.items():
            order = await Order.load(self.tx, await self.tx.lock_journey(about))
            order.beside = {(data.location, line.sku) for line in rest}
            await handing_over.rung_up(order, lines, self.cause, order.clock(self.at))
        outcome = "accepted"
        if rest:
            answer = await self._take_goods(data.model_copy(update={"lines": tuple(rest)}))
            outcome = "duplicate" if answer == goods.DUPLICATE and not handed else "accepted"
        return await self._accepted(next(iter(handed), None), outcome=outcome)

    async def _received(self, data: StockReceived) -> str | None:
        """A delivery; lines that name an order are what a warehouse has sent for it. Returns that order, if any."""
        came, rest = await by_order(self.tx, self.caller, data.lines)
        if len(came) > 1:
            raise Malformed("One delivery may bring goods for one order; send one for each.", pointer="/data/lines")
        for about, quantities in came.items():
            beside = {(data.location, line.sku) for line in rest}
            await delivered.for_order(self.tx, about, quantities, data, beside, self.cause, self.at)
        if rest:
            await self._take_goods(data.model_copy(update={"lines": tuple(rest)}))
        return next(iter(came), None)

    async def _adjusted(self, data: StockAdjusted) -> int | None:
        """An adjustment; returns the case that was opened, if any."""
        _, fact, _ = await self._known(data)
        place = await reference.place(self.tx.conn, data.location, pointer="/data/location")
        return await adjustments.report(self.tx, self.caller.source, data, self.cause, place, fact.policy, self.at)

    async def _take_goods(self, data: goods.GoodsData) -> goods.Answer:
        places, fact, costs = await self._known(data)
        (answer,) = await goods.take(self.tx, [fact], costs, places.sources)
        if isinstance(answer, DomainError):
            raise answer
        return answer

    async def _known(self, data: goods.GoodsData) -> tuple[goods.Places, goods.GoodsFact, goods.Costs]:
        places = goods.places_of(self.tx.conn)
        await places.refresh(self.tx.conn, {data.location})
        fact = goods.fact_of(places, self.caller, data, self.cause, self.at)
        costs = await goods.read_costs(self.tx.conn, ((fact.place.entity, sku) for sku in fact.skus))
        goods.check_items(fact, costs)
        return places, fact, costs

    # ------------------------------------------------------------------ what became of it
    async def _accepted(
        self, about: str | None, *, case_id: int | None = None, outcome: str = "accepted"
    ) -> EventOutcome:
        """It is recorded, about this journey and with this case, if any."""
        await self._record(
            outcome="accepted", journey_id=about, case_id=case_id, body_sealed=None, waits_for=None, problem=None
        )
        return self.arrived.outcome(outcome, case_id=case_id)

    async def _park(self, waits_for: str, *, what: str = "order") -> EventOutcome:
        """The order, or the return, has not come yet: keep the event sealed, and apply it when it comes."""
        said = {
            "code": f"{what}_unknown",
            "detail": f"There is no {what} {waits_for} yet; the event is applied when it comes.",
        }
        sealed = self.tx.seal.close(self.arrived.body)
        await self._record(outcome="parked", waits_for=waits_for, problem=said, body_sealed=sealed)
        return self.arrived.outcome("parked", problem=said)

    async def _record(self, **values: Any) -> None:
        row = (event_inbox.c.source == self.caller.source) & (event_inbox.c.event_id == self.arrived.event.id)
        await self.tx.conn.execute(update(event_inbox).where(row).values(**values))
