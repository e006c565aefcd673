"""A plain model of orders, stock and money: what the ledger must amount to after any sequence of commands.

It knows no table, lock or transaction, and takes one command after the other. Quantities are units, money minor units.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.ledger.models.machine import Command, Refused

BUCKETS = ("available", "reserved", "staged", "damaged", "count_pending")
STILL_THERE = ("no_variance", "reserved_for_other")
DAMAGED = ("damaged", "worn_display")
FINAL = ("collected", "cancelled", "expired")
ON_THE_HOLD_SHELF = ("ready_for_pickup", "partially_collected")
BASKET_PARTS = ("reserved", "committed", "released", "expired", "lost")
TIMERS = ("window", "verify")
LATE_S = 400 * 24 * 3600  # timers fire as they would after an outage, and what they cause happens then
Place = tuple[str, str]  # location, SKU


@dataclass
class Line:
    """A line of an order, with the one hold that it has at the order's place."""

    sku: str
    ordered: int
    gross: int
    discount: int
    tax: int
    reserved: int = 0
    staged: int = 0
    collected: int = 0
    cancelled: int = 0
    found: int = 0  # reserved by others, not yet taken up
    unclaimed: int = 0  # on the hold shelf, and nobody will collect it
    unpicked: int = 0  # collected before a pick was reported
    settled: int = 0  # units whose money was earned or given back
    doubted: bool = False
    shelf_was_empty: bool = False  # doubted because a picker found nothing, not because the till sold it
    holds: dict[str, list[int]] = field(default_factory=dict)  # place → [since when, units ever held]

    @property
    def quantities(self) -> tuple[int, ...]:
        return (self.ordered, self.reserved, self.staged, self.collected, self.cancelled, self.found)

    @property
    def doubt(self) -> str | None:
        if not self.doubted or not self.reserved + self.found:
            return None
        return "short_pick" if self.shelf_was_empty else "sold"

    @property
    def open(self) -> int:
        return self.ordered - self.collected - self.cancelled

    @property
    def missing(self) -> int:
        return self.open - self.reserved - self.staged

    def worth(self, quantity: int) -> int:
        """What the customer pays for the next units: the parts of a line always sum to the whole."""

        def until(units: int) -> int:
            return sum(
                sign * (amount * units // self.ordered)
                for sign, amount in ((1, self.gross), (-1, self.discount), (1, self.tax))
            )

        return until(self.settled + quantity) - until(self.settled)

    def settle(self, quantity: int) -> int:
        amount = self.worth(quantity)
        self.settled += quantity
        return amount


@dataclass
class Demand:
    """Units that an order waits for at a place."""

    number: int
    order: str
    line: str
    place: Place
    quantity: int
    promised: int
    active: bool = True


@dataclass
class Basket:
    """A channel's hold before there is an order, at one place. `ends`: it would expire by itself."""

    at: str
    since: int
    ends: bool
    lines: dict[str, dict[str, Any]]  # line → its SKU, and its units by what became of them

    @property
    def is_open(self) -> bool:
        return any(line["reserved"] for line in self.lines.values())


@dataclass
class Order:
    at: str
    promised: int
    lines: dict[str, Line]
    charge: int
    paid: int
    authorised: bool
    ended: str = ""
    charge_settled: bool = False
    earned: int = 0
    captured: int = 0
    capturing: int = 0
    voided: int = 0
    refund_requested: int = 0
    refunded: int = 0
    owed_when_captured: int = 0  # given up while the provider was still asked to take it
    verify: bool = False
    option: str | None = None  # decided, and neither applied nor refused
    kept_back: bool = False  # by its source

    @property
    def state(self) -> str:
        """Where the quantities lead, unless the order has ended."""
        if self.ended:
            return self.ended
        lines = self.lines.values()
        collected = any(line.collected for line in lines)
        if self.kept_back and any(line.open for line in lines):
            return "placed"
        if any(line.missing > 0 for line in lines):
            return "reservation_failed"
        if any(line.reserved for line in lines):
            return "picking" if collected or any(line.staged for line in lines) else "reserved"
        if any(line.staged for line in lines):
            return "partially_collected" if collected else "ready_for_pickup"
        return "collected" if collected else "cancelled"

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass
class Rows:
    """What there is, and the small acts that commands are made of (`tests.ledger.models.orders_commands`)."""

    stock: dict[Place, Counter[str]]
    orders: dict[str, Order] = field(default_factory=dict)
    demands: list[Demand] = field(default_factory=list)
    baskets: dict[str, Basket] = field(default_factory=dict)
    sold: int = 0  # earned at the till
    value: int = 0  # what went into the inventory account, at cost
    costs: dict[str, int] = field(default_factory=dict)
    now: int = 0
    freed: set[Place] = field(default_factory=set)
    adjusted_unseen: dict[str, int] = field(default_factory=dict)  # minor units that nobody looked at, by location
    taken: set[Place] = field(default_factory=set)

    def seen(self) -> dict[str, Any]:
        """What can be compared with the ledger."""
        return {
            "stock": {
                place: numbers
                for place, counts in self.stock.items()
                if any(numbers := tuple(counts[bucket] for bucket in BUCKETS))
            },
            "orders": {
                key: (
                    order.state,
                    order.at,
                    {name: (*line.quantities, line.doubt) for name, line in order.lines.items()},
                    (order.captured, order.voided, order.refund_requested, order.refunded),
                    order.verify and not order.is_final and any(line.doubt for line in order.lines.values()),
                )
                for key, order in self.orders.items()
            },
            "baskets": {
                f"{key}/{name}": tuple(line[part] for part in BASKET_PARTS)
                for key, basket in self.baskets.items()
                for name, line in basket.lines.items()
            },
            "deposits": sum(o.captured - o.earned - o.refund_requested for o in self.orders.values()),
            "refunds_payable": sum(o.refund_requested - o.refunded for o in self.orders.values()),
            "earned": sum(o.earned for o in self.orders.values()) + self.sold,
            "inventory": self.value,
        }

    # ------------------------------------------------------------------ stock
    def _move(self, place: Place, source: str | None, target: str | None, quantity: int) -> None:
        if source:
            self.stock[place][source] -= quantity
        if target:
            self.stock[place][target] += quantity
        worth = self.costs[place[1]] * quantity
        self.value += (worth if source is None else 0) - (worth if target in (None, "damaged") else 0)

    def _serve(self, *places: Place) -> None:
        """What is available goes to whoever waits for it, the earliest promise first."""
        for place in places:
            for demand in sorted(self.demands, key=lambda d: (d.promised, d.number)):
                grant = min(demand.quantity, self.stock[place]["available"])
                if demand.active and demand.place == place and grant > 0:
                    line = self.orders[demand.order].lines[demand.line]
                    self._move(place, "available", "reserved", grant)
                    demand.quantity -= grant
                    line.found += grant
                    self._hold(line, place[0], grant)

    def _hold(self, line: Line, location: str, quantity: int) -> None:
        line.holds.setdefault(location, [self.now, 0])[1] += quantity

    def _wait_for(self, key: str, name: str, quantity: int) -> None:
        order = self.orders[key]
        place = (order.at, order.lines[name].sku)
        self.demands.append(Demand(len(self.demands), key, name, place, quantity, order.promised))

    def _trim(self, key: str) -> None:
        """An order waits for no more than it misses; what is too much ends, the latest first."""
        for name, line in self.orders[key].lines.items():
            mine = [d for d in self.demands if d.active and d.order == key and d.line == name]
            over = sum(demand.quantity for demand in mine) - max(line.missing, 0)
            for demand in reversed(mine):
                less = max(min(over, demand.quantity), 0)
                demand.quantity -= less
                over -= less

    def _end_waiting(self, key: str) -> None:
        for demand in self.demands:
            if demand.order == key:
                demand.active = False

    def _unreserve(self, order: Order, line: Line, quantity: int, target: str = "available") -> None:
        self._move((order.at, line.sku), "reserved", target, quantity)
        line.reserved -= quantity
        line.doubted = line.doubted and line.reserved > 0
        if target == "available":
            self.freed.add((order.at, line.sku))

    def _begin(self, command: Command) -> Order:
        """Any act on an order takes up first what was found for it, and hands back what it has no use for."""
        order = self.orders[command.about]
        for line in order.lines.values():
            got, line.found = line.found, 0
            line.reserved += got
            surplus = got if order.is_final else min(got, max(-line.missing, 0))
            self._unreserve(order, line, surplus) if surplus else None
        return order

    # ------------------------------------------------------------------ money
    def _refund_charge(self, order: Order) -> None:
        if not order.charge_settled:
            order.charge_settled = True
            self._owe(order, order.charge)

    def _owe(self, order: Order, amount: int) -> None:
        """What was never taken is let go, the rest goes back."""
        loose = order.paid - order.captured - order.capturing - order.voided
        let_go = min(amount, loose)
        order.voided += let_go
        back = min(amount - let_go, order.captured - order.refund_requested)
        order.refund_requested += back
        order.owed_when_captured += amount - let_go - back

    def _capture(self, order: Order) -> None:
        """Authorised money is taken for what was collected or stands ready."""
        if not order.authorised or not (order.state in ON_THE_HOLD_SHELF or order.earned):
            return
        due = order.earned + sum(line.worth(line.staged) for line in order.lines.values())
        due += 0 if order.charge_settled else order.charge
        have = order.captured + order.capturing - order.refund_requested - order.owed_when_captured
        loose = order.paid - order.captured - order.capturing - order.voided
        order.capturing += max(min(due - have, loose), 0)

    # ------------------------------------------------------------------ goods
    def _sale(self, _: Command, location: str, lines: tuple[tuple[str, int], ...], price: int) -> str:
        for sku, quantity in lines:
            place = (location, sku)
            there = min(quantity, max(self.stock[place]["available"], 0))
            pending = min(quantity - there, self.stock[place]["count_pending"])
            self._move(place, "count_pending", None, pending)
            self._move(place, "available", None, quantity - pending)
            self.sold += quantity * price
            self.taken.add(place)
        return "accepted"

    def _doubt(self, place: Place) -> None:
        """Where the book is below zero, promises are doubted: those that are verified already count, then baskets lose
        their units, the newest first, then the newest orders of which nothing is staged, with the least at stake.
        """
        verified = sum(
            line.reserved + line.found
            for order in self.orders.values()
            for line in order.lines.values()
            if (order.at, line.sku) == place and line.doubted
        )
        self._take_from_baskets(place, -self.stock[place]["available"] - verified)
        short = -self.stock[place]["available"]
        held = [
            (
                not line.doubted,
                line.staged > 0,
                -line.holds[place[0]][0],
                line.gross // line.ordered * (line.reserved + line.found),
                f"{key}/{name}",
                line,
            )
            for key, order in self.orders.items()
            for name, line in order.lines.items()
            if (order.at, line.sku) == place and line.reserved + line.found > 0
        ]
        for *_, line in sorted(held, key=lambda row: row[:5]):
            if short <= 0:
                break
            short -= line.reserved + line.found
            line.shelf_was_empty = line.doubted and line.shelf_was_empty
            line.doubted = True

    def _take_from_baskets(self, place: Place, units: int) -> None:
        for basket in sorted(self.baskets.values(), key=lambda one: -one.since):
            for _, line in sorted(basket.lines.items()):
                lost = min(units, line["reserved"])
                if basket.ends and (basket.at, line["sku"]) == place and lost > 0:
                    self._move(place, "reserved", "available", lost)
                    line["reserved"] -= lost
                    line["lost"] += lost
                    units -= lost

    def _received(self, _: Command, location: str, lines: tuple[tuple[str, int], ...]) -> str:
        for sku, quantity in lines:
            self._move((location, sku), None, "available", quantity)
            self.freed.add((location, sku))
        return "accepted"

    def _adjusted(self, _: Command, location: str, sku: str, quantity: int, band: int) -> str:
        place = (location, sku)
        if quantity == 0:
            raise Refused("quarantined")
        worth, unseen = self.costs[sku] * abs(quantity), self.adjusted_unseen.get(location, 0)
        if worth + unseen >= band:  # somebody reviews it first
            if quantity < 0:
                self._move(place, "available", "count_pending", min(-quantity, max(self.stock[place]["available"], 0)))
            return "accepted"
        self.adjusted_unseen[location] = worth + unseen
        self._move(place, None if quantity > 0 else "available", "available" if quantity > 0 else None, abs(quantity))
        (self.freed if quantity > 0 else self.taken).add(place)
        return "accepted"
