"""A plain model of goods that move between places: what the ledger must amount to after any sequence of commands.

It knows no table, lock or transaction, and takes one command after the other. A unit is always in one bucket of one
place, or has left by name: sold, lost, claimed, never booked where it came from.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

ENTITY = {"S1": "DE01", "S2": "DE01", "N1": "DE02"}
PLACES = tuple(ENTITY)
BUCKETS = ("available", "reserved", "in_transit", "damaged")
FINAL = ("closed", "cancelled", "rejected")
TO_BE_SHIPPED = ("approved", "ready_to_ship")
ON_THE_WAY = ("in_transit", "partially_received")
# In this order cases ask, one after the other.
ASKED = ("wrong_store", "misship", "short", "damage", "over")
WAITS = ("await_rest", "recount_destination", "recount_source")
TOLERATED = 1  # unit of a line: the policy of the runs


@dataclass
class Line:
    sku: str
    ordered: int
    reserved: int = 0
    cancelled: int = 0
    shipped: int = 0
    assumed: int = 0  # of those shipped, not reported by the source yet
    in_transit: int = 0
    received: int = 0
    damaged: int = 0
    settled: int = 0
    damage_open: int = 0  # nobody has said yet why
    claimed: bool = False  # a carrier is held liable for some of it

    @property
    def to_ship(self) -> int:
        return max(self.ordered - self.cancelled - self.shipped, 0)

    @property
    def quantities(self) -> tuple[int, ...]:
        return (
            self.ordered, self.reserved, self.cancelled, self.shipped, self.assumed, self.in_transit, self.received,
            self.damaged, self.settled, self.damage_open,
        )  # fmt: skip


@dataclass
class Extra:
    """Units that came unexpected at a place: `open` ones wait for an answer."""

    kind: str
    line: str
    place: str
    sku: str
    quantity: int
    open: int


@dataclass
class Moving:
    """A transfer. `asks` is the question that is open: shipment, receipt, cancel or difference."""

    source: str
    target: str
    lines: dict[str, Line]
    state: str
    asks: str | None = None
    complete: bool = False
    counted: set[str] = field(default_factory=set)
    extras: list[Extra] = field(default_factory=list)

    @property
    def on_its_way(self) -> int:
        return sum(line.in_transit for line in self.lines.values())

    @property
    def to_ship(self) -> int:
        return sum(line.to_ship for line in self.lines.values())

    @property
    def has_come(self) -> bool:
        return bool(self.extras) or any(line.received or line.damaged for line in self.lines.values())

    def differences(self) -> list[tuple[str, str, int, Extra | None]]:
        """(kind, line, units, what came unexpected) of all that nobody has explained."""
        found: list[tuple[str, str, int, Extra | None]] = []
        for name, line in sorted(self.lines.items()):
            found += [("short", name, line.in_transit, None)] if line.in_transit else []
            found += [("damage", name, line.damage_open, None)] if line.damage_open else []
        return found + [(extra.kind, extra.line, extra.open, extra) for extra in self.extras if extra.open]


@dataclass
class Goods:
    """What there is, and the small acts that commands are made of (`tests.ledger.models.moving_commands`).

    `stock` counts units by (place, SKU) and bucket.
    """

    stock: dict[tuple[str, str], Counter[str]]
    moving: dict[str, Moving] = field(default_factory=dict)
    decisions: int = 0  # those that began another transfer

    def seen(self) -> dict[str, Any]:
        """What can be compared with the ledger."""
        return {
            "stock": {
                place: numbers
                for place, counts in self.stock.items()
                if any(numbers := tuple(counts[bucket] for bucket in BUCKETS))
            },
            "moving": {
                key: (
                    one.state,
                    {name: line.quantities for name, line in one.lines.items()},
                    sorted((e.kind, e.line, e.place, e.sku, e.open) for e in one.extras if e.open),
                )
                for key, one in self.moving.items()
            },
        }

    # ------------------------------------------------------------------ goods
    def _put(self, place: str, sku: str, bucket: str, quantity: int) -> None:
        self.stock[place, sku][bucket] += quantity

    def _leave(self, one: Moving, line: Line, quantity: int) -> None:
        of_hold = min(line.reserved, quantity)
        line.reserved -= of_hold
        self._put(one.source, line.sku, "reserved", -of_hold)
        self._put(one.source, line.sku, "available", of_hold - quantity)
        self._put(one.target, line.sku, "in_transit", quantity)
        line.shipped += quantity
        line.in_transit += quantity

    def _arrive(self, one: Moving, line: Line, quantity: int) -> None:
        """Units are not on their way any more; the caller says where they are."""
        line.in_transit -= quantity
        self._put(one.target, line.sku, "in_transit", -quantity)

    def _cut(self, one: Moving) -> None:
        """What has not left stays."""
        for line in one.lines.values():
            left = line.to_ship
            freed = min(line.reserved, left)
            line.cancelled += left
            line.reserved -= freed
            self._put(one.source, line.sku, "reserved", -freed)
            self._put(one.source, line.sku, "available", freed)

    def _reserve(self, one: Moving) -> None:
        for line in one.lines.values():
            part = min(line.to_ship, max(self.stock[one.source, line.sku]["available"], 0))
            line.cancelled += line.to_ship - part
            line.reserved += part
            self._put(one.source, line.sku, "available", -part)
            self._put(one.source, line.sku, "reserved", part)
        one.state = "ready_to_ship" if any(line.reserved for line in one.lines.values()) else "cancelled"

    def _stand(self, one: Moving) -> None:
        """Where its goods have brought it."""
        if not one.has_come and not one.on_its_way:
            return
        if not one.to_ship and (one.complete or not one.on_its_way):
            one.state = "received" if one.differences() else "closed"
        else:
            one.state = "partially_received" if one.has_come else "in_transit"

    def _settle(self, one: Moving) -> None:
        if one.on_its_way or one.has_come:
            one.asks = None
            self._stand(one)
        elif not one.to_ship and one.state in ("pending_approval", *TO_BE_SHIPPED):
            one.asks, one.state = None, "cancelled"
