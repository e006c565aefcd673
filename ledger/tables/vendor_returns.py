"""Vendor returns: documents by which units that wait to go back to their vendor leave, with what it credits."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, text

from domain.vendor_returns import STATES
from ledger.tables.base import document, instant, metadata, minor, one_of, recorded_at, word

vendor_return = Table(
    "vendor_return",
    metadata,
    word("id", primary_key=True),  # vendor_return:<source>:<key>
    word("source"),
    word("key"),
    word("vendor"),
    word("location"),
    word("region"),
    word("entity"),
    word("currency"),
    word("state"),
    word("authorization", default=""),
    word("carrier", default=""),
    word("tracking", default=""),
    word("requested_by"),
    # What shipped goods had cost, what of it the vendor has credited (or more), what was given up.
    minor("cost_minor"),
    minor("credited_minor"),
    minor("written_off_minor"),
    document("credits", default="'[]'::jsonb"),  # [{"reference", "amount_minor", "at"}]
    word("reason", default=""),  # of a cancel, or of what is to be given up
    Column("approval_id", BigInteger, unique=True),
    instant("opened_at"),
    instant("shipped_at", nullable=True),
    instant("closed_at", nullable=True),
    instant("credit_due_at", nullable=True),  # from when on somebody is asked where the vendor's credit is
    recorded_at(),
    one_of("state", STATES),
    CheckConstraint("credited_minor >= 0 AND written_off_minor BETWEEN 0 AND cost_minor", name="money_in_range"),
    Index("ix_vendor_return_place", "location", "opened_at"),
    Index("ix_vendor_return_due", "credit_due_at", postgresql_where=text("closed_at IS NULL")),
    Index("ix_vendor_return_open", "entity", postgresql_where=text("closed_at IS NULL")),
)

vendor_return_line = Table(
    "vendor_return_line",
    metadata,
    Column("vendor_return_id", ForeignKey("vendor_return.id"), primary_key=True),
    word("line_id", primary_key=True),
    word("sku"),
    Column("quantity", Integer, nullable=False),
    Column("shipped", Integer, nullable=False, server_default=text("0")),
    minor("cost_minor"),
    CheckConstraint("quantity > 0 AND shipped BETWEEN 0 AND quantity", name="shipped_within_quantity"),
)
