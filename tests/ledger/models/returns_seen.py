"""What the plain model of returns keeps in mind: commands, replacements, and returns of one order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

UNITS = 5
GIFT_MINOR, CARD_MINOR = 1_333, 3_642
PAID_MINOR = GIFT_MINOR + CARD_MINOR  # 50.00 less 5.00, with 4.75 of tax: nothing that divides by five
TILL_MINOR = 1_000  # what a till says that a unit cost
STOCK = 30

OVER = ("closed", "cancelled")
ASKS = 2  # how often a customer is asked to pay a difference
# In which order what a replacement has asked for is carried out: by the names of the operations.
TURN = {"charge": 0, "refund_more": 1, "refund": 2, "void_more": 3, "call_off": 4, "void": 5}


class Command(NamedTuple):
    """`key` is the return that it is about; for one that begins a return, its name."""

    kind: str
    key: str
    args: tuple[Any, ...] = ()


@dataclass
class Swap:
    """What a return is exchanged for: an order of one unit, of which it pays `price`, and its customer `more`."""

    price: int
    more: int = 0
    state: str = "waiting"  # asking, collecting, waiting, applied, off
    times_asked: int = 1
    more_captured: int = 0
    more_voided: int = 0
    more_back: int = 0
    credit: int = 0  # of the price, what the return still means to pay
    order: str = "placed"
    captured: int = 0
    voided: int = 0
    back: int = 0  # given back by the order, in all
    settled_back: int = 0  # of it, what the return has taken over
    asked: list[str] = field(default_factory=list)  # operations of the order that nobody has carried out

    @property
    def loose(self) -> int:
        return self.price - self.captured - self.voided

    @property
    def is_over(self) -> bool:
        return self.order in ("cancelled", "collected")

    @property
    def is_asked(self) -> bool:
        """Whether the customer's word, or their money, is waited for."""
        return self.state in ("asking", "collecting")


@dataclass
class Return:
    claimed: int
    by_mail: bool
    has_sale: bool = True
    received: int = 0
    booked: int = 0
    accepted: int = 0
    declined: int = 0
    refunded: int = 0
    refunded_minor: int = 0
    in_work: bool = False
    awaits_goods: bool = True
    called_off: bool = False
    receipts: set[str] = field(default_factory=set)
    money: dict[str, list[int]] = field(default_factory=dict)  # tender: [asked for, paid]
    asked: list[tuple[str, int]] = field(default_factory=list)  # operations that nobody has carried out
    swap: Swap | None = None

    @property
    def waiting(self) -> int:
        return self.received - self.accepted - self.declined

    @property
    def is_owed(self) -> bool:
        return any(paid < asked for asked, paid in self.money.values())

    @property
    def state(self) -> str:
        if not self.received:
            return "cancelled" if self.called_off else "authorized"
        if self.waiting:
            return "inspecting" if self.accepted + self.declined or self.in_work else "received"
        if self.swap is not None and self.swap.is_asked:
            return "dispositioned"
        return "refund_pending" if self.is_owed else "closed"

    @property
    def is_closed(self) -> bool:
        return self.state in OVER and not self.is_owed

    @property
    def keeps_refund(self) -> bool:
        return self.swap is not None and (self.swap.state == "waiting" or self.swap.is_asked)

    def due(self) -> int:
        """Units whose refund is due: as they come in a store or for a replacement, by mail when they were looked at."""
        if not self.has_sale:
            return 0
        here = min(self.booked, self.claimed)
        if self.by_mail and not self.keeps_refund:
            return max(min(self.accepted, here) - self.refunded, 0)
        return max(min(here, self.received - self.declined) - self.refunded, 0)
