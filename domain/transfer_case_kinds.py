"""The kinds of cases about store transfers."""

from domain.case_kind import CaseKind

TRANSFER_KINDS = (
    CaseKind(
        kind="transfer_short",
        title="Transfer came short",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Less came than was sent. A second parcel or goods put away without a scan explain most; have the shelf "
            "counted before you write anything off. What a carrier signed for is claimed from it."
        ),
    ),
    CaseKind(
        kind="transfer_over",
        title="Transfer brought too much",
        severity="medium",
        owner_role="regional_ops",
        runbook="More came than was sent. The source's book is too high by as much: have it counted, then book it.",
    ),
    CaseKind(
        kind="transfer_misship",
        title="Transfer brought something else",
        severity="medium",
        owner_role="regional_ops",
        runbook=(
            "Another item came, or another store received it. Settle what came first; what is missing of the right "
            "item is asked about next."
        ),
    ),
    CaseKind(
        kind="transfer_damage",
        title="Transfer came damaged",
        severity="medium",
        owner_role="regional_ops",
        runbook="The goods are written down already. Claim them from the carrier within its time, with photos.",
    ),
    CaseKind(
        kind="transfer_shipment_overdue",
        title="Transfer not sent",
        severity="medium",
        owner_role="store_manager",
        runbook="The goods are reserved and have not left. Call the source; what it cannot send, release.",
    ),
    CaseKind(
        kind="receipt_overdue",
        title="Transfer not received",
        severity="medium",
        owner_role="regional_ops",
        runbook="The goods have left and have not come. Chase the carrier by the tracking number before anything else.",
    ),
    CaseKind(
        kind="transfer_cancelled",
        title="Transfer called off on its way",
        severity="medium",
        owner_role="regional_ops",
        runbook="The goods are with the carrier. Bring them back, let them come, or write them off; nothing else.",
    ),
    CaseKind(
        kind="transfer_unagreed",
        title="Goods left before anybody agreed",
        severity="high",
        owner_role="regional_ops",
        runbook="The transfer needed somebody's word and the goods left without it. They come all the same; ask why.",
    ),
)
