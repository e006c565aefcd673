"""What the cases about claims against vendors snapshot for the person who decides. Money in minor units."""

from datetime import datetime

from pydantic import BaseModel

from domain.case_fact import Facts


class ShortLine(BaseModel, frozen=True):
    """A line of a claim of which the vendor has not accepted all; `reason` is its own."""

    line_id: str
    promotion_id: str
    sku: str | None
    units: int
    claimed_minor: int
    short_minor: int
    reason: str


class ClaimShortFacts(Facts):
    """A claim that the vendor does not accept as it is. Of many lines the first stand here."""

    partial = "claim_short.html"
    claim: str
    vendor: str
    agreement: str
    document: str
    claimed_minor: int
    accepted_minor: int
    short_minor: int
    disputes: int
    lines: tuple[ShortLine, ...]
    more_lines: int


class ClaimLateFacts(Facts):
    """A claim that was not handed over, answered or paid in time; `waits_for` is sent, answer or payment."""

    partial = "claim_late.html"
    claim: str
    vendor: str
    agreement: str
    waits_for: str
    open_minor: int
    claimed_minor: int
    sent_at: datetime | None
    answered_at: datetime | None
    claims_email: str


CLAIM_FACTS: dict[str, type[Facts]] = {
    "claim_short_paid": ClaimShortFacts,
    "claim_rejected": ClaimShortFacts,
    "claim_overdue": ClaimLateFacts,
}
