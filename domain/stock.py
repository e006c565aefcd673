"""The inventory state model: buckets, outside accounts, what may move where, and in which order a fact draws stock."""

from dataclasses import dataclass
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
    "shipped": frozenset({("reserved", "customer"), ("available", "customer")}),
    "sold": frozenset({("available", "customer"), ("count_pending", "customer")}),
    "returned": frozenset({("customer", "customer_returned")}),
    "lost": frozenset({("reserved", "available"), ("reserved", "count_pending"), ("reserved", "damaged")}),
    "suspected": frozenset({("available", "count_pending"), ("reserved", "count_pending")}),
    "damaged": frozenset({("available", "damaged"), ("reserved", "damaged"), ("staged", "damaged")}),
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
