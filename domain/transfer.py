"""The store transfer: its states, what counts as a discrepancy, which of them are tolerated, and what each is called.

Quantities are in the item's base unit, money in minor units at cost, shares in thousandths.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from domain.errors import StateConflict
from domain.policy import ToleranceLimits, TransferPolicy


class TransferState(StrEnum):
    REQUESTED = "requested"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    READY_TO_SHIP = "ready_to_ship"
    IN_TRANSIT = "in_transit"
    PARTIALLY_RECEIVED = "partially_received"
    RECEIVED = "received"
    DISCREPANCY_REVIEW = "discrepancy_review"
    CLOSED = "closed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


S = TransferState

# Goods that move are a fact in every state: whatever it was before, the transfer goes where its quantities lead.
_BY_GOODS = frozenset({S.IN_TRANSIT, S.PARTIALLY_RECEIVED, S.RECEIVED})

TRANSITIONS: dict[TransferState, frozenset[TransferState]] = {
    S.REQUESTED: frozenset({S.PENDING_APPROVAL, S.APPROVED, S.CANCELLED}) | _BY_GOODS,
    S.PENDING_APPROVAL: frozenset({S.APPROVED, S.REJECTED, S.CANCELLED}) | _BY_GOODS,
    S.APPROVED: frozenset({S.READY_TO_SHIP, S.CANCELLED}) | _BY_GOODS,
    S.READY_TO_SHIP: frozenset({S.CANCELLED}) | _BY_GOODS,
    S.IN_TRANSIT: frozenset({S.PARTIALLY_RECEIVED, S.RECEIVED, S.CLOSED, S.CANCELLED}),
    S.PARTIALLY_RECEIVED: frozenset({S.IN_TRANSIT, S.RECEIVED, S.CLOSED, S.CANCELLED}),
    S.RECEIVED: frozenset({S.DISCREPANCY_REVIEW, S.CLOSED, S.IN_TRANSIT, S.PARTIALLY_RECEIVED}),
    # Back when late goods or reports change the figures.
    S.DISCREPANCY_REVIEW: frozenset({S.CLOSED, S.CANCELLED}) | _BY_GOODS,
    S.CLOSED: frozenset(),
    S.REJECTED: frozenset(),
    S.CANCELLED: frozenset(),
}

FINAL = frozenset({S.CLOSED, S.REJECTED, S.CANCELLED})
BEFORE_APPROVAL = frozenset({S.REQUESTED, S.PENDING_APPROVAL})
TO_BE_SHIPPED = frozenset({S.APPROVED, S.READY_TO_SHIP})
ON_THE_WAY = frozenset({S.IN_TRANSIT, S.PARTIALLY_RECEIVED})

REASONS = ("rebalance", "ship_to_store", "replenish", "recall", "send_back", "send_on")
CONDITIONS = ("good", "damaged")
# Units that came without having been in transit for their line.
EXTRA_KINDS = ("over", "misship", "wrong_store")
NEVER_TOLERATED = ("misship", "wrong_store")
CLAIM_STATES = ("opened", "sent", "accepted", "declined", "paid")
CLAIM_TRANSITIONS: dict[str, frozenset[str]] = {
    "opened": frozenset({"sent", "accepted", "declined"}),
    "sent": frozenset({"accepted", "declined"}),
    "accepted": frozenset({"paid"}),
    "declined": frozenset(),
    "paid": frozenset(),
}

# Why a discrepancy arose, chosen by whoever closes it; the first is the system's own word.
WITHIN_TOLERANCE = "within_tolerance"
ROOT_CAUSES = (
    "lost_by_carrier",
    "damaged_by_carrier",
    "packing_error",
    "picking_error",
    "not_shipped",
    "receiving_error",
    "receipt_found_by_count",
    "theft_suspected",
    "wrong_store",
    "system_error",
)
# Which account carries units that never come, by root cause; others are a loss in transit.
LOSS_ACCOUNTS: dict[str, str] = {
    # A count at the destination has found them and booked them as found: that gain was none.
    "receipt_found_by_count": "inventory_found",
    "theft_suspected": "shrinkage",
}


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless the transfer may go from `current` to `wanted`; staying is always allowed, and goods
    that move all the same open again what was over.
    """
    allowed = TRANSITIONS[TransferState(current)] or _BY_GOODS
    if current != wanted and TransferState(wanted) not in allowed:
        was, then = current.replace("_", " "), wanted.replace("_", " ")
        raise StateConflict(f"The transfer is {was}; it cannot become {then}.")


def check_claim(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless a carrier claim may go from `current` to `wanted`."""
    if wanted not in CLAIM_TRANSITIONS[current]:
        raise StateConflict(f"The claim is {current}; it cannot become {wanted}.")


class Discrepancy(NamedTuple):
    """What differs on a line: `kind` short, damage, over, misship or wrong_store; `of_units` is what was shipped."""

    kind: str
    line_id: str
    sku: str
    location: str
    units: int
    of_units: int
    value_minor: int
    extra_id: int | None = None


# In this order they are asked about, one kind at a time.
CASE_KINDS: dict[str, str] = {
    "wrong_store": "transfer_misship",
    "misship": "transfer_misship",
    "short": "transfer_short",
    "damage": "transfer_damage",
    "over": "transfer_over",
}


def _limits(kind: str, policy: TransferPolicy) -> ToleranceLimits:
    return policy.over if kind == "over" else policy.short


def _is_small(one: Discrepancy, limits: ToleranceLimits) -> bool:
    kept = (
        limits.units is None or one.units <= limits.units,
        limits.permille is None or one.units * 1000 <= limits.permille * max(one.of_units, 0),
        limits.value_minor is None or one.value_minor <= limits.value_minor,
    )
    return all(kept)


def tolerated(some: Sequence[Discrepancy], policy: TransferPolicy) -> list[Discrepancy]:
    """Those that keep every limit of their direction. Another item, or another store, is never tolerated; and where the
    small ones of one direction are together worth more than its limit, none of them is.
    """
    small = [one for one in some if one.kind not in NEVER_TOLERATED and _is_small(one, _limits(one.kind, policy))]
    kept: list[str] = []
    for limits, kinds in ((policy.short, ("short", "damage")), (policy.over, ("over",))):
        worth = sum(one.value_minor for one in small if one.kind in kinds)
        if limits.value_minor is None or worth <= limits.value_minor:
            kept += kinds
    return [one for one in small if one.kind in kept]


class Quantities(NamedTuple):
    """What is true of all lines together."""

    to_ship: int
    in_transit: int
    arrived: int  # good, damaged, or not expected


def state_by_quantities(now: Quantities, *, complete: bool, before: TransferState) -> TransferState:
    """Where the goods of a transfer have brought it. `complete`: the destination has said that nothing more comes."""
    if now.arrived == 0 and now.in_transit == 0:
        return before
    if now.to_ship == 0 and (now.in_transit == 0 or complete):
        return S.RECEIVED
    return S.PARTIALLY_RECEIVED if now.arrived else S.IN_TRANSIT


def share(total_minor: int, part: int, whole: int) -> int:
    """The cost of `part` of `whole` units that together cost `total_minor`; the last units take the rounding rest."""
    return total_minor if part >= whole else (total_minor * part + whole // 2) // whole
