"""Cases: how one changes state, how urgent it is, and what ways out it offers. Their kinds are in `case_kinds`."""

import hashlib
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
DECISION_STATES = ("applying", "awaiting_approval", "applied", "refused", "undone")
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


def mark(option: CaseOption) -> str:
    """A mark of what a way out would do, carried by the page that shows it: by the same name it may mean something else
    when it is chosen.
    """
    what = option.model_dump_json(include={"parameters", "consequence", "needs_approval"})
    return f"{option.id}#{hashlib.sha256(what.encode()).hexdigest()[:16]}"
