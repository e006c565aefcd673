"""What the cases about store transfers snapshot for the person who decides. Money in minor units at cost."""

from datetime import datetime

from pydantic import BaseModel

from domain.case_fact import Facts


class DiffersOnTheWay(BaseModel, frozen=True):
    """What differs on a line of a transfer: `what` is a phrase ("did not come"), `of` how many were sent."""

    line_id: str
    sku: str
    name: str
    what: str
    at: str
    units: int
    of: int
    value_minor: int


class CountedSince(BaseModel, frozen=True):
    """What a count has posted that was opened because of a transfer; `more` than the book, or less."""

    count: str
    at: str
    sku: str
    name: str
    counted: int
    more: int


class TransferFacts(Facts):
    """What came of a transfer against what was sent. `counts` are those that were opened because of it, `counted` what
    they have posted.
    """

    partial = "transfer.html"
    transfer: str
    source: str
    destination: str
    reason: str
    carrier: str | None
    tracking: str | None
    counts: tuple[str, ...]
    lines: tuple[DiffersOnTheWay, ...]
    counted: tuple[CountedSince, ...] = ()


class TransferLateFacts(Facts):
    """A transfer that was not sent, or did not come, in time, or was called off on its way."""

    partial = "transfer_late.html"
    transfer: str
    source: str
    destination: str
    units: int
    value_minor: int
    carrier: str | None = None
    tracking: str | None = None
    expected_at: datetime | None = None
    needed_by: datetime | None = None
    reason: str | None = None


TRANSFER_FACTS: dict[str, type[Facts]] = {
    "transfer_short": TransferFacts,
    "transfer_over": TransferFacts,
    "transfer_misship": TransferFacts,
    "transfer_damage": TransferFacts,
    "transfer_shipment_overdue": TransferLateFacts,
    "receipt_overdue": TransferLateFacts,
    "transfer_cancelled": TransferLateFacts,
    "transfer_unagreed": TransferLateFacts,
}
