"""Tenders, operations at a payment provider, and how a refund is shared among what was paid."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, NamedTuple

from domain.errors import SumsDisagree

# `exchange`: what a return pays of its replacement. No provider knows it; returns carry it out (domain/exchanges.py).
TENDERS = ("card", "wallet", "gift_card", "store_credit", "loyalty", "cash", "exchange")
OPERATION_KINDS = ("capture", "void", "refund", "renew")
# `with_source`: the system that the order came from pays it back, and has not confirmed yet.
OPERATION_STATES = ("requested", "succeeded", "declined", "unknown", "withdrawn", "with_source")
OPEN_STATES = ("requested", "unknown", "with_source")


class Refundable(NamedTuple):
    """How much of one payment can still be refunded, in minor units."""

    payment_id: str
    open_minor: int


def share_refund(amount_minor: int, payments: Iterable[Refundable]) -> list[tuple[str, int]]:
    """Each tender goes back where it came from, in the order in which it was paid.

    Returns (payment id, minor units) pairs. Raises `SumsDisagree` when more is asked than was paid.
    """
    shares: list[tuple[str, int]] = []
    rest = amount_minor
    for payment in payments:
        part = min(rest, payment.open_minor)
        if part > 0:
            shares.append((payment.payment_id, part))
            rest -= part
    if rest:
        raise SumsDisagree(f"{amount_minor} minor units are to be refunded, {rest} more than is left of the payments")
    return shares


def part_of(total_minor: int, whole: int, before: int, quantity: int) -> int:
    """The money that belongs to `quantity` of `whole` units when `before` units are gone already.

    A cumulative rounded difference: whatever the order of the parts, all parts together are exactly the total.
    """
    return total_minor * (before + quantity) // whole - total_minor * before // whole


class PaymentOutcome(NamedTuple):
    """What the provider answered. `unknown` means that it did not: the same call is made again under the same key."""

    state: Literal["succeeded", "declined", "unknown"]
    reference: str | None = None
    error: str | None = None
    authorized_until: datetime | None = None  # of a renewal, where the provider says so
