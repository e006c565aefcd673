"""A BOPIS order, loaded under its journey's lock: its lines, holds and money, changed together and saved together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain import bopis
from domain.bopis import FINAL, BopisState
from domain.errors import UnknownLine
from domain.payments import OPEN_STATES
from domain.policy import Policy
from ledger import approval, case, found, mails, policies, reference
from ledger.bopis import clocks, offered, waiting
from ledger.bopis.changes import write_changes
from ledger.bopis.holding import Goods
from ledger.doubt import Taken, doubt
from ledger.shelf import Cause
from ledger.tables import hold, journey, journey_line, payment_operation, sale_line
from ledger.transaction import Transaction
from ledger.webhooks.announcing import announce


@dataclass
class Order(Goods):
    """The whole order. Rows are plain dicts; `save` writes those that changed."""

    tx: Transaction
    row: dict[str, Any]
    lines: dict[str, dict[str, Any]]
    policy: Policy
    place: reference.Place
    holds: list[dict[str, Any]] = field(default_factory=list)
    sales: dict[str, dict[str, Any]] = field(default_factory=dict)
    beside: set[tuple[str, str]] = field(default_factory=set)  # (location, SKU) that the same fact moves besides
    taken_up: int = 0  # units that others had found for it, its own since its goods were locked
    _freed: set[tuple[str, str]] = field(default_factory=set)
    _taken: set[tuple[str, str]] = field(default_factory=set)
    _before: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    async def load(cls, tx: Transaction, row: RowMapping) -> "Order":
        """From the locked journey row. Its goods and money are locked by `lock_goods`."""
        lines = await tx.conn.execute(
            select(journey_line).where(journey_line.c.journey_id == row["id"]).order_by(journey_line.c.line_id)
        )
        order = cls(
            tx,
            dict(row),
            {line["line_id"]: dict(line) for line in lines.mappings()},
            await policies.of_journey(tx.conn, row),
            await reference.place(tx.conn, row["location"]),
        )
        order.row |= {name: dict(row[name]) for name in ("dues", "asks", "detail")}
        return order

    async def lock_cases(self) -> None:
        await self.tx.lock_asks(self.row)

    async def lock_goods(self, extra: Iterable[tuple[str, str]] = ()) -> None:
        """Lock the stock rows of all its lines here and of its holds elsewhere, then the holds.

        What others have found and held for this order is its own from here on.
        """
        places = {(self.row["location"], line["sku"]) for line in self.lines.values()}
        held = await self.tx.conn.execute(select(hold.c.location, hold.c.sku).where(hold.c.journey_id == self.id))
        places.update((row.location, row.sku) for row in held)
        await self.tx.lock_stock(places | set(extra) | self.beside)
        self.holds = [dict(row) for row in await self.tx.lock_holds(self.id)]
        await self.load_money()
        self.taken_up = await waiting.take_up_found(self)

    async def read_money(self) -> None:
        """The sale lines as they are; only this journey's own lock holder changes them."""
        rows = await self.tx.conn.execute(
            select(sale_line).where(sale_line.c.document == self.id).order_by(sale_line.c.line_id)
        )
        self.sales = {row["line_id"]: dict(row) for row in rows.mappings()}

    async def load_money(self) -> None:
        """The sale lines, which only the holder of this journey's lock changes; what changes from here on is saved."""
        await self.read_money()
        self._before = {
            **{f"line {key}": dict(row) for key, row in self.lines.items()},
            **{f"hold {row['id']}": dict(row) for row in self.holds},
            **{f"sale {key}": dict(row) for key, row in self.sales.items()},
        }

    @property
    def is_loaded(self) -> bool:
        """Whether its rows are remembered as they were, so that `save` knows what changed."""
        return bool(self._before)

    @property
    def is_final(self) -> bool:
        return BopisState(self.row["state"]) in FINAL

    @property
    def is_kept_back(self) -> bool:
        """Whether its source has not let it go on yet. Goods may move all the same: what has happened has happened."""
        return self.row["state"] == BopisState.PLACED and self.row["detail"].get("kept_back") is not None

    def clock(self, at: datetime) -> datetime:
        """An instant on this journey's clock, which a demo may have moved on."""
        return at + timedelta(seconds=self.row["clock_offset_s"])

    def cause(self, cause: str, at: datetime) -> Cause:
        return Cause(cause, self.tx.actor, at, self.row["entity"], self.id)

    def line(self, line_id: str) -> dict[str, Any]:
        """A line. Raises `UnknownLine`, naming those that there are."""
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

    def due(self, name: str, at: datetime) -> None:
        self.row["dues"][name] = at.isoformat()

    def drop_dues(self, *prefixes: str) -> None:
        """Forget due instants whose names begin with one of the prefixes; all of them when none is given."""
        kept = {
            name: at
            for name, at in self.row["dues"].items()
            if prefixes and not any(name.startswith(prefix) for prefix in prefixes)
        }
        self.row["dues"] = kept

    def go(self, state: BopisState) -> None:
        """Change state. Raises `StateConflict` where the transition table has no such way."""
        bopis.check_transition(self.row["state"], state)
        self.row["state"] = state.value

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
        if any(row["reserved"] for row in self.holds if self.is_away(row)):
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
        await offered.look(self, at)
        before, state = self.row["state"], self.state_by_quantities()
        self.go(state)
        if any(max(self.missing(line), 0) < line["short"] for line in self.lines.values()):
            await waiting.cut(self)
        for line in self.lines.values():
            line["short"] = max(self.missing(line), 0)
            line["state"] = _line_state(line, self.open_quantity(line))
        await clocks.run(self, before, at)

    async def end_asks(self, because: str, at: datetime) -> None:
        """Nothing has to be decided or picked any more: the cases about it are closed, an approval superseded."""
        await self.answer_asks(because, at)
        await case.heal_kind(self.tx, self.id, "pick_overdue", because, at)

    async def answer_asks(self, because: str, at: datetime) -> None:
        """The question which way out to take has answered itself."""
        asks = self.row["asks"]
        if asks.get("approval_id"):
            await approval.supersede(self.tx, asks["approval_id"], at)
        if asks.get("case_id"):
            await case.heal(self.tx, asks["case_id"], because, at)
        # What the customer is asked ends when the order's goods are locked, which `offered.look` needs.
        self.row["asks"] = {name: value for name, value in asks.items() if name == "offer_id"}

    async def answer_if_nothing_is_missing(self, at: datetime) -> None:
        """Where the missing units are there after all, nobody has to choose a way out."""
        if not self.shorts():
            self.drop_dues("wait")
            await self.answer_asks("the missing units turned up and are held for the order", at)
            self.row["detail"]["failure"] = None

    async def mail_customer(self, template: str, dedupe: str, at: datetime, **context: Any) -> None:
        """Queue a mail to the customer; the sender drops it when the customer gave no address.

        Where policy leaves notices to the source, a webhook asks it to write to its customer itself.
        """
        if self.policy.authority.notice == "source":
            data = {"notice": template, "notice_id": f"{self.id}:{template}:{dedupe}", "journey_id": self.id}
            data |= {"key": self.row["key"], "state": self.row["state"], "seq": self.row["version"] + 1, **context}
            await announce(self.tx, "notice.requested", about=self.row["source"], subject=self.id, at=at, data=data)
            return
        await mails.queue(
            self.tx,
            template=template,
            dedupe_key=f"{self.id}:{template}:{dedupe}",
            not_before=at,
            customer_id=self.row["customer_id"],
            journey_id=self.id,
            context=context,
            offset_s=self.row["clock_offset_s"],
        )

    async def save(self, at: datetime) -> None:
        """Write the rows that changed; close the journey when its state is final and nothing is left to do.

        Last, what this order let go is given to those who wait for it, which may be this order itself, and promises
        are doubted where it took more than the book had.
        """
        conn = self.tx.conn
        if self.taken_up and not self.is_final:
            await self.answer_if_nothing_is_missing(at)
            await self.settle(at)
        if await offered.look(self, at) and not self.is_final:
            await self.settle(at)
        offered.let_go_of_the_rest(self, at)
        await write_changes(self, self._before)
        if self.is_final and not self.row["dues"] and not self.row["asks"] and not await self._open_operations():
            self.row["closed_at"] = at
        self.row["version"] += 1
        await conn.execute(
            update(journey)
            .where(journey.c.id == self.id)
            .values(
                **{
                    name: self.row[name]
                    for name in (
                        "state",
                        "location",
                        "region",
                        "dues",
                        "asks",
                        "detail",
                        "promised_at",
                        "closed_at",
                        "version",
                        "suspended_from",
                    )
                }
            )
        )
        await found.assign(self.tx, self._freed, self.cause(f"freed:{self.id}:{self.row['version']}", at))
        why = Taken(self.cause(f"overdrawn:{self.id}:{self.row['version']}", at), self.policy.stock.doubt_first)
        await doubt(self.tx, dict.fromkeys(self._taken, why))
        self._freed.clear()
        self._taken.clear()

    async def _open_operations(self) -> bool:
        found = await self.tx.conn.execute(
            select(payment_operation.c.id)
            .where(payment_operation.c.journey_id == self.id, payment_operation.c.state.in_(OPEN_STATES))
            .limit(1)
        )
        return found.first() is not None


def _line_state(line: Mapping[str, Any], open_quantity: int) -> str:
    if open_quantity == 0:
        return "collected" if line["collected"] else "substituted" if line["substituted_by"] else "cancelled"
    if line["short"]:
        return "short"
    if line["staged"] == open_quantity:
        return "staged"
    return "reserved"
