"""Money: what was sold and paid line by line, each call to a payment provider, and the double-entry journal."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from domain.payments import OPERATION_KINDS, OPERATION_STATES, TENDERS
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

sale_line = Table(
    "sale_line",
    metadata,
    word("document", primary_key=True),  # the journey, or receipt:<source>:<number>
    word("line_id", primary_key=True),
    word("sku"),
    word("entity"),
    word("location"),
    word("currency"),
    Column("quantity", Integer, nullable=False),
    minor("unit_price_minor"),
    minor("gross_minor"),  # quantity × unit price
    minor("discount_minor"),
    minor("vendor_funded_minor"),
    minor("coupon_minor"),
    minor("appeasement_minor"),  # what a substitute costs more than the customer pays: ours to bear
    minor("tax_minor"),
    Column("tax_included", Boolean, nullable=False, server_default=text("false")),
    document("tax", default="'[]'::jsonb"),
    word("promotion_id", nullable=True),
    # What the item costs without a promotion, and who at the till has set another price, and why.
    minor("regular_price_minor", nullable=True),
    word("override_reason", nullable=True),
    word("override_actor", nullable=True),
    # Parts of the line that have left or ended; money shares are cumulative rounded differences over these.
    Column("handed_over", Integer, nullable=False, server_default=text("0")),
    Column("refunded_quantity", Integer, nullable=False, server_default=text("0")),
    Column("returned", Integer, nullable=False, server_default=text("0")),
    minor("refunded_minor"),
    minor("cost_minor"),
    # Of what was handed over: refunded by returns, and what of a promotion's discount on it was clawed back.
    Column("return_refunded", Integer, nullable=False, server_default=text("0")),
    minor("return_refunded_minor"),
    minor("return_refunded_tax_minor"),
    minor("clawed_minor"),
    recorded_at(),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint("return_refunded <= handed_over", name="return_refunded_within_sold"),
    CheckConstraint("returned <= handed_over", name="returned_within_sold"),
    CheckConstraint("handed_over + refunded_quantity <= quantity", name="parts_within_quantity"),
    CheckConstraint(
        "refunded_minor <= gross_minor - discount_minor + CASE WHEN tax_included THEN 0 ELSE tax_minor END",
        name="refunded_within_paid",
    ),
    Index("ix_sale_line_overridden", "recorded_at", postgresql_where=text("override_reason IS NOT NULL")),
)

payment = Table(
    "payment",
    metadata,
    word("id", primary_key=True),  # <journey>/<reference>
    word("journey_id"),
    word("reference"),
    word("tender"),
    word("currency"),
    minor("amount_minor"),
    minor("authorized_minor"),
    minor("captured_minor"),
    minor("voided_minor"),
    minor("refund_requested_minor"),
    minor("refunded_minor"),
    minor("returned_minor"),  # goes back for goods that were returned; their journeys pay it
    instant("authorized_until", nullable=True),
    recorded_at(),
    one_of("tender", TENDERS),
    CheckConstraint("captured_minor + voided_minor <= amount_minor", name="captured_within_amount"),
    CheckConstraint(
        "refunded_minor <= refund_requested_minor AND refund_requested_minor <= captured_minor",
        name="refunded_within_captured",
    ),
    CheckConstraint("refund_requested_minor + returned_minor <= captured_minor", name="returned_within_captured"),
    Index("ix_payment_journey", "journey_id"),
    Index(
        "ix_payment_authorized_until",
        "authorized_until",
        postgresql_where=text("authorized_until IS NOT NULL AND captured_minor + voided_minor < amount_minor"),
    ),
)

payment_operation = Table(
    "payment_operation",
    metadata,
    word("id", primary_key=True),  # also the provider's idempotency key
    Column("payment_id", ForeignKey("payment.id"), nullable=False, index=True),
    word("journey_id"),
    word("kind"),
    minor("amount_minor"),
    word("currency"),
    word("state", default="requested"),
    word("reason", default=""),
    word("provider_reference", nullable=True),
    word("error", nullable=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("at"),
    instant("finished_at", nullable=True),
    recorded_at(),
    one_of("kind", OPERATION_KINDS),
    one_of("state", OPERATION_STATES),
    Index("ix_payment_operation_journey", "journey_id"),
    Index("ix_payment_operation_open", "state", postgresql_where=text("state IN ('requested', 'unknown')")),
)

average_cost = Table(
    "average_cost",
    metadata,
    word("entity", primary_key=True),
    word("sku", primary_key=True),
    Column("unit_cost_e4", BigInteger, nullable=False),  # 1/10,000 of a minor unit
    recorded_at(),
)

journal = Table(
    "journal",
    metadata,
    number(),
    word("entity"),
    word("period"),  # YYYY-MM
    word("event"),
    word("currency"),
    word("journey_id", nullable=True),
    word("cause"),
    word("rule_version"),
    word("authority", default="books"),
    instant("effective_at"),
    recorded_at(),
    Column("sealed_no", BigInteger),
    Column("sealed_hash", LargeBinary),
    one_of("authority", ("books", "memo")),
    UniqueConstraint("cause", "event", "entity"),
    Index("ix_journal_journey", "journey_id", postgresql_where=text("journey_id IS NOT NULL")),
    Index("uq_journal_sealed", "entity", "sealed_no", unique=True, postgresql_where=text("sealed_no IS NOT NULL")),
    Index("ix_journal_unsealed", "id", postgresql_where=text("sealed_no IS NULL")),
)

journal_line = Table(
    "journal_line",
    metadata,
    Column("journal_id", BigInteger, nullable=False),
    Column("line_no", Integer, nullable=False),
    word("account"),
    minor("debit_minor"),
    minor("credit_minor"),
    word("location", nullable=True),
    word("sku", nullable=True),
    document("dimensions", nullable=True),
    PrimaryKeyConstraint("journal_id", "line_no"),
    CheckConstraint(
        "debit_minor >= 0 AND credit_minor >= 0 AND (debit_minor = 0) <> (credit_minor = 0)", name="one_side"
    ),
    Index("ix_journal_line_vendor_returns", "location", "sku", postgresql_where=text("account = 'vendor_returns'")),
)
