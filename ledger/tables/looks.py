"""What is looked at while a promotion runs: what was to be expected of each place, what was sold hour by hour, what a
look has found, and what it has proposed. Written by looks alone.
"""

from sqlalchemy import CheckConstraint, Column, DateTime, Double, Index, Integer, Table, UniqueConstraint

from domain.looks import PLACE_STATES
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

# What each place was expected to sell, from its own past and the forecast; frozen by the first look.
promotion_expected = Table(
    "promotion_expected",
    metadata,
    word("journey_id", primary_key=True),
    word("location", primary_key=True),
    word("time_zone"),
    Column("forecast_units", Double, nullable=False),
    Column("forecast_receipts", Double, nullable=False),
    Column("past_units", Integer, nullable=False),
    Column("past_receipts", Integer, nullable=False),
    document("shape"),  # shares of a local week's 168 hours
)

promotion_cell = Table(
    "promotion_cell",
    metadata,
    word("journey_id", primary_key=True),
    word("location", primary_key=True),
    word("sku", primary_key=True),
    Column("forecast_units", Double, nullable=False),
    Column("forecast_receipts", Double, nullable=False),
    Column("past_units", Integer, nullable=False),
)

# Receipts with an item of the promotion by hour; the SKU "" is any of them, so a receipt with two items counts once.
promotion_hour = Table(
    "promotion_hour",
    metadata,
    word("journey_id", primary_key=True),
    Column("hour", DateTime(timezone=True), primary_key=True),
    word("location", primary_key=True),
    word("sku", primary_key=True),
    Column("receipts", Integer, nullable=False),
    Column("units", Integer, nullable=False),
    minor("revenue_minor"),
    minor("cost_minor"),
)

promotion_look = Table(
    "promotion_look",
    metadata,
    word("journey_id", primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    word("occurrence"),  # of the schedule: one look for each
    instant("at"),
    instant("read_until"),  # what was recorded by then is in it, by the database's clock
    document("figures"),
    document("course", default="'[]'::jsonb"),
    recorded_at(),
    UniqueConstraint("journey_id", "occurrence"),
)

# Each place as the latest look has found it.
promotion_look_place = Table(
    "promotion_look_place",
    metadata,
    word("journey_id", primary_key=True),
    word("location", primary_key=True),
    word("state"),
    Column("sold_units", Integer, nullable=False),
    Column("expected_units", Double, nullable=False),
    Column("usual_units", Double, nullable=False),
    Column("receipts", Integer, nullable=False),
    Column("pace", Double, nullable=False),
    Column("surge_hours", Integer),  # the window in which it surges; null with a surge: since the promotion began
    Column("surge_sold", Integer),
    Column("surge_expected", Double),
    Column("available", Integer, nullable=False),
    Column("inbound", Integer, nullable=False),
    Column("cover_days", Double),
    Column("short_items", Integer, nullable=False),
    minor("revenue_minor"),
    minor("cost_minor"),
    one_of("state", PLACE_STATES),
)

promotion_proposal = Table(
    "promotion_proposal",
    metadata,
    number(),
    word("journey_id"),
    Column("look", Integer, nullable=False),
    word("sku"),
    word("from_location"),
    word("to_location"),
    Column("quantity", Integer, nullable=False),
    word("transfer_id"),  # the journey
    word("because"),
    document("figures"),
    instant("at"),
    recorded_at(),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    Index("ix_promotion_proposal_journey", "journey_id", "to_location", "sku"),
    Index("ix_promotion_proposal_transfer", "transfer_id"),
)
