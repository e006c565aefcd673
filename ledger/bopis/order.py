"""A BOPIS order, loaded under its journey's lock: its lines, holds and money, changed together and saved together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, override

from sqlalchemy import Table, select

from domain import bopis
from domain.bopis import BopisState
from domain.errors import UnknownLine
from domain.payments import OPEN_STATES
from ledger import case
from ledger.bopis import clocks, coming, offered, waiting
from ledger.bopis.holding import Goods
from ledger.changes import Row
from ledger.document import Rules, Shelf, rows_asked
from ledger.prepared import Ask
from ledger.tables import hold, journey_line, payment_operation, sale_line
from ledger.transaction import Transaction, journey_asked


@dataclass(kw_only=True)
class Order(Goods):
    """The whole order: its lines, its holds, and once they are needed its sale lines."""

    sales: dict[str, Row] = field(default_factory=dict)
    beside: set[Shelf] = field(default_factory=set)  # what the same fact moves besides
    taken_up: int = 0  # units that others had found for it or brought it, its own since its goods were locked

    rules: ClassVar[Rules] = bopis

    @classmethod
    async def load(cls, tx: Transaction, row: Mapping[Any, Any]) -> "Order":
        """From the locked journey row. Its goods and money are locked by `lock_goods`."""
        order = await cls.begin(tx, row)
        order.lines = {line["line_id"]: line for line in await order.read(journey_line)}
        return order

    @classmethod
    def asked(cls, journey_id: str) -> list[Ask]:
        """What is asked to look at an order with its money, but for its place and its policy."""
        own = (rows_asked(journey_line, journey_id), rows_asked(sale_line, journey_id, by="document"))
        return [journey_asked(journey_id), *own]

    async def lock_goods(self, extra: Iterable[tuple[str, str]] = ()) -> None:
        """Lock the stock rows of all its lines here and of its holds elsewhere, then the holds.

        What others have found or brought and held for this order is its own from here on.
        """
        places = {(self.row["location"], line["sku"]) for line in self.lines.values()}
        held = await self.tx.conn.execute(select(hold.c.location, hold.c.sku).where(hold.c.journey_id == self.id))
        places.update((row.location, row.sku) for row in held)
        await self.tx.lock_stock(places | set(extra) | self.beside)
        self.holds = [dict(row) for row in await self.tx.lock_holds(self.id)]
        self.remember(hold, self.holds)
        await self.read_money()
        self.taken_up = await waiting.take_up_found(self) + await coming.take_up(self)

    async def read_money(self) -> None:
        """The sale lines, which only the holder of this journey's lock changes; what changes from here on is saved."""
        self.sales = {row["line_id"]: row for row in await self.read(sale_line, by="document")}

    @property
    def is_kept_back(self) -> bool:
        """Whether its source has not let it go on yet. Goods may move all the same: what has happened has happened."""
        return self.row["state"] == BopisState.PLACED and self.row["detail"].get("kept_back") is not None

    def line(self, line_id: str) -> dict[str, Any]:
        """A line. Raises `UnknownLine`, naming the lines of the order."""
        if line_id not in self.lines:
            raise UnknownLine(
                f"The order has no line {line_id}; its lines are {', '.join(self.lines)}.", pointer="/data/lines"
            )
        return self.lines[line_id]

    def nothing_left_on_hold_shelf(self) -> bool:
        """Whether everything was put away or taken; then no clock runs for it any more."""
        empty = not any(self.row["detail"].get("unclaimed", {}).values())
        if empty:
            self.drop_dues("put_away")
        return empty

    def state_by_quantities(self) -> BopisState:
        """The state that the quantities of the lines amount to."""
        lines = self.lines.values()
        collected = sum(line["collected"] for line in lines)
        if self.is_kept_back and any(self.open_quantity(line) for line in lines):
            return BopisState.PLACED
        if self.shorts():
            asking = BopisState(self.row["state"]) in bopis.ASKING_THE_CUSTOMER and self.row["asks"].get("offer_id")
            return BopisState(self.row["state"]) if asking else BopisState.RESERVATION_FAILED
        if self.row["detail"].get("ship_to_home") and any(line["reserved"] or line["staged"] for line in lines):
            return BopisState.TO_BE_SHIPPED
        if self.row["detail"].get("coming") or any(row["reserved"] for row in self.holds if self.is_away(row)):
            return BopisState.SHIP_TO_STORE
        if any(line["reserved"] for line in lines):
            started = collected or any(line["staged"] for line in lines)
            return BopisState.PICKING if started else BopisState.RESERVED
        if any(line["staged"] for line in lines):
            return BopisState.PARTIALLY_COLLECTED if collected else BopisState.READY_FOR_PICKUP
        if collected:
            return BopisState.SHIPPED if self.row["detail"].get("shipments") else BopisState.COLLECTED
        return BopisState.CANCELLED

    async def settle(self, at: datetime) -> None:
        """Go where the quantities lead, set the due instants of that state, and close when nothing is left to do."""
        await coming.cut(self)
        await offered.look(self, at)
        before, state = self.row["state"], self.state_by_quantities()
        self.go(state)
        if any(max(self.missing(line), 0) < line["short"] for line in self.lines.values()):
            await waiting.cut(self)
        for line in self.lines.values():
            line["short"] = max(self.missing(line), 0)
            line["state"] = "coming" if _is_coming(self, line) else _line_state(line, self.open_quantity(line))
        await clocks.run(self, before, at)

    async def end_asks(self, because: str, at: datetime) -> None:
        """Nothing has to be decided or picked any more: the cases about it are closed, an approval superseded."""
        await self.answer_asks(because, at)
        await case.heal_kind(self.tx, self.id, "pick_overdue", because, at)

    async def answer_asks(self, because: str, at: datetime) -> None:
        """The question which way out to take has answered itself."""
        # What the customer is asked ends when the order's goods are locked, which `offered.look` needs.
        customer = {name: value for name, value in self.row["asks"].items() if name == "offer_id"}
        await super().answer_asks(because, at)
        self.row["asks"] = customer

    async def answer_if_nothing_is_missing(self, at: datetime) -> None:
        """Where the missing units are there after all, nobody has to choose a way out."""
        if not self.shorts():
            self.drop_dues("wait")
            await self.answer_asks("the missing units turned up and are held for the order", at)
            self.row["detail"]["failure"] = None

    @override
    def about(self, kind: str) -> dict[str, Any]:
        return {"order": self.row["key"]}

    # ------------------------------------------------------------------ saving
    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        yield journey_line, self.lines.values()
        yield hold, self.holds
        yield sale_line, self.sales.values()

    @property
    def rests(self) -> bool:
        return False  # goods are put away and money is confirmed when all else is over

    async def is_over(self) -> bool:
        if self.row["closed_at"]:
            return True  # what is reported of it later has its own case, or is paid as it stands
        return await super().is_over() and not self.row["dues"] and not await self._open_operations()

    async def save(self, at: datetime) -> None:
        """Write what changed, once the question that its customer is asked has been looked at."""
        if (self.taken_up or self.fell_short) and not self.is_final:
            await self.answer_if_nothing_is_missing(at)
            await self.settle(at)
            await coming.heal(self, at)
        if await offered.look(self, at) and not self.is_final:
            await self.settle(at)
        offered.let_go_of_the_rest(self, at)
        await super().save(at)

    async def _open_operations(self) -> bool:
        found = await self.tx.conn.execute(
            select(payment_operation.c.id)
            .where(payment_operation.c.journey_id == self.id, payment_operation.c.state.in_(OPEN_STATES))
            .limit(1)
        )
        return found.first() is not None


def _is_coming(order: Order, line: Mapping[str, Any]) -> bool:
    """Whether nothing of a line is missing, and a transfer brings some of it."""
    return order.coming(line) > 0 and order.missing(line) <= 0


def _line_state(line: Mapping[str, Any], open_quantity: int) -> str:
    if open_quantity == 0:
        return "collected" if line["collected"] else "substituted" if line["substituted_by"] else "cancelled"
    if line["short"]:
        return "short"
    if line["staged"] == open_quantity:
        return "staged"
    return "reserved"
