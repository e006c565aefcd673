"""Photos of what came back. The picture itself is kept outside (`ports/photos.py`) under `storage_key`."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, text

from domain.photos import MEDIA_TYPES
from ledger.tables.base import instant, metadata, number, one_of, recorded_at, word

photo = Table(
    "photo",
    metadata,
    number(),
    Column("journey_id", ForeignKey("journey.id"), nullable=False),
    word("line_id", nullable=True),
    word("storage_key"),
    word("media_type"),
    Column("size_bytes", Integer, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("person_id", ForeignKey("person.id")),  # who took it: somebody of the store
    Column("customer_id", ForeignKey("customer.id")),  # or the customer
    recorded_at(),
    instant("forgotten_at", nullable=True),  # with its customer: shown to nobody, and removed from where it lies
    one_of("media_type", MEDIA_TYPES),
    CheckConstraint("num_nonnulls(person_id, customer_id) = 1", name="by_one"),
    # The same picture of the same thing is one photo, however often it is sent.
    Index("ix_photo_forgotten", "forgotten_at", postgresql_where=text("forgotten_at IS NOT NULL")),
    Index("uq_photo_once", "journey_id", text("coalesce(line_id, '')"), "sha256", unique=True),
)
