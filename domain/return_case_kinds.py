"""The kinds of cases about returns."""

from domain.case_kind import CaseKind

RETURN_KINDS = (
    CaseKind(
        kind="return_review",
        title="Refund to look at before it is paid",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "The goods are here and the refund waits. Read the terms of the score: none of them proves anything. Pay, "
            "pay as a credit, or decline and send the goods back; above the limit somebody else must agree."
        ),
    ),
    CaseKind(
        kind="return_no_receipt",
        title="Return without a receipt",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Nothing proves where it was bought. Look for the sale by card or customer; take it back as a credit at "
            "the lowest price, or decline."
        ),
    ),
    CaseKind(
        kind="return_mismatch",
        title="Another return than was announced",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "What came is booked as it came, and waits for its inspection. Compare with the announcement, ask the "
            "customer about what is missing, and look again at the refund where it was paid before."
        ),
    ),
    CaseKind(
        kind="return_disputed",
        title="A customer has written about a return",
        severity="medium",
        owner_role="regional_ops",
        runbook="Read what they wrote, look at the photos of both sides. Say why it stays, or put right what was not.",
    ),
    CaseKind(
        kind="return_uninspected",
        title="Returned goods not inspected",
        severity="low",
        owner_role="store_manager",
        runbook="The goods stand in returns and cannot be sold; a refund may wait for them. Have them looked at.",
    ),
    CaseKind(
        kind="return_not_received",
        title="Refunded, and the goods did not come",
        severity="medium",
        owner_role="regional_ops",
        runbook="The refund was paid before the goods were here. Ask the carrier and the customer, or accept the loss.",
    ),
    CaseKind(
        kind="disposition_override",
        title="Another disposition than the rule proposes",
        severity="low",
        owner_role="regional_ops",
        runbook="The goods wait until it is decided: they go as they were inspected, or as the rule proposes.",
    ),
    CaseKind(
        kind="vendor_credit_overdue",
        title="Vendor has not credited a return",
        severity="low",
        owner_role="regional_ops",
        ladder=("regional_ops", "finance", "admin"),
        runbook=(
            "Goods went back to their vendor and its credit has not come, or not all of it. Ask the vendor and wait "
            "again, or give up what is open; above the limit finance must agree."
        ),
    ),
)
