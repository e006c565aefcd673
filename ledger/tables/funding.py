"""Vendor funding: agreements, the promotions that each pays for, what sales have earned by them, and claims."""

from sqlalchemy import Boolean, CheckConstraint, Column, Date, ForeignKey, Index, Integer, Table, text

from domain.claim import CLAIM_KINDS
from domain.funding import ACCRUAL_KINDS
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

funding_agreement = Table(
    "funding_agreement",
    metadata,
    word("id", primary_key=True),  # <source>:<number>
    word("number"),
    word("source"),
    word("entity"),
    word("office"),  # the place whose people and calendar its claims follow
    word("vendor"),
    word("vendor_name", default=""),
    word("claims_email", default=""),
    word("currency"),
    Column("signed_on", Date, nullable=False),
    word("document"),
    instant("starts_at"),
    instant("ends_at"),
    document("terms"),
    document("skus", default="'[]'::jsonb"),
    Column("claim_every_days", Integer),
    Column("claim_window_days", Integer, nullable=False),
    # When its next claim is prepared by itself; null once the last one was, until late sales or returns need another.
    instant("next_claim_at", nullable=True),
    instant("final_claim_at", nullable=True),
    Column("claims", Integer, nullable=False, server_default=text("0")),  # how many were prepared
    # Only where a cap, tiers or a lump sum make them matter: then every sale and return counts here under a lock.
    Column("units", Integer, nullable=False, server_default=text("0")),
    minor("earned_minor"),
    minor("accrued_minor"),
    word("opened_by"),
    instant("at"),
    recorded_at(),
    CheckConstraint("starts_at < ends_at", name="starts_before_it_ends"),
    Index("ix_funding_agreement_vendor", "entity", "vendor"),
    Index("ix_funding_agreement_due", "next_claim_at", postgresql_where=text("next_claim_at IS NOT NULL")),
)

# The promotions that an agreement pays for, by the code that sales carry: one agreement for each in an entity.
funded_promotion = Table(
    "funded_promotion",
    metadata,
    word("entity", primary_key=True),
    word("promotion_id", primary_key=True),
    Column("agreement_id", ForeignKey("funding_agreement.id"), nullable=False, index=True),
    recorded_at(),
)

# What units of a sale line have earned, or a return of them has taken back. Below zero is taken back. `earned_minor` is
# by the terms, `amount_minor` what the cap left of it, `cap_left_minor` what was left of the cap afterwards.
funding_accrual = Table(
    "funding_accrual",
    metadata,
    number(),
    word("agreement_id"),
    word("promotion_id"),
    word("entity"),
    word("kind"),
    word("location", nullable=True),
    word("sku", nullable=True),
    word("document", nullable=True),
    word("line_id", nullable=True),
    Column("quantity", Integer, nullable=False),
    minor("earned_minor"),
    minor("amount_minor"),
    Column("tier", Integer, nullable=False, server_default=text("0")),
    minor("cap_left_minor", nullable=True),
    word("claim_id", nullable=True),  # the claim that it is in; rows of a withdrawn claim are free again
    word("cause"),
    instant("at"),
    recorded_at(),
    one_of("kind", ACCRUAL_KINDS),
    Index("ix_funding_accrual_unclaimed", "agreement_id", postgresql_where=text("claim_id IS NULL")),
    Index("ix_funding_accrual_claim", "claim_id", postgresql_where=text("claim_id IS NOT NULL")),
    Index("ix_funding_accrual_line", "document", "line_id"),
)

claim = Table(
    "claim",
    metadata,
    word("journey_id", primary_key=True),  # written with its journey, which is never deleted
    word("agreement_id"),
    word("entity"),
    word("vendor"),
    word("kind"),
    word("currency"),
    minor("amount_minor"),
    minor("accepted_minor"),
    minor("settled_minor"),
    minor("released_minor"),
    minor("written_off_minor"),
    minor("reclaimed_minor"),
    word("settlement", nullable=True),
    word("reference", default=""),  # the vendor's own
    Column("disputes", Integer, nullable=False, server_default=text("0")),
    Column("is_billed", Boolean, nullable=False, server_default=text("false")),  # posted as a claim against the vendor
    instant("frozen_at"),
    instant("sent_at", nullable=True),
    instant("answered_at", nullable=True),
    instant("settled_at", nullable=True),
    recorded_at(),
    one_of("kind", CLAIM_KINDS),
    CheckConstraint("settlement IN ('cash', 'deduction')", name="settlement_known"),
    Index("ix_claim_agreement", "agreement_id", "journey_id"),
    Index("ix_claim_vendor", "entity", "vendor"),
)

claim_line = Table(
    "claim_line",
    metadata,
    word("journey_id", primary_key=True),
    word("line_id", primary_key=True),
    word("promotion_id"),
    word("sku", nullable=True),
    Column("units", Integer, nullable=False),
    minor("amount_minor"),
    minor("accepted_minor", nullable=True),  # null until the vendor has answered
    minor("released_minor"),
    minor("written_off_minor"),
    minor("reclaimed_minor"),
    word("reason", default=""),  # the vendor's, for what it does not accept
    CheckConstraint(
        "accepted_minor IS NULL OR accepted_minor BETWEEN least(amount_minor, 0) AND greatest(amount_minor, 0)",
        name="accepted_within_claimed",
    ),
)
