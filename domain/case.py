"""Cases: what can break, who owns it, how urgent it is, and how a case changes state."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from domain.errors import StateConflict


class CaseState(StrEnum):
    OPEN = "open"
    CLAIMED = "claimed"
    WAITING = "waiting"
    DECIDING = "deciding"
    RESOLVED = "resolved"
    CANCELLED = "cancelled"


CASE_STATES = tuple(state.value for state in CaseState)
SEVERITIES = ("critical", "high", "medium", "low")
OPEN_STATES = ("open", "claimed", "waiting", "deciding")

CASE_TRANSITIONS: dict[str, frozenset[str]] = {
    "open": frozenset({"claimed", "waiting", "deciding", "resolved", "cancelled"}),
    "claimed": frozenset({"open", "claimed", "waiting", "deciding", "resolved", "cancelled"}),
    "waiting": frozenset({"open", "claimed", "deciding", "resolved", "cancelled"}),
    # A refused or rejected decision gives the case back to its owner.
    "deciding": frozenset({"open", "claimed", "resolved", "cancelled"}),
    "resolved": frozenset({"open"}),
    "cancelled": frozenset({"open"}),
}


def check_transition(current: str, wanted: str) -> None:
    """Raise `StateConflict` unless a case may go from `current` to `wanted`."""
    if wanted not in CASE_TRANSITIONS[current]:
        raise StateConflict(f"The case is {current}; it cannot become {wanted}.")


class CaseKind(BaseModel, frozen=True):
    """What a kind of case means for people.

    `owner_role` and `ladder` name roles, resolved to people of the case's region when they are asked.
    """

    kind: str
    title: str
    severity: str
    owner_role: str
    ladder: tuple[str, ...] = ("store_manager", "regional_ops", "admin")
    runbook: str = ""


_KINDS = (
    CaseKind(
        kind="reservation_failure",
        title="Reservation failed",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "Look for the unit at a near-by store first; the customer keeps the promise that way. Agree a change "
            "of place with the customer before you choose it."
        ),
    ),
    CaseKind(
        kind="reservation_lost",
        title="Promised unit is gone",
        severity="critical",
        owner_role="regional_ops",
        runbook=(
            "The unit was promised and has left the shelf. The customer has not been told: choose the way out "
            "that keeps the promise, then tell them."
        ),
    ),
    CaseKind(
        kind="sale_stopped",
        title="Promised item was stopped from sale",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "The item must not be sold, and the customer was promised some. Offer something else or the money back; "
            "where the stop is lifted soon, the order gets the goods by itself."
        ),
    ),
    CaseKind(
        kind="pick_short",
        title="Picked short",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "The store looked and did not find it. What the reason code took out of stock is counted next; do "
            "not send the picker twice."
        ),
    ),
    CaseKind(
        kind="pick_overdue",
        title="Pick overdue",
        severity="medium",
        owner_role="store_manager",
        runbook="Call the store. If it cannot pick before the promise, move the order.",
    ),
    CaseKind(
        kind="fact_after_close",
        title="Goods moved after the order was closed",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "Goods left the store on an order that was cancelled or expired. Charge again with the customer's "
            "word, accept the loss, or correct the report."
        ),
    ),
    CaseKind(
        kind="place_closed",
        title="Place closed with open orders",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "Customers were told, and their windows are longer by the time it is closed. Where that takes too long, "
            "have each order looked at: what is not picked yet can go to another store, if its customer agrees."
        ),
    ),
    CaseKind(
        kind="order_at_closed_place",
        title="Order at a closed place",
        severity="medium",
        owner_role="regional_ops",
        runbook="Ask the customer: another store now, this one when it opens again, or the money back.",
    ),
    CaseKind(
        kind="customer_waiting",
        title="Customer waits outside",
        severity="high",
        owner_role="store_manager",
        runbook="The customer has arrived at the curb, and nothing was handed over. Call the store.",
    ),
    CaseKind(
        kind="shipment_overdue",
        title="Shipment overdue",
        severity="medium",
        owner_role="regional_ops",
        runbook="The order was to be sent to the customer's address and has not left. Call the warehouse.",
    ),
    CaseKind(
        kind="age_not_checked",
        title="Age not checked at hand-over",
        severity="medium",
        owner_role="store_manager",
        runbook="Goods with an age limit left, and no check of the customer's age is recorded. Ask the store.",
    ),
    CaseKind(
        kind="put_away_overdue",
        title="Put-away overdue",
        severity="low",
        owner_role="store_manager",
        runbook=(
            "Goods of a cancelled or expired pickup still stand in staging. Have them put back; they cannot be "
            "sold there."
        ),
    ),
    CaseKind(
        kind="refund_failed",
        title="Refund failed",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook="The provider declined or did not answer. Try again, or pay out by hand and record it.",
    ),
    CaseKind(
        kind="capture_failed",
        title="Payment could not be captured",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "Hand-over is blocked until the payment is captured. Ask the customer for another tender or cancel "
            "the order."
        ),
    ),
    CaseKind(
        kind="handed_over_unpaid",
        title="Handed over before it was paid",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "The provider had declined, and the goods have left all the same. It is asked once more by itself; "
            "otherwise ask the customer to pay, or accept the loss."
        ),
    ),
    CaseKind(
        kind="refund_review",
        title="Large refund to look at",
        severity="low",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook="The refund was owed and is paid. Look whether its cause should have been seen earlier.",
    ),
    CaseKind(
        kind="negative_inventory",
        title="Negative stock",
        severity="medium",
        owner_role="regional_ops",
        runbook="The till sold more than the book had. Have the shelf counted; a missing receipt is the usual cause.",
    ),
    CaseKind(
        kind="event_rejected",
        title="Event could not be understood",
        severity="medium",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook=(
            "A system reported something about goods or places that Endcap does not know. Mend the master data, "
            "then replay the event."
        ),
    ),
    CaseKind(
        kind="event_parked",
        title="Event waits for its order",
        severity="low",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook="A report names an order that has not arrived. It is applied by itself when the order comes.",
    ),
    CaseKind(
        kind="adjustment_review",
        title="Large adjustment to review",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Units said to be lost are parked as count pending. Confirm the report, have it counted, or undo it; "
            "whoever reported it cannot confirm it."
        ),
    ),
    CaseKind(
        kind="webhook_failing",
        title="A webhook was disabled",
        severity="medium",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook=(
            "The system behind the webhook has accepted nothing for days, or says that it is gone. Mend it with its "
            "owner, then enable the webhook: what waits is sent. The page Webhooks shows each delivery."
        ),
    ),
    CaseKind(
        kind="posting_failed",
        title="Could not be posted",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook="The reason says what is missing. Mend it and run the posting again; a second run does nothing twice.",
    ),
    CaseKind(
        kind="sync_gap",
        title="A feed is silent",
        severity="medium",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook=(
            "A count waits for what the store's till sold before it. Bring the feed back; post without it only when "
            "you know that nothing is missing."
        ),
    ),
    CaseKind(
        kind="count_variance",
        title="Count differs from the book",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Look at yesterday's movements first: a delivery or a transfer that nobody booked explains most "
            "differences. Post what you believe, with its cause, or have it counted again by somebody else."
        ),
    ),
    CaseKind(
        kind="count_overdue",
        title="Count overdue",
        severity="low",
        owner_role="store_manager",
        runbook="Nobody has handed in this count in time. Units that wait for it cannot be sold until it is done.",
    ),
    CaseKind(
        kind="journey_stuck",
        title="A journey could not go on",
        severity="critical",
        owner_role="admin",
        ladder=("admin",),
        runbook=(
            "An unexpected failure suspended the journey; nothing is lost. Resume it when the cause is mended, "
            "or end it with everything undone."
        ),
    ),
    CaseKind(
        kind="delivery_stuck",
        title="A message could not be delivered",
        severity="critical",
        owner_role="admin",
        ladder=("admin",),
    ),
)

KINDS: dict[str, CaseKind] = {kind.kind: kind for kind in _KINDS}


class PriorityTerm(BaseModel, frozen=True):
    """One term of the priority score, shown to people with its reason."""

    term: str
    points: int
    why: str


def priority(
    *,
    value_at_risk_minor: int,
    promised_at: datetime | None,
    opened_at: datetime,
    now: datetime,
    severity: str,
    repeats: int,
) -> tuple[PriorityTerm, ...]:
    """The terms of a case's priority; their points sum to the score. It orders queues and never decides anything."""
    terms = [
        PriorityTerm(
            term="severity",
            points={"critical": 40, "high": 25, "medium": 10, "low": 0}[severity],
            why=f"{severity} by kind",
        ),
        PriorityTerm(
            term="value_at_risk",
            points=min(value_at_risk_minor // 500, 30),
            why="one point per 5.00 at risk, up to 30",
        ),
    ]
    if promised_at is not None:
        left = promised_at - now
        if left < timedelta(0):
            terms.append(PriorityTerm(term="promise", points=25, why="the promise to the customer is broken"))
        elif left < timedelta(hours=4):
            terms.append(PriorityTerm(term="promise", points=15, why="promised within four hours"))
    age_h = int((now - opened_at) / timedelta(hours=1))
    terms.append(PriorityTerm(term="age", points=min(max(age_h, 0), 20), why="one point per hour open, up to 20"))
    if repeats:
        terms.append(PriorityTerm(term="recurrence", points=min(5 * repeats, 15), why=f"seen {repeats + 1} times"))
    return tuple(terms)


def score(terms: Iterable[PriorityTerm]) -> int:
    return sum(term.points for term in terms)


class MoneyEffect(BaseModel, frozen=True):
    label: str
    amount_minor: int
    currency: str


class StockEffect(BaseModel, frozen=True):
    location: str
    sku: str
    quantity: int
    effect: str


class Consequence(BaseModel, frozen=True):
    """What choosing an option does to stock, money and the customer, worked out before it is chosen."""

    stock: tuple[StockEffect, ...] = ()
    money: tuple[MoneyEffect, ...] = ()
    customer: str = ""


class PassedOver(BaseModel, frozen=True):
    """A place that is not offered as a way out, and why not, in a sentence."""

    location: str
    name: str
    distance_km: float | None
    why_not: str


class CaseOption(BaseModel, frozen=True):
    """A way out, as it is offered.

    `rank` 1 is recommended, with `because`; `confirms` are statements that the person must make ("agreed by phone"),
    `choices` what they must say themselves ("root cause").
    """

    id: str
    label: str
    parameters: dict[str, str | int | bool | None] = {}
    consequence: Consequence = Consequence()
    allowed: bool = True
    needs_approval: bool = False
    why_not: str | None = None
    rank: int = 99
    because: str = ""
    confirms: tuple[str, ...] = ()
    # What the person must choose along with it: parameter → the words to choose from.
    choices: dict[str, tuple[str, ...]] = {}
    reversible: bool = False
