"""A BOPIS order, loaded under its journey's lock: its lines, holds and money, changed together and saved together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain import bopis
from domain.bopis import FINAL, BopisState
from domain.errors import UnknownLine
from domain.ids import hold_id
from domain.policy import Policy
from ledger import approval, case, found, mails, policies, reference
from ledger.bopis import clocks, waiting
from ledger.bopis.changes import write_changes
from ledger.doubt import Taken, doubt
from ledger.shelf import Cause
from ledger.tables import case_file, hold, journey, journey_line, payment_operation, sale_line
from ledger.tables.stock import HOLD_PARTS
from ledger.transaction import Rank, Transaction


@dataclass
class Order:
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
        """Lock what people are asked about this journey, so that a fact may answer it."""
        self.tx.enter(Rank.CASE)
        await self.tx.conn.execute(
            select(case_file.c.id)
            .where(case_file.c.journey_id == self.id, case_file.c.closed_at.is_(None))
            .order_by(case_file.c.id)
            .with_for_update()
        )
        if self.row["asks"].get("approval_id"):
            await self.tx.lock_approval(self.row["asks"]["approval_id"])

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
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def location(self) -> str:
        return str(self.row["location"])

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

    def open_quantity(self, line: Mapping[str, Any]) -> int:
        """Units of a line that are neither collected nor cancelled."""
        return int(line["ordered"] - line["collected"] - line["cancelled"])

    def missing(self, line: Mapping[str, Any]) -> int:
        """Open units of a line that nothing is held for."""
        return int(self.open_quantity(line) - line["reserved"] - line["staged"])

    def shorts(self) -> list[dict[str, Any]]:
        return [line for line in self.lines.values() if self.missing(line) > 0]

    def holds_of(self, line_id: str, part: str) -> list[dict[str, Any]]:
        """Holds of a line that have something in a part, here first."""
        found = [row for row in self.holds if row["line_id"] == line_id and row[part] > 0]
        return sorted(found, key=lambda row: (row["location"] != self.location, row["id"]))

    def shift(self, line_id: str, source: str, target: str, quantity: int) -> list[tuple[dict[str, Any], int]]:
        """Take `quantity` units of a line's holds from one part to another; returns (hold, units) as far as they
        reach.
        """
        taken = []
        for row in self.holds_of(line_id, source):
            part = min(quantity, row[source])
            if part <= 0:
                continue
            row[source] -= part
            row[target] += part
            if row["reserved"] == 0:
                row["doubted_at"] = row["doubted_because"] = None
            quantity -= part
            taken.append((row, part))
        return taken

    def on_hold_shelf(self, line_id: str) -> int:
        """Units of a line that stand on the hold shelf although nobody will collect them."""
        return int(self.row["detail"].get("unclaimed", {}).get(line_id, 0))

    def handed_over_before_its_pick(self, line_id: str, quantity: int) -> None:
        """Units were collected that nobody has reported as picked yet; that report may still come."""
        if quantity:
            unpicked = self.row["detail"].setdefault("unpicked", {})
            unpicked[line_id] = unpicked.get(line_id, 0) + quantity

    def already_handed_over(self, line_id: str, quantity: int) -> int:
        """How many units of a late report of a pick the customer has already; they are expected no more."""
        unpicked = self.row["detail"].get("unpicked", {})
        known = min(quantity, unpicked.get(line_id, 0))
        if known:
            unpicked[line_id] -= known
        return int(known)

    def goods_have_moved(self) -> bool:
        """Whether anything of it has left its shelf here: then it cannot move to another store as a whole."""
        lines = self.lines.items()
        return any(line["staged"] or line["collected"] or self.on_hold_shelf(line_id) for line_id, line in lines)

    def leave_on_hold_shelf(self, line_id: str, quantity: int) -> None:
        unclaimed = self.row["detail"].setdefault("unclaimed", {})
        unclaimed[line_id] = unclaimed.get(line_id, 0) + quantity

    def free(self, location: str, sku: str) -> None:
        """Units are available again there: `save` gives them to whoever waits for them."""
        self._freed.add((location, sku))

    def take_unpromised(self, sku: str) -> None:
        """Units of the shelf here were moved that nobody had promised to it: `save` doubts what the book lacks then."""
        self._taken.add((self.location, sku))

    def nothing_left_on_hold_shelf(self) -> bool:
        """Whether everything was put away or taken; then no clock runs for it any more."""
        empty = not any(self.row["detail"].get("unclaimed", {}).values())
        if empty:
            self.drop_dues("put_away")
        return empty

    def new_hold(self, line: Mapping[str, Any], quantity: int, *, part: str, at: datetime) -> dict[str, Any]:
        """A hold of a line at the order's place, beside those that there are; saved with the order."""
        row = {
            "id": hold_id(self.id, line["line_id"], self.location),
            "source": self.row["source"],
            "channel": self.row["channel"],
            "journey_id": self.id,
            "line_id": line["line_id"],
            "location": self.location,
            "sku": line["sku"],
            "quantity": quantity,
            **dict.fromkeys(HOLD_PARTS, 0),
            "expires_at": None,
            "promised_at": self.row["promised_at"],
            "doubted_at": None,
            "doubted_because": None,
            "at": at,
        }
        row[part] = quantity
        self.holds.append(row)
        return row

    def hold_more(self, line: Mapping[str, Any], quantity: int, *, part: str, at: datetime) -> str:
        """Hold more units of a line at the order's place; returns the hold's id."""
        for row in self.holds:
            if row["line_id"] == line["line_id"] and row["location"] == self.location:
                row["quantity"] += quantity
                row[part] += quantity
                return str(row["id"])
        return str(self.new_hold(line, quantity, part=part, at=at)["id"])

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
            return BopisState.RESERVATION_FAILED
        if any(line["reserved"] for line in lines):
            started = collected or any(line["staged"] for line in lines)
            return BopisState.PICKING if started else BopisState.RESERVED
        if any(line["staged"] for line in lines):
            return BopisState.PARTIALLY_COLLECTED if collected else BopisState.READY_FOR_PICKUP
        return BopisState.COLLECTED if collected else BopisState.CANCELLED

    async def settle(self, at: datetime) -> None:
        """Go where the quantities lead, set the due instants of that state, and close when nothing is left to do."""
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
        self.row["asks"] = {}

    async def answer_if_nothing_is_missing(self, at: datetime) -> None:
        """Where the missing units are there after all, nobody has to choose a way out."""
        if not self.shorts():
            self.drop_dues("wait")
            await self.answer_asks("the missing units turned up and are held for the order", at)
            self.row["detail"]["failure"] = None

    async def mail_customer(self, template: str, dedupe: str, at: datetime, **context: Any) -> None:
        """Queue a mail to the customer; the sender drops it when the customer gave no address.

        Where policy leaves notices to the source, it writes to its customers itself.
        """
        if self.policy.authority.notice == "source":
            return
        await mails.queue(
            self.tx,
            template=template,
            dedupe_key=f"{self.id}:{template}:{dedupe}",
            not_before=at,
            customer_id=self.row["customer_id"],
            journey_id=self.id,
            context=context,
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
            .where(payment_operation.c.journey_id == self.id, payment_operation.c.state.in_(("requested", "unknown")))
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
