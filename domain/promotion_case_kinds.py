"""The kinds of cases about promotions."""

from domain.case_kind import CaseKind

PROMOTION_KINDS = (
    CaseKind(
        kind="promo_price_conflict",
        title="Channel shows wrong prices",
        severity="high",
        owner_role="merchandiser",
        ladder=("regional_ops", "integration_owner", "admin"),
        runbook=(
            "A channel does not show the prices of a promotion, or still shows them after its end. It is tried again "
            "by itself; find out whether the channel is away, refuses, or says yes and shows something else."
        ),
    ),
    CaseKind(
        kind="promo_override",
        title="Promoted prices set at the till",
        severity="medium",
        owner_role="merchandiser",
        ladder=("regional_ops", "admin"),
        runbook=(
            "Tills sell many promoted units at a price that somebody has typed in. Compare the shelf's label with the "
            "till's price at the places named; most often one of the two is wrong."
        ),
    ),
    CaseKind(
        kind="promo_exposure",
        title="Promotion nears its limit",
        severity="medium",
        owner_role="finance",
        ladder=("finance", "admin"),
        runbook=(
            "A running promotion earns hardly more than its floor, or its vendor's cap is nearly used up: what is sold "
            "beyond it is ours to pay. Agree more with the vendor, go on knowingly, or end it."
        ),
    ),
)
