"""What a case snapshots for the person who decides: one type for each shape, and which kind of case has which.

Facts are frozen when a case opens. A page shows them with the partial of their type; what an older release wrote in
another shape is shown as it stands. Money in minor units of the case's currency, quantities in an item's base unit.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, override

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.case_fact import Facts
from domain.promotion_case_facts import PROMOTION_FACTS
from domain.return_case_facts import (
    DisputeFacts,
    MismatchFacts,
    NoReceiptFacts,
    NotReceivedFacts,
    OverrideFacts,
    ReturnReviewFacts,
    UninspectedFacts,
    VendorCreditFacts,
)


class Missing(BaseModel, frozen=True):
    line_id: str
    sku: str
    name: str
    ordered: int
    missing: int
    unit_price_minor: int


class NearBy(BaseModel, frozen=True):
    """Stock at a place of the region when the case opened."""

    location: str
    name: str
    sku: str
    available: int
    confidence_permille: int


class AskedBefore(BaseModel, frozen=True):
    offered: str
    answer: str
    became: str
    at: datetime


class WayOutFacts(Facts):
    """An order that cannot be kept as it is: what is missing, and what is near by."""

    partial = "way_out.html"
    order: str
    channel: str
    failure: str | None
    promised_at: datetime | None
    seen_at: datetime
    missing: tuple[Missing, ...]
    near_by: tuple[NearBy, ...]
    customer_was_asked: tuple[AskedBefore, ...] = ()


class LateFacts(Facts):
    """An order for which something was not done in time; `units` are those that it concerns."""

    partial = "late.html"
    order: str
    units: int


class PutAwayFacts(Facts):
    partial = "put_away.html"
    order: str
    units: Mapping[str, int]  # by line


class ArrivedFacts(Facts):
    partial = "arrived.html"
    order: str
    bay: str | None
    arrived_at: datetime | None
    state: str


class AgeFacts(Facts):
    partial = "age.html"
    order: str
    goods: tuple[str, ...]


class AfterCloseFacts(Facts):
    partial = "after_close.html"
    order: str
    state: str
    what: str


class RefundFacts(Facts):
    partial = "refund.html"
    order: str
    refund_minor: int


class PaymentFacts(Facts):
    partial = "payment.html"
    order: str
    operation_id: str
    tender: str
    error: str


class ClosureFacts(Facts):
    partial = "closure.html"
    status: str
    starts_at: datetime
    ends_at: datetime | None
    reason: str
    open_orders: int
    not_picked_yet: int
    orders: tuple[str, ...]


class BelowZeroFacts(Facts):
    partial = "below_zero.html"
    sku: str
    available: int
    since: datetime
    count: str | None


class Problem(BaseModel, frozen=True, extra="allow"):
    code: str
    detail: str


class EventFacts(Facts):
    partial = "event.html"
    source: str
    event_id: str
    type: str
    problem: Problem


class AdjustmentFacts(Facts):
    partial = "adjustment.html"
    sku: str
    quantity: int
    reason: str
    actor: str
    cost_minor: int
    needs: str


class WebhookFacts(Facts):
    partial = "webhook.html"
    webhook: str
    source: str
    failing_since: datetime
    why: str
    last_error: str


class FeedFacts(Facts):
    partial = "feed.html"
    count: str
    counted_at: datetime
    waits_since: datetime
    told_until: datetime | None


class Differs(BaseModel, frozen=True):
    """A line of a count; `first_count` is what somebody else has counted before."""

    sku: str
    name: str
    book: int
    counted: int
    difference: int
    first_count: int | None
    value_minor: int


class Moved(BaseModel, frozen=True):
    at: datetime
    sku: str
    what: str
    because: str


class VarianceFacts(Facts):
    partial = "variance.html"
    count: str
    reason: str
    needs: str
    chronic: tuple[str, ...]
    lines: tuple[Differs, ...]
    movements: tuple[Moved, ...]


class CountLateFacts(Facts):
    partial = "count_late.html"
    count: str
    reason: str
    units_that_wait: int


class StuckFacts(Facts):
    """A journey of any kind that was suspended; beside these stands its key under the word of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow")
    partial = "stuck.html"
    state: str
    reason: str | None


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

    @property
    @override
    def places_named(self) -> frozenset[str]:
        return frozenset([*(line.at for line in self.lines), *(one.at for one in self.counted)])


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


class UndeliveredFacts(Facts):
    partial = "undelivered.html"
    target: str
    error: str


class OtherFacts(Facts):
    """Facts without a shape of their own: they are shown name by name."""

    model_config = ConfigDict(frozen=True, extra="allow")
    partial = "other.html"


FACTS: dict[str, type[Facts]] = {
    "reservation_failure": WayOutFacts,
    "reservation_lost": WayOutFacts,
    "sale_stopped": WayOutFacts,
    "pick_short": WayOutFacts,
    "pick_overdue": LateFacts,
    "shipment_overdue": LateFacts,
    "handed_over_unpaid": LateFacts,
    "order_at_closed_place": LateFacts,
    "put_away_overdue": PutAwayFacts,
    "customer_waiting": ArrivedFacts,
    "age_not_checked": AgeFacts,
    "fact_after_close": AfterCloseFacts,
    "refund_review": RefundFacts,
    "refund_failed": PaymentFacts,
    "capture_failed": PaymentFacts,
    "place_closed": ClosureFacts,
    "negative_inventory": BelowZeroFacts,
    "event_rejected": EventFacts,
    "event_parked": OtherFacts,
    "adjustment_review": AdjustmentFacts,
    "webhook_failing": WebhookFacts,
    "posting_failed": OtherFacts,
    "sync_gap": FeedFacts,
    "count_variance": VarianceFacts,
    "count_overdue": CountLateFacts,
    "return_review": ReturnReviewFacts,
    "return_no_receipt": NoReceiptFacts,
    "return_mismatch": MismatchFacts,
    "return_disputed": DisputeFacts,
    "return_uninspected": UninspectedFacts,
    "return_not_received": NotReceivedFacts,
    "disposition_override": OverrideFacts,
    "vendor_credit_overdue": VendorCreditFacts,
    "transfer_short": TransferFacts,
    "transfer_over": TransferFacts,
    "transfer_misship": TransferFacts,
    "transfer_damage": TransferFacts,
    "transfer_shipment_overdue": TransferLateFacts,
    "receipt_overdue": TransferLateFacts,
    "transfer_cancelled": TransferLateFacts,
    "transfer_unagreed": TransferLateFacts,
    **PROMOTION_FACTS,
    "claim_short_paid": ClaimShortFacts,
    "claim_rejected": ClaimShortFacts,
    "claim_overdue": ClaimLateFacts,
    "journey_stuck": StuckFacts,
    "delivery_stuck": UndeliveredFacts,
}


def facts_of(kind: str, snapshot: Mapping[str, Any]) -> Facts | None:
    """The snapshot of a case in the type of its kind; None where it was written in another shape."""
    try:
        return FACTS.get(kind, OtherFacts).model_validate(snapshot)
    except ValidationError:
        return None
