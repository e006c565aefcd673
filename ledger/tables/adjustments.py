"""Adjustments: corrections of the book that were asked for or reported, and what became of each line."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.adjustments import ADJUSTMENT_STATES
from ledger.tables.base import instant, metadata, minor, one_of, recorded_at, word

adjustment = Table(
    "adjustment",
    metadata,
    word("id", primary_key=True),  # adjustment:<source>:<key>, or the cause of the event that reported it
    word("source"),
    word("key"),
    word("state"),
    word("location"),
    word("region"),
    word("entity"),
    word("currency"),
    word("requested_by"),  # a person's id, or the actor that an event names
    Column("barred", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # people who may not decide it
    Column("level", Integer, nullable=False),  # who must decide: 0 nobody, 1 a manager, 2 finance
    minor("gross_minor"),
    Column("approval_id", BigInteger, unique=True),
    Column("case_id", BigInteger, unique=True),
    instant("at"),
    instant("closed_at", nullable=True),
    recorded_at(),
    one_of("state", ADJUSTMENT_STATES),
    Index("ix_adjustment_open_place", "location", postgresql_where=text("closed_at IS NULL")),
)

adjustment_line = Table(
    "adjustment_line",
    metadata,
    Column("adjustment_id", ForeignKey("adjustment.id"), primary_key=True),
    Column("line_no", Integer, primary_key=True),
    word("sku"),
    Column("quantity", Integer, nullable=False),
    word("reason"),
    minor("cost_minor"),
    Column("parked", Integer, nullable=False, server_default=text("0")),
    Column("posted", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("quantity <> 0", name="quantity_not_zero"),
    CheckConstraint("parked >= 0 AND parked <= abs(quantity)", name="parked_within_quantity"),
    CheckConstraint("abs(posted) <= abs(quantity)", name="posted_within_quantity"),
)
