"""Store transfers: what goes from where to where, line by line, what came that was not expected, shipments and receipts
as they were reported, and claims against carriers.
"""

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, Table, text

from domain.transfer import CLAIM_STATES, EXTRA_KINDS
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

transfer = Table(
    "transfer",
    metadata,
    word("journey_id", primary_key=True),  # written with its journey, which is never deleted
    word("from_location"),
    word("to_location"),
    word("from_entity"),
    word("to_entity"),
    word("reason"),
    instant("needed_by", nullable=True),
    minor("value_minor"),  # at cost, of what is wanted
    instant("approved_at", nullable=True),
    instant("completed_at", nullable=True),  # when the destination had all that will come
    recorded_at(),
    Index("ix_transfer_from", "from_location", "journey_id"),
    Index("ix_transfer_to", "to_location", "journey_id"),
)

LINE_QUANTITIES = (
    "reserved",
    "shipped",
    "assumed",
    "in_transit",
    "received",
    "damaged",
    "settled",
    "cancelled",
    "damage_settled",
)

transfer_line = Table(
    "transfer_line",
    metadata,
    word("journey_id", primary_key=True),
    word("line_id", primary_key=True),
    word("sku"),
    Column("ordered", Integer, nullable=False),
    # reserved: held at the source. assumed: of those shipped, not yet reported, as they came before they were said to
    # have left. settled: of those shipped, will not come, and it is known why.
    *(Column(name, Integer, nullable=False, server_default=text("0")) for name in LINE_QUANTITIES),
    minor("transit_minor"),  # what is in transit is worth to its owner
    minor("cost_minor"),  # and has cost whoever sent it; the same within one entity
    minor("damage_minor"),  # what came damaged was worth, as far as it is not settled
    word("root_cause", nullable=True),
    CheckConstraint("ordered > 0", name="ordered_positive"),
    CheckConstraint(" AND ".join(f"{name} >= 0" for name in LINE_QUANTITIES), name="quantities_not_negative"),
    CheckConstraint("shipped = in_transit + received + damaged + settled", name="shipped_is_accounted_for"),
    CheckConstraint("damage_settled <= damaged", name="damage_settled_within_damage"),
    Index("ix_transfer_line_moving", "journey_id", postgresql_where=text("in_transit > 0")),
)

transfer_extra = Table(
    "transfer_extra",
    metadata,
    number(),
    word("journey_id"),
    word("line_id"),
    word("kind"),
    word("location"),
    word("sku"),
    Column("quantity", Integer, nullable=False),
    Column("settled", Integer, nullable=False, server_default=text("0")),
    minor("value_minor"),  # of what is not settled, as it was booked
    word("root_cause", nullable=True),
    instant("at"),
    recorded_at(),
    one_of("kind", EXTRA_KINDS),
    CheckConstraint("quantity > 0 AND settled >= 0 AND settled <= quantity", name="quantities_in_range"),
    Index("ix_transfer_extra_journey", "journey_id"),
)

# A shipment, its announcement or a receipt, as it was reported; `lines` holds line, SKU, quantity and condition.
transfer_parcel = Table(
    "transfer_parcel",
    metadata,
    number(),
    word("journey_id"),
    word("kind"),
    word("shipment_id", nullable=True),
    word("location"),
    word("carrier", nullable=True),
    word("tracking", nullable=True),
    instant("expected_at", nullable=True),
    document("lines"),
    Column("complete", Boolean, nullable=False, server_default=text("false")),
    word("actor"),
    word("cause"),
    instant("at"),
    recorded_at(),
    one_of("kind", ("announced", "shipped", "received")),
    Index("ix_transfer_parcel_journey", "journey_id"),
    Index("ix_transfer_parcel_tracking", "tracking", postgresql_where=text("tracking IS NOT NULL")),
)

# What orders wait for from the transfers that bring their goods; a line of such a transfer has the id of the order's.
# Covered by the lock of the stock row at the destination. What others have left is taken up under a journey's lock: the
# order's what came and what will not, the transfer's what is not needed any more.
awaited = Table(
    "awaited",
    metadata,
    number(),
    word("transfer_id"),
    word("journey_id"),  # of the order
    word("line_id"),
    word("location"),
    word("sku"),
    Column("quantity", Integer, nullable=False),  # still to come
    Column("came", Integer, nullable=False, server_default=text("0")),  # held for the order
    Column("failed", Integer, nullable=False, server_default=text("0")),  # will not come
    Column("given_up", Integer, nullable=False, server_default=text("0")),  # the order needs it no more
    instant("at"),
    recorded_at(),
    CheckConstraint("quantity >= 0 AND came >= 0 AND failed >= 0 AND given_up >= 0", name="quantities_not_negative"),
    Index("uq_awaited", "transfer_id", "line_id", unique=True),
    Index("ix_awaited_journey", "journey_id"),
)

# The latest that a carrier has said of a parcel, and when it was asked last. `error`: why it gave no answer then.
parcel_tracking = Table(
    "parcel_tracking",
    metadata,
    word("journey_id", primary_key=True),
    word("tracking", primary_key=True),
    word("carrier", nullable=True),
    word("status", nullable=True),
    instant("expected_at", nullable=True),
    instant("told_at", nullable=True),
    instant("asked_at", nullable=True),
    word("error", nullable=True),
    recorded_at(),
    CheckConstraint("(status IS NULL) = (told_at IS NULL)", name="told"),
)

carrier_claim = Table(
    "carrier_claim",
    metadata,
    number(),
    word("journey_id"),
    word("line_id"),
    word("sku"),
    Column("quantity", Integer, nullable=False),
    word("location"),
    word("entity"),
    word("carrier", default=""),
    word("tracking", default=""),
    word("state", default="opened"),
    word("currency"),
    minor("amount_minor"),
    minor("accepted_minor"),
    word("reference", default=""),
    instant("opened_at"),
    instant("sent_at", nullable=True),
    instant("answered_at", nullable=True),
    instant("paid_at", nullable=True),
    recorded_at(),
    one_of("state", CLAIM_STATES),
    CheckConstraint("quantity > 0 AND accepted_minor BETWEEN 0 AND amount_minor", name="amounts_in_range"),
    Index("ix_carrier_claim_journey", "journey_id"),
    Index("ix_carrier_claim_open", "entity", postgresql_where=text("state NOT IN ('paid', 'declined')")),
)
