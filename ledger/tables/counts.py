"""Cycle counts: the lines of a sheet, what was entered for them round by round, and how far each store's till feed has
come.
"""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, text

from domain.count import LINE_STATES
from ledger.tables.base import document, instant, metadata, minor, one_of, recorded_at, word

count_line = Table(
    "count_line",
    metadata,
    word("journey_id", primary_key=True),  # written with its journey, which is never deleted
    word("sku", primary_key=True),
    word("bucket", primary_key=True, default=""),  # "": the shelf (available + reserved + count pending)
    word("location"),
    word("state", default="open"),
    Column("round", Integer, nullable=False, server_default=text("1")),  # the one that it is counted in, or was last
    document("risk", default="'[]'::jsonb"),  # the terms by which the schedule chose it
    # What the book said when the first figure was taken: accuracy is measured by it.
    Column("first_book", Integer),
    # As compared last, and as posted in the end; empty until somebody has counted.
    Column("book", Integer),
    Column("counted", Integer),
    minor("value_minor"),  # of the difference, at cost, without its sign
    word("root_cause", nullable=True),
    instant("counted_at", nullable=True),
    instant("posted_at", nullable=True),
    recorded_at(),
    one_of("state", LINE_STATES),
    CheckConstraint("counted >= 0", name="counted_not_negative"),
    Index(
        "ix_count_line_open",
        "location",
        "sku",
        postgresql_where=text("state IN ('open', 'counted', 'recount', 'agreed')"),
    ),
    Index("ix_count_line_posted", "location", "sku", "counted_at", postgresql_where=text("state = 'posted'")),
)

count_entry = Table(
    "count_entry",
    metadata,
    word("journey_id", primary_key=True),
    Column("round", Integer, primary_key=True),
    word("sku", primary_key=True),
    word("bucket", primary_key=True, default=""),
    Column("quantity", Integer, nullable=False),
    instant("counted_at"),
    word("counter"),  # a person's id, or <source>:<alias> of somebody who is not known
    word("session"),
    recorded_at(),
    CheckConstraint("quantity >= 0", name="quantity_not_negative"),
)

# Until when each store's till has told what it sold; never ahead of it, and behind it by a minute at most.
feed_mark = Table(
    "feed_mark",
    metadata,
    word("location", primary_key=True),
    instant("told_until"),
)
