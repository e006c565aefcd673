"""The BOPIS journey: its states, what may follow what, and the due instants of a pick and of a pickup window."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

from domain.calendars import OpeningHours, add_open_time, end_of_open_day, next_opening
from domain.errors import StateConflict
from domain.policy import BopisPolicy


class BopisState(StrEnum):
    PLACED = "placed"  # kept back by the source (payment, fraud, service)
    RESERVED = "reserved"
    PICKING = "picking"
    READY_FOR_PICKUP = "ready_for_pickup"
    PARTIALLY_COLLECTED = "partially_collected"
    COLLECTED = "collected"
    RESERVATION_FAILED = "reservation_failed"
    AWAITING_CUSTOMER = "awaiting_customer"
    SUBSTITUTING = "substituting"
    REROUTING = "rerouting"
    SHIP_TO_STORE = "ship_to_store"
    TO_BE_SHIPPED = "to_be_shipped"  # it goes to the customer's address instead
    SHIPPED = "shipped"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


S = BopisState

TRANSITIONS: dict[BopisState, frozenset[BopisState]] = {
    # A store may pick and hand over what its source keeps back: then it goes on from where its goods are.
    S.PLACED: frozenset(
        {
            S.RESERVED,
            S.PICKING,
            S.READY_FOR_PICKUP,
            S.PARTIALLY_COLLECTED,
            S.TO_BE_SHIPPED,  # a replacement that was to be sent from the beginning
            S.SHIPPED,
            S.COLLECTED,
            S.RESERVATION_FAILED,
            S.CANCELLED,
        }
    ),
    S.RESERVED: frozenset(
        {
            S.PICKING,
            S.READY_FOR_PICKUP,
            S.RESERVATION_FAILED,
            S.PARTIALLY_COLLECTED,
            S.COLLECTED,
            S.TO_BE_SHIPPED,
            S.CANCELLED,
        }
    ),
    # Back to reserved when the line that was picked is cancelled and another one is still to be picked.
    S.PICKING: frozenset(
        {S.RESERVED, S.READY_FOR_PICKUP, S.RESERVATION_FAILED, S.PARTIALLY_COLLECTED, S.COLLECTED, S.CANCELLED}
    ),
    S.READY_FOR_PICKUP: frozenset({S.PARTIALLY_COLLECTED, S.COLLECTED, S.EXPIRED, S.CANCELLED, S.RESERVATION_FAILED}),
    S.PARTIALLY_COLLECTED: frozenset({S.COLLECTED, S.EXPIRED, S.CANCELLED, S.RESERVATION_FAILED}),
    S.RESERVATION_FAILED: frozenset(
        {
            S.RESERVED,
            S.PICKING,
            S.READY_FOR_PICKUP,
            S.PARTIALLY_COLLECTED,
            S.COLLECTED,
            S.AWAITING_CUSTOMER,
            S.SUBSTITUTING,
            S.REROUTING,
            S.SHIP_TO_STORE,
            S.TO_BE_SHIPPED,
            S.CANCELLED,
        }
    ),
    S.AWAITING_CUSTOMER: frozenset(
        {
            S.RESERVED,
            S.PICKING,
            S.READY_FOR_PICKUP,
            S.PARTIALLY_COLLECTED,
            S.COLLECTED,
            S.RESERVATION_FAILED,
            S.TO_BE_SHIPPED,
            S.SHIP_TO_STORE,
            S.CANCELLED,
        }
    ),
    S.SUBSTITUTING: frozenset(
        {
            S.RESERVED,
            S.PICKING,
            S.READY_FOR_PICKUP,
            S.PARTIALLY_COLLECTED,
            S.COLLECTED,
            S.RESERVATION_FAILED,
            S.SHIP_TO_STORE,
            S.CANCELLED,
        }
    ),
    S.REROUTING: frozenset({S.RESERVED, S.RESERVATION_FAILED, S.CANCELLED}),
    # When the goods have come, it goes on from where they are.
    S.SHIP_TO_STORE: frozenset(
        {
            S.RESERVED,
            S.PICKING,
            S.READY_FOR_PICKUP,
            S.PARTIALLY_COLLECTED,
            S.COLLECTED,
            S.RESERVATION_FAILED,
            S.CANCELLED,
        }
    ),
    S.TO_BE_SHIPPED: frozenset(
        {S.SHIPPED, S.COLLECTED, S.PARTIALLY_COLLECTED, S.READY_FOR_PICKUP, S.RESERVATION_FAILED, S.CANCELLED}
    ),
    S.SHIPPED: frozenset(),
    S.COLLECTED: frozenset(),
    S.EXPIRED: frozenset(),
    S.CANCELLED: frozenset(),
}

# Goods that have left with a carrier have left, whatever was planned.
for _before in list(TRANSITIONS):
    if TRANSITIONS[_before]:
        TRANSITIONS[_before] |= {S.SHIPPED}
FINAL = frozenset({S.COLLECTED, S.SHIPPED, S.EXPIRED, S.CANCELLED})
TO_BE_PICKED = frozenset({S.RESERVED, S.PICKING})
ON_THE_HOLD_SHELF = frozenset({S.READY_FOR_PICKUP, S.PARTIALLY_COLLECTED})
ASKING_THE_CUSTOMER = frozenset({S.AWAITING_CUSTOMER, S.SUBSTITUTING})


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless the journey may go from `current` to `wanted`; staying is always allowed."""
    if current != wanted and BopisState(wanted) not in TRANSITIONS[BopisState(current)]:
        raise StateConflict(f"The order is {current.replace('_', ' ')}; it cannot become {wanted.replace('_', ' ')}.")


