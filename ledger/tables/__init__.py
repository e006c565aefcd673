"""Every table of Endcap, as SQLAlchemy Core metadata, grouped by what the rows mean.

The constraints here are the first line of truth about stock and money; code comes second.
"""

from ledger.tables.adjustments import adjustment, adjustment_line
from ledger.tables.asking import (
    approval,
    approval_side,
    approval_verdict,
    band_use,
    bulk,
    bulk_item,
    case_decision,
    case_event,
    case_file,
    case_parent,
    pinned_story,
)
from ledger.tables.base import metadata
from ledger.tables.comments import canned_reply, mention
from ledger.tables.counts import count_entry, count_line, feed_mark
from ledger.tables.funding import claim, claim_line, funded_promotion, funding_accrual, funding_agreement
from ledger.tables.journeys import journey, journey_line, journey_step, policy_copy
from ledger.tables.links import link, offer
from ledger.tables.money import (
    average_cost,
    journal,
    journal_line,
    payment,
    payment_operation,
    sale_line,
)
from ledger.tables.people import (
    api_key,
    credential,
    customer,
    delegation,
    person,
    person_alias,
    person_note,
    person_role,
    saved_view,
    session,
)
from ledger.tables.photos import photo
from ledger.tables.plumbing import audit, event_inbox, idempotency, mail, outbox, outbox_counter, temporal_home
from ledger.tables.promotions import (
    price_publication,
    promotion,
    promotion_item,
    promotion_line,
    promotion_place,
    publication,
)
from ledger.tables.reference import (
    closed_day,
    entity,
    item,
    item_price,
    item_stop,
    location,
    location_status,
    opening_hours,
    policy_document,
    region,
    substitute,
)
from ledger.tables.returns import return_disposition, return_line
from ledger.tables.stock import below_zero, hold, movement, stock, waiting_demand
from ledger.tables.transfers import awaited, carrier_claim, transfer, transfer_extra, transfer_line, transfer_parcel
from ledger.tables.vendor_returns import vendor_return, vendor_return_line
from ledger.tables.webhooks import webhook_delivery, webhook_endpoint

__all__ = [
    "adjustment",
    "adjustment_line",
    "api_key",
    "approval",
    "approval_side",
    "approval_verdict",
    "audit",
    "average_cost",
    "awaited",
    "band_use",
    "below_zero",
    "bulk",
    "bulk_item",
    "canned_reply",
    "carrier_claim",
    "case_decision",
    "case_event",
    "case_file",
    "case_parent",
    "claim",
    "claim_line",
    "closed_day",
    "count_entry",
    "count_line",
    "credential",
    "customer",
    "delegation",
    "entity",
    "event_inbox",
    "feed_mark",
    "funded_promotion",
    "funding_accrual",
    "funding_agreement",
    "hold",
    "idempotency",
    "item",
    "item_price",
    "item_stop",
    "journal",
    "journal_line",
    "journey",
    "journey_line",
    "journey_step",
    "link",
    "location",
    "location_status",
    "mail",
    "mention",
    "metadata",
    "movement",
    "offer",
    "opening_hours",
    "outbox",
    "outbox_counter",
    "payment",
    "payment_operation",
    "person",
    "person_alias",
    "person_note",
    "person_role",
    "photo",
    "pinned_story",
    "policy_copy",
    "policy_document",
    "price_publication",
    "promotion",
    "promotion_item",
    "promotion_line",
    "promotion_place",
    "publication",
    "region",
    "return_disposition",
    "return_line",
    "sale_line",
    "saved_view",
    "session",
    "stock",
    "substitute",
    "temporal_home",
    "transfer",
    "transfer_extra",
    "transfer_line",
    "transfer_parcel",
    "vendor_return",
    "vendor_return_line",
    "waiting_demand",
    "webhook_delivery",
    "webhook_endpoint",
]
