"""What a case snapshots for the person who decides: one type for each shape, and which kind of case has which.

Facts are frozen when a case opens. A page shows them with the partial of their type; what an older release wrote in
another shape is shown as it stands. Money in minor units of the case's currency, quantities in an item's base unit.
Those about a journey are in `<noun>_case_facts`; here are those of places, items, systems, and journeys of any kind.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.bopis_case_facts import BOPIS_FACTS
from domain.case_fact import Facts
from domain.claim_case_facts import CLAIM_FACTS
from domain.count_case_facts import COUNT_FACTS
from domain.promotion_case_facts import PROMOTION_FACTS
from domain.return_case_facts import RETURN_FACTS
from domain.transfer_case_facts import TRANSFER_FACTS


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


class StuckFacts(Facts):
    """A journey of any kind that was suspended; beside these stands its key under the word of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow")
    partial = "stuck.html"
    state: str
    reason: str | None


class UndeliveredFacts(Facts):
    partial = "undelivered.html"
    target: str
    error: str


class OtherFacts(Facts):
    """Facts without a shape of their own: they are shown name by name."""

    model_config = ConfigDict(frozen=True, extra="allow")
    partial = "other.html"


FACTS: dict[str, type[Facts]] = {
    **BOPIS_FACTS,
    **COUNT_FACTS,
    **TRANSFER_FACTS,
    **RETURN_FACTS,
    **PROMOTION_FACTS,
    **CLAIM_FACTS,
    "place_closed": ClosureFacts,
    "negative_inventory": BelowZeroFacts,
    "event_rejected": EventFacts,
    "event_parked": OtherFacts,
    "adjustment_review": AdjustmentFacts,
    "webhook_failing": WebhookFacts,
    "posting_failed": OtherFacts,
    "journey_stuck": StuckFacts,
    "delivery_stuck": UndeliveredFacts,
}


def facts_of(kind: str, snapshot: Mapping[str, Any]) -> Facts | None:
    """The snapshot of a case in the type of its kind; None where it was written in another shape."""
    try:
        return FACTS.get(kind, OtherFacts).model_validate(snapshot)
    except ValidationError:
        return None
