"""The fraud score of a return: a sum of terms, each with its evidence, shown to people. It asks for a look, and never
refuses anything.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

Band = Literal["low", "elevated", "high"]


class FraudPolicy(BaseModel):
    """Points of each term, and the sum from which a return is looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    no_receipt: int = Field(25, ge=0)
    unknown_units: int = Field(25, ge=0)  # came back and were not bought there
    often: int = Field(20, ge=0)
    often_permille: int = Field(400, ge=0)  # of the units bought in the look-back
    often_least: int = Field(5, ge=1)  # units bought, below which a rate says nothing
    value: int = Field(15, ge=0)
    value_minor: int = Field(30_000, ge=0)
    last_days: int = Field(10, ge=0)
    last_days_count: int = Field(2, ge=0)
    serial: int = Field(40, ge=0)
    elevated: int = Field(40, ge=1)
    high: int = Field(70, ge=1)

    @model_validator(mode="after")
    def _high_is_above(self) -> "FraudPolicy":
        if self.high < self.elevated:
            raise ValueError("the band high does not begin below elevated")
        return self


class Evidence(NamedTuple):
    """What is known of a return. Units are of the customer's last ninety days; None where nobody knows the customer."""

    has_receipt: bool
    value_minor: int
    unknown_units: int = 0
    bought: int | None = None
    returned: int | None = None
    days_left: int | None = None  # of the window
    serials_expected: tuple[str, ...] = ()
    serials_claimed: tuple[str, ...] = ()


class Term(BaseModel, frozen=True):
    """One term of the score with its evidence."""

    term: str
    points: int
    why: str


def terms_of(evidence: Evidence, policy: FraudPolicy) -> tuple[Term, ...]:
    """The terms that apply; without any the score is 0."""
    found = []
    if not evidence.has_receipt:
        found.append(Term(term="no_receipt", points=policy.no_receipt, why="no proof of purchase"))
    if evidence.unknown_units:
        why = f"{evidence.unknown_units} of the units that came back were not bought on this receipt"
        found.append(Term(term="unknown_units", points=policy.unknown_units, why=why))
    if evidence.bought is not None and evidence.returned is not None and evidence.bought >= policy.often_least:
        rate = evidence.returned * 1000 // evidence.bought
        if rate >= policy.often_permille:
            why = f"brought back {evidence.returned} of {evidence.bought} units of the last 90 days"
            found.append(Term(term="return_rate", points=policy.often, why=why))
    if evidence.value_minor >= policy.value_minor:
        found.append(Term(term="value", points=policy.value, why="worth more than most returns"))
    if evidence.days_left is not None and 0 <= evidence.days_left < policy.last_days_count:
        why = "on the last day of the window" if not evidence.days_left else f"{evidence.days_left} d before its end"
        found.append(Term(term="timing", points=policy.last_days, why=why))
    strange = sorted(set(evidence.serials_claimed) - set(evidence.serials_expected))
    if evidence.serials_expected and strange:
        why = f"serial {', '.join(strange)} was not sold on this receipt"
        found.append(Term(term="serial_mismatch", points=policy.serial, why=why))
    return tuple(term for term in found if term.points)


def band_of(terms: Sequence[Term], policy: FraudPolicy) -> Band:
    points = sum(term.points for term in terms)
    if points >= policy.high:
        return "high"
    return "elevated" if points >= policy.elevated else "low"