def pick_due(placed_at: datetime, promised_at: datetime | None, policy: BopisPolicy, hours: OpeningHours) -> datetime:
    """When the pick must be done: two open hours, or a quarter of an hour before the promise if that is earlier.

    What is placed after the cut-off before closing is picked within the same open time after the next opening.
    """
    enough = timedelta(seconds=max(policy.pick_open_s, policy.cutoff_before_close_s))
    span = _span_of(placed_at, hours)
    if span is not None and span[1] - placed_at >= enough:
        # Most orders: the store is open, and stays open for long enough. The rest comes to the same, later.
        due = placed_at.astimezone(UTC) + timedelta(seconds=policy.pick_open_s)
    else:
        due = _due_after(next_opening(placed_at, hours), policy, hours)
    if promised_at is not None:
        due = max(min(due, promised_at - timedelta(seconds=policy.pick_before_promise_s)), placed_at)
    return due


def _span_of(instant: datetime, hours: OpeningHours) -> tuple[datetime, datetime] | None:
    """The open span of the instant's day that it falls into."""
    for span in hours.open_spans(hours.local_date(instant)):
        if span[0] <= instant < span[1]:
            return span
    return None


def _due_after(start: datetime, policy: BopisPolicy, hours: OpeningHours) -> datetime:
    """The end of the pick's open time from `start`, when the store is open or opens."""
    span = _span_of(start, hours)
    if span is not None:
        reopens = next_opening(span[1], hours)
        # Where one day's hours run into the next, nobody closes and there is no cut-off.
        if reopens > span[1] and span[1] - start < timedelta(seconds=policy.cutoff_before_close_s):
            start = reopens
    return add_open_time(start, timedelta(seconds=policy.pick_open_s), hours)


def nag_dues(placed_at: datetime, due: datetime, policy: BopisPolicy) -> dict[str, datetime]:
    """Reminders as shares of the way from `placed_at` to `due`: `pick_nag_1` …; the share of 1,000 is the due
    itself.
    """
    span = due - placed_at
    return {
        f"pick_nag_{number}": placed_at + span * permille / 1000
        for number, permille in enumerate(policy.nag_permille, start=1)
    }


def window_dues(ready_at: datetime, policy: BopisPolicy, hours: OpeningHours, *, frozen: bool) -> dict[str, datetime]:
    """End of the pickup window (closing of the n-th open day) and the reminders that fall before it."""
    days = policy.window_frozen_open_days if frozen else policy.window_open_days
    end = end_of_open_day(ready_at, days, hours)
    dues = {"window": end}
    for number, day in enumerate(policy.reminder_open_days, start=1):
        if day <= days and day > 0:
            reminder = _morning_of(end_of_open_day(ready_at, day, hours), hours)
            if ready_at < reminder < end:
                dues[f"window_reminder_{number}"] = reminder
    return dues


def last_reminder(until: datetime, hours: OpeningHours) -> datetime:
    """The morning of the day on which a pickup window ends."""
    return _morning_of(until, hours)


def _morning_of(closing: datetime, hours: OpeningHours) -> datetime:
    span = hours.spans(hours.local_date(closing - timedelta(seconds=1)))
    return span[0] if span is not None else closing
