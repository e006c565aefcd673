"""What the cases about returns snapshot for the person who decides. Money in minor units, quantities in base units."""

from datetime import datetime

from pydantic import BaseModel

from domain.case_fact import Facts


class ScoreTerm(BaseModel, frozen=True):
    term: str
    points: int
    why: str


class ReturnReviewFacts(Facts):
    """A refund that waits for a look, with the terms of the score that asked for it."""

    partial = "return_review.html"
    return_id: str
    order: str | None
    score: int
    band: str
    terms: tuple[ScoreTerm, ...]
    refund_minor: int
    fee_minor: int
    clawed_minor: int


class Unproven(BaseModel, frozen=True):
    sku: str
    units: int


class NoReceiptFacts(Facts):
    partial = "return_no_receipt.html"
    return_id: str
    lines: tuple[Unproven, ...]
    value_minor: int


class MismatchFacts(Facts):
    """What differs from the announcement, in sentences."""

    partial = "return_mismatch.html"
    return_id: str
    order: str | None
    label: str | None
    differences: tuple[str, ...]


class DisputeFacts(Facts):
    """How a return stood when its customer wrote; units that were declined, and that policy had refused."""

    partial = "return_disputed.html"
    return_id: str
    order: str | None
    declined: int
    refused: int
    fee_minor: int
    refunded_minor: int


class UninspectedFacts(Facts):
    partial = "return_uninspected.html"
    return_id: str
    units: int


class NotReceivedFacts(Facts):
    partial = "return_not_received.html"
    return_id: str
    label: str | None
    refunded_minor: int


class Inspected(BaseModel, frozen=True):
    sku: str
    quantity: int
    condition: str
    proposed: str
    disposition: str
    reason: str


class OverrideFacts(Facts):
    partial = "disposition_override.html"
    return_id: str
    inspected: tuple[Inspected, ...]


class VendorCreditFacts(Facts):
    """What a vendor owes for goods that went back to it; `vendor_return` is the document's whole id, `key` its own."""

    partial = "vendor_credit.html"
    vendor_return: str
    key: str
    vendor: str
    authorization: str
    cost_minor: int
    credited_minor: int
    open_minor: int
    shipped_at: datetime
    due_at: datetime


RETURN_FACTS: dict[str, type[Facts]] = {
    "return_review": ReturnReviewFacts,
    "return_no_receipt": NoReceiptFacts,
    "return_mismatch": MismatchFacts,
    "return_disputed": DisputeFacts,
    "return_uninspected": UninspectedFacts,
    "return_not_received": NotReceivedFacts,
    "disposition_override": OverrideFacts,
    "vendor_credit_overdue": VendorCreditFacts,
}
