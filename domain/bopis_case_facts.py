"""What the cases about orders for pickup snapshot for the person who decides. Money in minor units."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel

from domain.case_fact import Facts


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


BOPIS_FACTS: dict[str, type[Facts]] = {
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
}
