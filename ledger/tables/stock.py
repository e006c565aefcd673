"""Stock: one row per location and item in disjoint buckets, the movements that explain every quantity, holds and
waiting demand.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    func,
    text,
)

from domain.stock import BUCKETS
from ledger.tables.base import instant, metadata, minor, number, recorded_at, word

stock = Table(
    "stock",
    metadata,
    word("location", primary_key=True),
    word("sku", primary_key=True),
    *(Column(bucket, Integer, nullable=False, server_default=text("0")) for bucket in BUCKETS),
    Column("safety_stock", Integer, nullable=False, server_default=text("0")),
    # Share of the book quantity that counts and picks have confirmed lately, in thousandths.
    Column("confidence_permille", Integer, nullable=False, server_default=text("1000")),
    # The checkpoint: when the last posted count of this shelf was taken. What happened before it and is recorded after
    # it is in the count already.
    instant("counted_at", nullable=True),
    # Only `available` may go below zero, and only by a fact: a sale that happened is never refused.
    *(CheckConstraint(f"{bucket} >= 0", name=f"{bucket}_not_negative") for bucket in BUCKETS if bucket != "available"),
    CheckConstraint("confidence_permille BETWEEN 0 AND 1000", name="confidence_in_range"),
    # No index mentions a bucket, so a change of quantity stays on its page (HOT update).
    postgresql_with={"fillfactor": 70},
)

# Stock whose `available` is below zero, and since when by the database's clock. A trigger on `stock` keeps it.
below_zero = Table(
    "below_zero",
    metadata,
    word("location", primary_key=True),
    word("sku", primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_below_zero_since", "since"),
)

movement = Table(
    "movement",
    metadata,
    Column("id", BigInteger, Identity(always=False), nullable=False),
    word("kind"),
    word("reason", default=""),
    word("sku"),
    Column("quantity", Integer, nullable=False),
    # An account is a bucket at a location, or an outside account (supplier, customer, carrier, shrink, found) at the
    # location it concerns.
    word("from_location"),
    word("from_account"),
    word("to_location"),
    word("to_account"),
    Column("unit_cost_e4", BigInteger, nullable=False, server_default=text("0")),  # 1/10,000 of a minor unit
    minor("cost_minor"),
    word("entity"),
    word("journey_id", nullable=True),
    word("hold_id", nullable=True),
    word("cause"),  # event:<source>:<id>, step:<journey>:<name>:<occurrence>, intake:<journey>, load:<file>
    word("actor"),
    instant("at"),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("recorded_at", "id"),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    Index("ix_movement_journey", "journey_id", postgresql_where=text("journey_id IS NOT NULL")),
    Index("ix_movement_place", "sku", "to_location", "recorded_at"),
    # Outside accounts are at the location they concern, so that only what goes from one place to another is missing
    # from the index above.
    Index(
        "ix_movement_leaving",
        "sku",
        "from_location",
        "recorded_at",
        postgresql_where=text("from_location <> to_location"),
    ),
    postgresql_partition_by="RANGE (recorded_at)",
)

HOLD_PARTS = ("reserved", "staged", "committed", "released", "expired", "lost")

hold = Table(
    "hold",
    metadata,
    word("id", primary_key=True),  # the caller's: <journey>/<line>/<n>, or the checkout's own
    word("source"),
    word("channel"),
    word("journey_id", nullable=True),
    word("checkout", nullable=True),  # hold:<source>:<id> of a hold that a channel asked for without an order
    word("order_reference", nullable=True),  # what the channel calls the order that it holds for
    word("line_id"),
    word("location"),
    word("sku"),
    Column("quantity", Integer, nullable=False),
    *(Column(part, Integer, nullable=False, server_default=text("0")) for part in HOLD_PARTS),
    instant("expires_at", nullable=True),
    instant("promised_at", nullable=True),
    instant("doubted_at", nullable=True),  # set while a store is asked to verify that the unit is there
    word("doubted_because", nullable=True),  # sold (the till), short_pick (of another order for the same item)
    instant("at"),
    recorded_at(),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    CheckConstraint(
        "quantity = " + " + ".join(HOLD_PARTS) + " AND " + " AND ".join(f"{part} >= 0" for part in HOLD_PARTS),
        name="parts_make_the_whole",
    ),
    Index("ix_hold_journey", "journey_id"),
    Index("ix_hold_checkout", "checkout", postgresql_where=text("checkout IS NOT NULL")),
    Index("ix_hold_open_place", "location", "sku", postgresql_where=text("reserved + staged > 0")),
    Index("ix_hold_expiry", "expires_at", postgresql_where=text("expires_at IS NOT NULL AND reserved > 0")),
)

waiting_demand = Table(
    "waiting_demand",
    metadata,
    number(),
    word("location"),
    word("sku"),
    word("journey_id"),
    word("line_id"),
    Column("quantity", Integer, nullable=False),  # still wanted
    Column(
        "found", Integer, nullable=False, server_default=text("0")
    ),  # held for it by others, not yet taken by the journey
    instant("promised_at", nullable=True),
    instant("at"),
    instant("ended_at", nullable=True),
    recorded_at(),
    CheckConstraint("quantity >= 0 AND found >= 0", name="quantities_not_negative"),
    Index(
        "ix_waiting_demand_open",
        "location",
        "sku",
        "promised_at",
        postgresql_where=text("ended_at IS NULL AND quantity > 0"),
    ),
    Index("ix_waiting_demand_journey", "journey_id"),
)
