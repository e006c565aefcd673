"""The inventory state model: buckets, outside accounts, what may move where, and in which order a fact draws stock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

LOCATION_KINDS = ("store", "dc", "hub", "dropship")

Bucket = Literal[
    "available",
    "reserved",
    "staged",
    "in_transit",
    "damaged",
    "quarantined",
    "customer_returned",
    "vendor_return_pending",
    "count_pending",
]
BUCKETS: tuple[Bucket, ...] = (
    "available",
    "reserved",
    "staged",
    "in_transit",
    "damaged",
    "quarantined",
    "customer_returned",
    "vendor_return_pending",
    "count_pending",
)
# What a count of the shelf finds there: promised or not, and what could not be found before.
SHELF_BUCKETS: tuple[Bucket, ...] = ("available", "reserved", "count_pending")
PHYSICAL_BUCKETS = tuple(bucket for bucket in BUCKETS if bucket != "in_transit")

OutsideAccount = Literal["supplier", "customer", "carrier", "shrink", "found"]
OUTSIDE_ACCOUNTS: tuple[OutsideAccount, ...] = ("supplier", "customer", "carrier", "shrink", "found")
Account = Bucket | OutsideAccount

# kind of movement → the (from, to) pairs it may take. Anything else is a programming error.
LEGAL_MOVES: dict[str, frozenset[tuple[str, str]]] = {
    "received": frozenset({("supplier", "available"), ("supplier", "damaged")}),
    "reserved": frozenset({("available", "reserved")}),
    "released": frozenset({("reserved", "available"), ("staged", "available")}),
    "picked": frozenset({("reserved", "staged"), ("available", "staged")}),
    "put_away": frozenset({("staged", "available"), ("staged", "damaged")}),
    "handed_over": frozenset({("staged", "customer"), ("reserved", "customer"), ("available", "customer")}),
    "shipped": frozenset({("reserved", "customer"), ("staged", "customer"), ("available", "customer")}),
    "sold": frozenset({("available", "customer"), ("count_pending", "customer")}),
    "returned": frozenset({("customer", "customer_returned")}),
    # What came back leaves by a disposition alone; see `domain.returns.EFFECTS`.
    "disposed": frozenset(
        {
            ("customer_returned", "available"),
            ("customer_returned", "damaged"),
            ("customer_returned", "quarantined"),
            ("customer_returned", "vendor_return_pending"),
            ("customer_returned", "shrink"),
            ("customer_returned", "customer"),
        }
    ),
    "sent_back": frozenset({("vendor_return_pending", "supplier")}),
    "lost": frozenset(
        {
            ("reserved", "available"),
            ("reserved", "count_pending"),
            ("reserved", "damaged"),
            ("reserved", "quarantined"),
            ("staged", "quarantined"),
        }
    ),
    "quarantined": frozenset({("available", "quarantined")}),
    "relocated": frozenset({("reserved", "reserved"), ("available", "available")}),
    "cleared": frozenset({("quarantined", "available")}),
    "suspected": frozenset({("available", "count_pending"), ("reserved", "count_pending")}),
    "damaged": frozenset({("available", "damaged"), ("reserved", "damaged"), ("staged", "damaged")}),
    # A count: what it confirms, finds and loses, and the reversal of what a late report explains.
    "counted": frozenset(
        {
            ("count_pending", "available"),
            ("found", "available"),
            ("count_pending", "shrink"),
            ("available", "shrink"),
            ("found", "damaged"),
            ("damaged", "shrink"),
            ("found", "quarantined"),
            ("quarantined", "shrink"),
        }
    ),
    # A transfer. Between two entities goods go through `carrier`, so that each books its own side.
    "transfer_shipped": frozenset(
        {
            ("reserved", "in_transit"),
            ("available", "in_transit"),
            ("reserved", "carrier"),
            ("available", "carrier"),
            ("carrier", "in_transit"),
        }
    ),
    "transfer_received": frozenset(
        {
            ("in_transit", "available"),
            ("in_transit", "reserved"),  # for the order that it was sent for
            ("in_transit", "damaged"),
            ("in_transit", "carrier"),
            ("carrier", "available"),
            ("carrier", "damaged"),
        }
    ),
    # A discrepancy is settled: lost, claimed, never sent, or sent without being booked.
    "transfer_settled": frozenset(
        {
            ("in_transit", "shrink"),
            ("in_transit", "carrier"),
            ("in_transit", "available"),
            ("carrier", "available"),
            ("available", "carrier"),
        }
    ),
    "transfer_turned": frozenset({("in_transit", "carrier"), ("carrier", "in_transit")}),
    # A report that was wrong is taken back: the goods are where they were.
    "corrected": frozenset({("staged", "available"), ("customer", "staged"), ("customer", "available")}),
    "adjusted": frozenset(
        {
            ("found", "available"),
            ("available", "shrink"),
            ("count_pending", "shrink"),
            ("available", "count_pending"),
            ("count_pending", "available"),
        }
    ),
}


class IllegalMove(ValueError):
    """Code asked for a movement that the state model does not know."""


def check_move(kind: str, from_account: str, to_account: str) -> None:
    """Raise `IllegalMove` unless the movement is one of the model's."""
    if (from_account, to_account) not in LEGAL_MOVES.get(kind, frozenset()):
        raise IllegalMove(f"{kind}: {from_account} → {to_account} is not a legal movement")


