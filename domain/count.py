"""The cycle count: its states, what a difference is worth, when it must be counted again, and how sure we are after it.

A difference (variance) is counted − book, the book as of the instant at which the line was counted. Money is in minor
units at cost; shares are in thousandths.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from domain.errors import StateConflict
from domain.policy import CountPolicy, ToleranceLimits


class CountState(StrEnum):
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    SUBMITTED = "submitted"
    RECOUNT = "recount"
    PENDING_APPROVAL = "pending_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    POSTED = "posted"
    CANCELLED = "cancelled"


S = CountState

TRANSITIONS: dict[CountState, frozenset[CountState]] = {
    S.SCHEDULED: frozenset({S.IN_PROGRESS, S.SUBMITTED, S.CANCELLED}),
    S.IN_PROGRESS: frozenset({S.SUBMITTED, S.CANCELLED}),
    S.SUBMITTED: frozenset({S.RECOUNT, S.PENDING_APPROVAL, S.APPROVED, S.CANCELLED}),
    S.RECOUNT: frozenset({S.SUBMITTED, S.CANCELLED}),
    # Back to submitted when a late fact changed the difference while somebody was asked.
    S.PENDING_APPROVAL: frozenset({S.APPROVED, S.REJECTED, S.SUBMITTED}),
    # Back when a late fact made the difference larger than what was agreed, or somebody has it counted again.
    S.APPROVED: frozenset({S.POSTED, S.SUBMITTED, S.RECOUNT}),
    S.REJECTED: frozenset({S.RECOUNT}),
    S.POSTED: frozenset(),
    S.CANCELLED: frozenset(),
}

FINAL = frozenset({S.POSTED, S.CANCELLED})
BEING_COUNTED = frozenset({S.SCHEDULED, S.IN_PROGRESS, S.RECOUNT})

REASONS = ("schedule", "short_pick", "negative_stock", "not_counted", "transfer", "velocity", "adjustment", "manual")
ROOT_CAUSES = (
    "missing_transaction",
    "inbound_not_recorded",
    "outbound_not_recorded",
    "return_not_recorded",
    "miscounted",
    "misplaced",
    "wrong_uom",
    "theft_suspected",
    "system_error",
)
LINE_STATES = ("open", "counted", "recount", "agreed", "not_counted", "superseded", "posted")
# Beside the shelf (available + reserved + count pending), what a session may name to be counted for itself.
NAMED_BUCKETS = ("damaged", "quarantined")


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless the count may go from `current` to `wanted`; staying is always allowed."""
    if current != wanted and CountState(wanted) not in TRANSITIONS[CountState(current)]:
        raise StateConflict(f"The count is {current.replace('_', ' ')}; it cannot become {wanted.replace('_', ' ')}.")


class Difference(NamedTuple):
    """What one count of one line says: `book` as of the instant at which it was counted."""

    book: int
    counted: int
    unit_cost_e4: int  # 1/10,000 of a minor unit

    @property
    def units(self) -> int:
        return self.counted - self.book

    @property
    def value_minor(self) -> int:
        """Gross: a gain and a loss are worth the same here. Rounded half up once."""
        return (abs(self.units) * self.unit_cost_e4 + 5_000) // 10_000

    @property
    def signed_minor(self) -> int:
        return self.value_minor if self.units > 0 else -self.value_minor


def is_tolerated(difference: Difference, policy: CountPolicy) -> bool:
    """Whether a difference keeps every limit of its direction; nothing is always tolerated."""
    limits: ToleranceLimits = policy.plus if difference.units > 0 else policy.minus
    units = abs(difference.units)
    if units == 0:
        return True
    kept = (
        limits.units is None or units <= limits.units,
        limits.permille is None or units * 1000 <= limits.permille * max(difference.book, 0),
        limits.value_minor is None or difference.value_minor <= limits.value_minor,
    )
    return all(kept)


class Resolution(NamedTuple):
    """What posting a line moves. `confirmed` leaves count pending for the shelf; `gained` comes from nowhere;
    `lost_pending` and `lost_available` go to shrinkage. The last may take `available` below zero: then promises are in
    doubt.
    """

    confirmed: int
    gained: int
    lost_pending: int
    lost_available: int


def resolve(variance: int, count_pending: int) -> Resolution:
    """How a difference is taken from the shelf: a loss from count pending first, then from what is available.

    `count_pending` are the units that this count decides about; none of them stays behind.
    """
    lost = max(-variance, 0)
    from_pending = min(lost, count_pending)
    return Resolution(
        confirmed=count_pending - from_pending,
        gained=max(variance, 0),
        lost_pending=from_pending,
        lost_available=lost - from_pending,
    )


def accuracy_permille(book: int, counted: int) -> int:
    """1,000 where book and shelf agree, 0 where they have nothing in common."""
    larger = max(book, counted, 0)
    if larger == 0:
        return 1000 if book == counted else 0
    return max(1000 - abs(counted - book) * 1000 // larger, 0)


def confidence_after(before_permille: int, book: int, counted: int, weight_permille: int) -> int:
    """How sure we are of a book quantity after a count: the old figure and this count's accuracy, weighed.

    `confidence = before × (1 − weight) + accuracy × weight`, rounded down, between 0 and 1,000.
    """
    accuracy = accuracy_permille(book, counted)
    return (before_permille * (1000 - weight_permille) + accuracy * weight_permille) // 1000


class RiskTerm(NamedTuple):
    """One factor of a line's risk, as people see it."""

    term: str
    permille: int
    why: str


NEVER_COUNTED_DAYS = 365


def risk_terms(
    *, value_minor: int, sold_in_28_days: int, days_since_count: int | None, mean_variance_permille: int
) -> tuple[RiskTerm, ...]:
    """The factors of a line's risk: value × velocity × age of the last count × past variance, each at least a little.

    Value counts per 1.00 (100 minor units); velocity is 1 + units sold a day; age is months since the last count, a
    year for one never counted; past variance is 1 + the mean share by which the last counts were off.
    """
    days = NEVER_COUNTED_DAYS if days_since_count is None else days_since_count
    counted = "never counted" if days_since_count is None else f"last counted {days} days ago"
    return (
        RiskTerm("value", max(value_minor, 100) * 10, f"{max(value_minor, 0) / 100:,.2f} of stock at cost"),
        RiskTerm("velocity", 1000 + sold_in_28_days * 1000 // 28, f"{sold_in_28_days} sold in 28 days"),
        RiskTerm("age", max(days, 1) * 1000 // 30, counted),
        RiskTerm("past_variance", 1000 + mean_variance_permille, f"{mean_variance_permille / 10:g} % off on average"),
    )


def risk_score(terms: Iterable[RiskTerm]) -> int:
    """The product of the factors, in thousandths."""
    score = 1000
    for term in terms:
        score = score * term.permille // 1000
    return score
