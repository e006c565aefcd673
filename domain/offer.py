"""Offers: a way out that changes what a customer was promised, asked of the customer by link. Pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from domain.bopis import BopisState
from domain.policy import OfferPolicy


class OfferState(StrEnum):
    OPEN = "open"
    ACCEPTED = "accepted"  # by the customer; somebody must approve what it costs us
    APPLIED = "applied"
    DECLINED = "declined"
    REJECTED = "rejected"  # accepted, and not approved
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


OFFER_STATES = tuple(state.value for state in OfferState)
UNDECIDED = (OfferState.OPEN.value, OfferState.ACCEPTED.value)
ANSWERS = ("accept", "other", "leave_out", "cancel")

OFFER_TRANSITIONS: dict[str, frozenset[str]] = {
    "open": frozenset({"accepted", "applied", "declined", "expired", "withdrawn"}),
    "accepted": frozenset({"applied", "rejected", "withdrawn"}),
    "applied": frozenset(),
    "declined": frozenset(),
    "rejected": frozenset(),
    "expired": frozenset(),
    "withdrawn": frozenset(),
}


def answer_due(at: datetime, promised_at: datetime | None, policy: OfferPolicy) -> datetime:
    """Until when the customer may answer: two hours, or half an hour before the promise if that is earlier.

    Never less than `least_s`: where the promise is as good as broken, a question that nobody can answer helps nobody.
    """
    due = at + timedelta(seconds=policy.answer_s)
    if promised_at is not None:
        due = min(due, promised_at - timedelta(seconds=policy.before_promise_s))
    return max(due, at + timedelta(seconds=policy.least_s))


def state_while_asking(way: str) -> BopisState:
    """The order's state while its customer is asked about a way out."""
    return BopisState.SUBSTITUTING if way == "substitute" else BopisState.AWAITING_CUSTOMER


def way_by_consent(substitution: Collection[str]) -> str | None:
    """What customers have allowed for the lines that miss something: `auto` (replace, then tell), `ask`, or None.

    One line that must not be replaced keeps all of them from it: one question, one answer.
    """
    if not substitution or "never" in substitution:
        return None
    return "ask" if "ask" in substitution else "auto"