@dataclass(frozen=True, slots=True)
class Draw:
    """How a sale of units that certainly left the shelf is taken from the book."""

    available: int
    count_pending: int
    overdrawn: int  # taken from `available` although it was not there: the book was wrong, the sale was not


def draw_for_sale(quantity: int, available: int, count_pending: int) -> Draw:
    """`available` first, then units that a count was to confirm (they exist: they were sold), and only then below
    zero.
    """
    from_available = min(quantity, max(available, 0))
    from_pending = min(quantity - from_available, count_pending)
    return Draw(from_available, from_pending, quantity - from_available - from_pending)


DoubtRule = Literal["newest", "oldest", "latest_promise", "least_at_stake"]


@dataclass(frozen=True, slots=True)
class Promise:
    """An open hold on units that the till may have sold. `at_stake_minor` is what the customer pays for the rest of
    it, in minor units; staged units are on the hold shelf, where no till sells them.
    """

    hold_id: str
    journey_id: str
    reserved: int
    staged: int
    at: datetime
    promised_at: datetime | None
    at_stake_minor: int
    is_doubted: bool


def promises_in_doubt(promises: Iterable[Promise], units: int, rules: Sequence[DoubtRule]) -> list[Promise]:
    """Which promises the store is asked to verify when the book lacks `units`; those that it verifies already count.

    An order of which nothing is staged comes before one that is partly picked, then the rules decide in their order.
    """

    def rank(promise: Promise) -> tuple[bool, bool, tuple[float, ...], str]:
        latest = promise.promised_at.timestamp() if promise.promised_at else float("inf")
        by_rule = {
            "newest": -promise.at.timestamp(),
            "oldest": promise.at.timestamp(),
            "latest_promise": -latest,
            "least_at_stake": float(promise.at_stake_minor),
        }
        return not promise.is_doubted, promise.staged > 0, tuple(by_rule[rule] for rule in rules), promise.hold_id

    chosen = []
    for promise in sorted((one for one in promises if one.reserved > 0), key=rank):
        if units <= 0:
            break
        units -= promise.reserved
        if not promise.is_doubted:
            chosen.append(promise)
    return chosen


@dataclass(frozen=True, slots=True)
class Basket:
    """Units of an open checkout hold that ends by itself: nobody has ordered them yet."""

    hold_id: str
    reserved: int
    at: datetime


def baskets_lost(baskets: Iterable[Basket], units: int) -> list[tuple[str, int]]:
    """(hold, units) that are lost at once when the book lacks `units`, the newest hold first: a basket has nobody to
    verify it, and least is at stake.
    """
    lost = []
    for basket in sorted(baskets, key=lambda one: (-one.at.timestamp(), one.hold_id)):
        taken = min(units, basket.reserved)
        if taken <= 0:
            break
        units -= taken
        lost.append((basket.hold_id, taken))
    return lost


@dataclass(frozen=True, slots=True)
class AtpStep:
    """One line of the explanation of an available-to-promise figure."""

    step: str
    quantity: int
    why: str


def atp_steps(
    available: int, *, safety_stock: int, channel_threshold: int, confidence_permille: int, channel: str
) -> tuple[AtpStep, ...]:
    """Available-to-promise for one channel, step by step; the last step is the answer, never below zero."""
    answer = atp(
        available,
        safety_stock=safety_stock,
        channel_threshold=channel_threshold,
        confidence_permille=confidence_permille,
    )
    return (
        AtpStep("available", available, "on the shelf and promised to nobody"),
        AtpStep("safety_stock", -safety_stock, "kept back at this location"),
        AtpStep("channel_threshold", -channel_threshold, f"kept back from channel {channel}"),
        AtpStep(
            "confidence_buffer",
            -confidence_buffer(available, confidence_permille),
            f"book confirmed to {confidence_permille / 10:g} %",
        ),
        AtpStep("atp", answer, "what may be promised" if answer else "nothing may be promised"),
    )


def confidence_buffer(available: int, confidence_permille: int) -> int:
    """The share of `available` that counts have not confirmed, rounded up."""
    return -(-(max(available, 0) * (1000 - confidence_permille)) // 1000)


def atp(available: int, *, safety_stock: int, channel_threshold: int, confidence_permille: int) -> int:
    """The last of `atp_steps` alone, without its words: every reservation asks for it."""
    buffer = confidence_buffer(available, confidence_permille)
    return max(available - safety_stock - channel_threshold - buffer, 0)
