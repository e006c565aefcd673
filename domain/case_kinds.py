"""The kinds of cases: what can break, who owns it, whom the ladder asks next, and what to do about it."""

from domain.case_kind import CaseKind
from domain.promotion_case_kinds import PROMOTION_KINDS
from domain.return_case_kinds import RETURN_KINDS
from domain.transfer_case_kinds import TRANSFER_KINDS

_KINDS = (
    CaseKind(
        kind="reservation_failure",
        title="Reservation failed",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "Look for the unit at a near-by store first; the customer keeps the promise that way. Agree a change "
            "of place with the customer before you choose it."
        ),
    ),
    CaseKind(
        kind="reservation_lost",
        title="Promised unit is gone",
        severity="critical",
        owner_role="regional_ops",
        runbook=(
            "The unit was promised and has left the shelf. The customer has not been told: choose the way out "
            "that keeps the promise, then tell them."
        ),
    ),
    CaseKind(
        kind="sale_stopped",
        title="Promised item was stopped from sale",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "The item must not be sold, and the customer was promised some. Offer something else or the money back; "
            "where the stop is lifted soon, the order gets the goods by itself."
        ),
    ),
    CaseKind(
        kind="pick_short",
        title="Picked short",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "The store looked and did not find it. What the reason code took out of stock is counted next; do "
            "not send the picker twice."
        ),
    ),
    CaseKind(
        kind="pick_overdue",
        title="Pick overdue",
        severity="medium",
        owner_role="store_manager",
        runbook="Call the store. If it cannot pick before the promise, move the order.",
    ),
    CaseKind(
        kind="fact_after_close",
        title="Goods moved after the order was closed",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "Goods left the store on an order that was cancelled or expired. Charge again with the customer's "
            "word, accept the loss, or correct the report."
        ),
    ),
    CaseKind(
        kind="place_closed",
        title="Place closed with open orders",
        severity="high",
        owner_role="regional_ops",
        runbook=(
            "Customers were told, and their windows are longer by the time it is closed. Where that takes too long, "
            "have each order looked at: what is not picked yet can go to another store, if its customer agrees."
        ),
    ),
    CaseKind(
        kind="order_at_closed_place",
        title="Order at a closed place",
        severity="medium",
        owner_role="regional_ops",
        runbook="Ask the customer: another store now, this one when it opens again, or the money back.",
    ),
    CaseKind(
        kind="customer_waiting",
        title="Customer waits outside",
        severity="high",
        owner_role="store_manager",
        runbook="The customer has arrived at the curb, and nothing was handed over. Call the store.",
    ),
    CaseKind(
        kind="shipment_overdue",
        title="Shipment overdue",
        severity="medium",
        owner_role="regional_ops",
        runbook="The order was to be sent to the customer's address and has not left. Call the warehouse.",
    ),
    CaseKind(
        kind="age_not_checked",
        title="Age not checked at hand-over",
        severity="medium",
        owner_role="store_manager",
        runbook="Goods with an age limit left, and no check of the customer's age is recorded. Ask the store.",
    ),
    CaseKind(
        kind="put_away_overdue",
        title="Put-away overdue",
        severity="low",
        owner_role="store_manager",
        runbook=(
            "Goods of a cancelled or expired pickup still stand in staging. Have them put back; they cannot be "
            "sold there."
        ),
    ),
    CaseKind(
        kind="refund_failed",
        title="Refund failed",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook="The provider declined or did not answer. Try again, or pay out by hand and record it.",
    ),
    CaseKind(
        kind="capture_failed",
        title="Payment could not be captured",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "Hand-over is blocked until the payment is captured. Ask the customer for another tender or cancel "
            "the order."
        ),
    ),
    CaseKind(
        kind="handed_over_unpaid",
        title="Handed over before it was paid",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "The provider had declined, and the goods have left all the same. It is asked once more by itself; "
            "otherwise ask the customer to pay, or accept the loss."
        ),
    ),
    CaseKind(
        kind="refund_review",
        title="Large refund to look at",
        severity="low",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook="The refund was owed and is paid. Look whether its cause should have been seen earlier.",
    ),
    CaseKind(
        kind="negative_inventory",
        title="Negative stock",
        severity="medium",
        owner_role="regional_ops",
        runbook="The till sold more than the book had. Have the shelf counted; a missing receipt is the usual cause.",
    ),
    CaseKind(
        kind="event_rejected",
        title="Event could not be understood",
        severity="medium",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook=(
            "A system reported something about goods or places that Endcap does not know. Mend the master data, "
            "then replay the event."
        ),
    ),
    CaseKind(
        kind="event_parked",
        title="Event waits for its order",
        severity="low",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook="A report names an order that has not arrived. It is applied by itself when the order comes.",
    ),
    CaseKind(
        kind="adjustment_review",
        title="Large adjustment to review",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Units said to be lost are parked as count pending. Confirm the report, have it counted, or undo it; "
            "whoever reported it cannot confirm it."
        ),
    ),
    CaseKind(
        kind="webhook_failing",
        title="A webhook was disabled",
        severity="medium",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook=(
            "The system behind the webhook has accepted nothing for days, or says that it is gone. Mend it with its "
            "owner, then enable the webhook: what waits is sent. The page Webhooks shows each delivery."
        ),
    ),
    CaseKind(
        kind="posting_failed",
        title="Could not be posted",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook="The reason says what is missing. Mend it and run the posting again; a second run does nothing twice.",
    ),
    CaseKind(
        kind="sync_gap",
        title="A feed is silent",
        severity="medium",
        owner_role="integration_owner",
        ladder=("integration_owner", "admin"),
        runbook=(
            "A count waits for what the store's till sold before it. Bring the feed back; post without it only when "
            "you know that nothing is missing."
        ),
    ),
    CaseKind(
        kind="count_variance",
        title="Count differs from the book",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Look at yesterday's movements first: a delivery or a transfer that nobody booked explains most "
            "differences. Post what you believe, with its cause, or have it counted again by somebody else."
        ),
    ),
    CaseKind(
        kind="count_overdue",
        title="Count overdue",
        severity="low",
        owner_role="store_manager",
        runbook="Nobody has handed in this count in time. Units that wait for it cannot be sold until it is done.",
    ),
    *RETURN_KINDS,
    *TRANSFER_KINDS,
    *PROMOTION_KINDS,
    CaseKind(
        kind="claim_short_paid",
        title="Vendor accepts less than was claimed",
        severity="medium",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "Read the vendor's reason line by line. Dispute what the receipts prove; claim again what it has put into "
            "the wrong period; release what was accrued too much."
        ),
    ),
    CaseKind(
        kind="claim_rejected",
        title="Vendor rejects a claim",
        severity="high",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "Nothing of the claim is accepted. Look at the signed agreement first: its number, its dates, its cap. "
            "Where it stands, send the proof before anything is written off."
        ),
    ),
    CaseKind(
        kind="claim_overdue",
        title="Vendor is silent about a claim",
        severity="medium",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "The claim was not handed over, answered or paid in time. Ask the vendor once; what it owes can be taken "
            "off what it is owed where the agreement allows it."
        ),
    ),
    CaseKind(
        kind="journey_stuck",
        title="A journey could not go on",
        severity="critical",
        owner_role="admin",
        ladder=("admin",),
        runbook=(
            "An unexpected failure suspended the journey; nothing is lost. Resume it when the cause is mended, "
            "or end it with everything undone."
        ),
    ),
    CaseKind(
        kind="delivery_stuck",
        title="A message could not be delivered",
        severity="critical",
        owner_role="admin",
        ladder=("admin",),
        runbook="See that the Temporal server answers. Delivery goes on by itself and in order once it does.",
    ),
)

KINDS: dict[str, CaseKind] = {kind.kind: kind for kind in _KINDS}
