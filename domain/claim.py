"""A claim against a vendor: its states, what is open of it, and what of a vendor's answer is tolerated. Amounts are
minor units.
"""

from enum import StrEnum
from typing import NamedTuple

from domain.errors import StateConflict
from domain.policy import ClaimPolicy

CLAIM_KINDS = ("periodic", "final", "late", "asked")
# Why a vendor does not accept what was claimed, and on which ground a refusal is disputed.
DISPUTE_GROUNDS = ("no_proof", "wrong_period", "over_cap", "duplicate_claim", "price_disagreement")


class ClaimState(StrEnum):
    PREPARED = "prepared"
    APPROVED = "approved"
    SENT = "sent"
    MATCHED = "matched"
    DISPUTED = "disputed"
    PARTIALLY_SETTLED = "partially_settled"
    SETTLED = "settled"
    WRITTEN_OFF = "written_off"
    CANCELLED = "cancelled"


S = ClaimState

_ANSWERED = frozenset({S.MATCHED, S.DISPUTED, S.PARTIALLY_SETTLED, S.SETTLED, S.WRITTEN_OFF})
TRANSITIONS: dict[ClaimState, frozenset[ClaimState]] = {
    S.PREPARED: frozenset({S.APPROVED, S.CANCELLED, S.WRITTEN_OFF}),
    S.APPROVED: frozenset({S.SENT, S.CANCELLED}),
    S.SENT: _ANSWERED,
    S.MATCHED: _ANSWERED,
    S.DISPUTED: _ANSWERED,
    S.PARTIALLY_SETTLED: _ANSWERED,
    S.SETTLED: frozenset(),
    S.WRITTEN_OFF: frozenset(),
    S.CANCELLED: frozenset(),
}
FINAL = frozenset({S.SETTLED, S.WRITTEN_OFF, S.CANCELLED})
BEFORE_SENDING = frozenset({S.PREPARED, S.APPROVED})
WITH_THE_VENDOR = frozenset({S.SENT, S.MATCHED, S.DISPUTED, S.PARTIALLY_SETTLED})


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless the claim may go from `current` to `wanted`; staying is always allowed."""
    if current != wanted and ClaimState(wanted) not in TRANSITIONS[ClaimState(current)]:
        was, then = current.replace("_", " "), wanted.replace("_", " ")
        raise StateConflict(f"The claim is {was}; it cannot become {then}.")


class Figures(NamedTuple):
    """What a claim has come to. `given_up` is released, written off, or waits for another claim."""

    amount_minor: int
    accepted_minor: int
    settled_minor: int
    given_up_minor: int
    is_answered: bool

    @property
    def open_minor(self) -> int:
        """What the vendor still owes of it."""
        return self.amount_minor - self.settled_minor - self.given_up_minor

    @property
    def short_minor(self) -> int:
        """What the vendor has not accepted and nobody has decided about."""
        return self.amount_minor - self.accepted_minor - self.given_up_minor if self.is_answered else 0

    @property
    def unpaid_minor(self) -> int:
        """What it has accepted and not paid."""
        return self.accepted_minor - self.settled_minor


def state_by_figures(now: Figures, *, before: ClaimState) -> ClaimState:
    """The state that its figures give a claim that is with the vendor."""
    if now.open_minor == 0:
        return S.SETTLED if now.settled_minor else S.WRITTEN_OFF
    if before is S.DISPUTED and now.short_minor:
        return S.DISPUTED
    if now.settled_minor:
        return S.PARTIALLY_SETTLED
    return S.MATCHED if now.is_answered else before


class Short(NamedTuple):
    """What of a line the vendor has not accepted."""

    line_id: str
    amount_minor: int
    claimed_minor: int
    reason: str


def is_tolerated(short: list[Short], policy: ClaimPolicy) -> bool:
    """Whether what is missing of all lines together is too little to ask anybody about it."""
    missing = sum(abs(one.amount_minor) for one in short)
    claimed = sum(abs(one.claimed_minor) for one in short)
    limits = policy.tolerance
    within_value = limits.value_minor is None or missing <= limits.value_minor
    within_share = limits.permille is None or missing * 1000 <= limits.permille * claimed
    return within_value and within_share
