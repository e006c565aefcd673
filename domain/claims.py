"""Claims against vendors as vendors, banks and systems answer them, and as they are read."""

from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, model_validator

from domain.funding import Amount
from domain.orders import MAX_MINOR, Body, Code, Name

Settlement = Literal["cash", "deduction"]
SignedMinor = Annotated[int, Field(strict=True, ge=-MAX_MINOR, le=MAX_MINOR)]


class ClaimReference(Body):
    """A claim is named by its number or by its journey's id; `claim_source` says whose number it is."""

    claim_id: Annotated[str, Field(min_length=1, max_length=200)]
    claim_source: Code | None = None


class AnsweredLine(Body):
    """What the vendor accepts of a line; below zero for a line that gives money back."""

    line_id: Code
    accepted_minor: SignedMinor
    reason: Name = ""


def _told_apart(lines: tuple[AnsweredLine, ...] | None) -> None:
    ids = [line.line_id for line in lines or ()]
    if len(set(ids)) < len(ids):
        raise ValueError("two lines have the same line_id; give each line one answer")


class ClaimAnswer(Body):
    """A vendor's answer. `lines: null` accepts all that was claimed; else every line that has no answer yet needs one.
    `settlement`: the vendor pays, or what it accepts is taken off what it is owed.
    """

    lines: Annotated[tuple[AnsweredLine, ...], Field(min_length=1, max_length=20_000)] | None = None
    settlement: Settlement
    reference: Name = ""

    @model_validator(mode="after")
    def _lines(self) -> "ClaimAnswer":
        _told_apart(self.lines)
        return self


class ClaimPayment(Body):
    """Money for a claim has come, or was taken off what the vendor is owed."""

    amount_minor: Amount
    settlement: Settlement
    reference: Name = ""


class ClaimAnswered(ClaimReference, ClaimAnswer):
    """A vendor has answered."""


class ClaimSettled(ClaimReference, ClaimPayment):
    """Money for a claim is there."""


class ClaimSent(ClaimReference):
    """Somebody has handed a claim to a vendor that has no address for mail."""

    reference: Name = ""


FACTS: dict[str, type[Body]] = {"claim.settled": ClaimSettled}
REQUESTS: dict[str, type[Body]] = {"claim.answered": ClaimAnswered, "claim.sent": ClaimSent}


class ClaimLineView(BaseModel):
    """`short_minor` is neither accepted nor given up; null while the vendor has not answered."""

    line_id: str
    promotion_id: str
    sku: str | None
    units: int
    amount_minor: int
    accepted_minor: int | None
    released_minor: int
    written_off_minor: int
    reclaimed_minor: int
    short_minor: int | None
    reason: str


class ClaimView(BaseModel):
    """A claim with its lines. `open_minor` is what the vendor still owes of it; 0 before it was sent."""

    journey_id: str
    claim_id: str
    source: str
    state: str
    kind: str
    agreement_id: str
    agreement_number: str
    agreement_document: str
    entity: str
    vendor: str
    vendor_name: str
    claims_email: str
    currency: str
    amount_minor: int
    accepted_minor: int
    settled_minor: int
    released_minor: int
    written_off_minor: int
    reclaimed_minor: int
    open_minor: int
    settlement: str | None
    reference: str
    disputes: int
    frozen_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    settled_at: datetime | None
    closed_at: datetime | None
    dues: dict[str, datetime]
    case_id: int | None
    approval_id: int | None
    lines: list[ClaimLineView]
    links: dict[str, Any] = {}


class Proof(NamedTuple):
    """A sale, or a return, that a line of a claim was frozen from; `document` is its receipt or its order."""

    line_id: str
    at: datetime
    location: str
    document: str
    sku: str
    kind: str
    units: int
    amount_minor: int
