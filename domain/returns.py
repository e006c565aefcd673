"""Returns: the states of a return, why goods come back, and what an inspection may decide about a unit.

Goods and money go their own ways: a refund may be paid before the goods were looked at, or wait until they were. The
state names the goods' way until every unit has its disposition, and the money's way from there on.
"""

from enum import StrEnum
from typing import Literal, NamedTuple

from domain.errors import StateConflict
from domain.stock import Account


class ReturnState(StrEnum):
    REQUESTED = "requested"  # no rule decides: a person does
    AUTHORIZED = "authorized"
    IN_TRANSIT = "in_transit"
    RECEIVED = "received"
    INSPECTING = "inspecting"
    DISPOSITIONED = "dispositioned"
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"
    CLOSED = "closed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    NOT_RECEIVED = "not_received"


S = ReturnState

_GOODS_ARE_HERE = frozenset({S.RECEIVED, S.INSPECTING, S.DISPOSITIONED, S.REFUND_PENDING, S.REFUNDED, S.CLOSED})

# Goods that come are a fact, whatever was said of them before: every state may become `received`.
TRANSITIONS: dict[ReturnState, frozenset[ReturnState]] = {
    S.REQUESTED: _GOODS_ARE_HERE | {S.AUTHORIZED, S.IN_TRANSIT, S.DECLINED, S.CANCELLED},
    S.AUTHORIZED: _GOODS_ARE_HERE | {S.IN_TRANSIT, S.CANCELLED, S.NOT_RECEIVED},
    S.IN_TRANSIT: _GOODS_ARE_HERE | {S.CANCELLED, S.NOT_RECEIVED},
    S.RECEIVED: _GOODS_ARE_HERE | {S.DECLINED},
    S.INSPECTING: _GOODS_ARE_HERE | {S.DECLINED},
    S.DISPOSITIONED: _GOODS_ARE_HERE | {S.DECLINED},
    S.REFUND_PENDING: _GOODS_ARE_HERE | {S.DECLINED},
    S.REFUNDED: _GOODS_ARE_HERE,
    S.CLOSED: _GOODS_ARE_HERE,
    S.DECLINED: _GOODS_ARE_HERE | {S.AUTHORIZED},
    S.CANCELLED: _GOODS_ARE_HERE,
    S.NOT_RECEIVED: _GOODS_ARE_HERE,
}
FINAL = frozenset({S.CLOSED, S.DECLINED, S.CANCELLED, S.NOT_RECEIVED})
AWAITING_GOODS = frozenset({S.REQUESTED, S.AUTHORIZED, S.IN_TRANSIT})


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless a return may go from `current` to `wanted`; staying is always allowed."""
    if current != wanted and ReturnState(wanted) not in TRANSITIONS[ReturnState(current)]:
        raise StateConflict(f"The return is {current.replace('_', ' ')}; it cannot become {wanted.replace('_', ' ')}.")


class Progress(NamedTuple):
    """How far the units and the money of a return are. Units are base units of all lines together."""

    received: int
    looked_at: int  # have a disposition that is final
    touched: int  # were looked at, whether or not more work was found to be necessary
    is_owed: bool  # a refund is to be decided or paid
    is_asking: bool  # somebody is asked, and the journey waits for the answer


def state_of(current: ReturnState, progress: Progress) -> ReturnState:
    """The state that follows from the goods and the money; one that needs somebody's word is left as it is."""
    if not progress.received:
        return current
    if progress.looked_at < progress.received:
        return S.INSPECTING if progress.touched else S.RECEIVED
    if progress.is_owed:
        return S.DISPOSITIONED if progress.is_asking else S.REFUND_PENDING
    return S.REFUNDED if progress.is_asking else S.CLOSED


REASONS = (
    "defective",
    "damaged_in_shipping",
    "wrong_item",
    "not_as_described",
    "wrong_size",
    "arrived_late",
    "changed_mind",
    "duplicate",
    "gift",
    "better_price",
    "cod_refused",
)
# The retailer's or the carrier's doing: no fee, and no claim that the customer should have thought better.
OUR_FAULT = frozenset({"defective", "damaged_in_shipping", "wrong_item", "not_as_described", "arrived_late"})
Value = Literal["cost", "market", "nothing"]


class Effect(NamedTuple):
    """What a disposition does to a unit that waits as customer returned.

    `target` is the account that it goes to; None is more work at the same place, after which it is looked at again.
    `account` takes what the unit is still worth by `value`; what is lost goes to `loss`.
    """

    target: Account | None
    value: Value
    account: str = ""
    loss: str = ""
    words: str = ""


EFFECTS: dict[str, Effect] = {
    "restock": Effect("available", "cost", "inventory", words="as new, back on the shelf"),
    "restock_open_box": Effect("damaged", "market", "seconds", "write_down", "opened; sold at a lower price"),
    "refurbish": Effect(None, "cost", words="to be mended, then looked at again"),
    "repackage": Effect(None, "cost", words="to be packed anew, then looked at again"),
    "quarantine": Effect("quarantined", "cost", "inventory", words="kept apart until somebody clears it"),
    "return_to_vendor": Effect("vendor_return_pending", "cost", "vendor_returns", words="goes back to its supplier"),
    "liquidate": Effect("damaged", "market", "seconds", "write_down", "sold off in bulk"),
    "donate": Effect("shrink", "nothing", loss="write_off", words="given away"),
    "destroy": Effect("shrink", "nothing", loss="write_off", words="destroyed"),
    "missing": Effect("shrink", "nothing", loss="shrinkage", words="not in the parcel after all"),
    # Declined after inspection: it is the customer's property, and what it came back at is a cost of sales again.
    "send_back": Effect("customer", "nothing", loss="cogs", words="declined; goes back to the customer"),
}
DISPOSITIONS = tuple(EFFECTS)
WORK_FIRST = frozenset(name for name, effect in EFFECTS.items() if effect.target is None)
# What is declined has no refund; what turned out to be missing has none either.
NOT_REFUNDED = frozenset({"send_back", "missing"})

CONDITIONS = ("new", "opened", "used", "damaged", "unsafe")


def proposed(condition: str, reason: str, by_condition: dict[str, str]) -> str:
    """The disposition that the rule proposes for a unit by its condition; a defect is the supplier's business."""
    if condition == "unsafe":
        return "quarantine"
    if reason == "defective" and condition != "new":
        return "return_to_vendor"
    return by_condition.get(condition, "quarantine")
