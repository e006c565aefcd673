"""Who was told of a comment, and replies that are written once and used often."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text, text

from ledger.tables.base import instant, metadata, number, recorded_at, word

mention = Table(
    "mention",
    metadata,
    number(),
    Column("case_id", ForeignKey("case_file.id"), nullable=False),
    Column("event_id", BigInteger, nullable=False),  # the comment, a row of case_event
    Column("person_id", ForeignKey("person.id"), nullable=False),
    instant("at"),
    instant("seen_at", nullable=True),
    recorded_at(),
    Index("uq_mention", "event_id", "person_id", unique=True),
    Index("ix_mention_unseen", "person_id", "case_id", postgresql_where=text("seen_at IS NULL")),
    Index("ix_mention_case", "case_id"),
)

canned_reply = Table(
    "canned_reply",
    metadata,
    number(),
    word("kind", default=""),  # of case; the empty word: of every kind
    word("title"),
    Column("text", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    word("changed_by"),
    instant("changed_at"),
    recorded_at(),
    Index("uq_canned_reply", "kind", text("lower(title)"), unique=True, postgresql_where=text("active")),
)
