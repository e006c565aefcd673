"""Returns: their lines, with how far the units and the money of each are, and what inspections decided."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, text

from domain.overrides import STATES as OVERRIDE_STATES
from domain.returns import CONDITIONS, DISPOSITIONS
from ledger.tables.base import document, instant, metadata, minor, number, one_of, recorded_at, word

UNITS = ("claimed", "received", "booked", "asked", "accepted", "declined", "refunded")

return_line = Table(
    "return_line",
    metadata,
    word("journey_id", primary_key=True),  # written with its journey, which is never deleted
    word("line_id", primary_key=True),
    word("sku"),
    word("reason"),
    word("serial", nullable=True),
    minor("unit_price_minor", nullable=True),  # as claimed, where no sale is known
    word("document", nullable=True),  # of the sale line that it was bought by
    word("sale_line_id", nullable=True),
    document("ruling"),  # what policy says of it: domain.return_rules.Ruling
    # Units. Booked: of those received, taken off the sale line. Asked: waits for somebody's word about its disposition.
    # Accepted and declined have their disposition: what is declined is not refunded.
    *(Column(units, Integer, nullable=False, server_default=text("0")) for units in UNITS),
    minor("refunded_minor"),  # the share that was paid, tax included, before fee and claw-back
    minor("tax_minor"),
    minor("fee_minor"),
    minor("cost_minor"),  # of the units received, as they left
    minor("disposed_cost_minor"),
    CheckConstraint(" AND ".join(f"{units} >= 0" for units in UNITS), name="units_not_negative"),
    CheckConstraint("booked <= received AND asked + accepted + declined <= received", name="units_within_received"),
    CheckConstraint("refunded <= greatest(claimed, received)", name="refunded_once"),
    CheckConstraint("disposed_cost_minor <= cost_minor AND fee_minor <= refunded_minor", name="money_in_range"),
    Index("ix_return_line_sale", "document", "sale_line_id", postgresql_where=text("document IS NOT NULL")),
)

# Each part of a line that an inspection decided about. `state`: applied; asked (waits for somebody's word); overruled.
return_disposition = Table(
    "return_disposition",
    metadata,
    number(),
    word("journey_id"),
    word("line_id"),
    word("cause"),
    Column("quantity", Integer, nullable=False),
    word("condition"),
    word("proposed"),
    word("disposition"),
    word("state"),
    word("reason", default=""),
    word("inspected_by"),
    minor("cost_minor"),
    minor("kept_minor"),  # what it is still worth
    instant("at"),
    recorded_at(),
    one_of("condition", CONDITIONS),
    one_of("proposed", DISPOSITIONS),
    one_of("disposition", DISPOSITIONS),
    one_of("state", ("applied", "asked", "overruled")),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    Index("ix_return_disposition_journey", "journey_id"),
)

# What somebody asked to have allowed although policy or an inspection said no. `lines` are the ids of lines; pending
# until the journey has acted on the verdict.
return_override = Table(
    "return_override",
    metadata,
    number(),
    word("journey_id"),
    document("lines", default="'[]'::jsonb"),
    word("reason"),
    minor("amount_minor"),
    word("state"),
    Column("approval_id", BigInteger, unique=True),
    word("asked_by"),
    instant("asked_at"),
    instant("settled_at", nullable=True),
    recorded_at(),
    one_of("state", OVERRIDE_STATES),
    CheckConstraint("amount_minor > 0", name="amount_positive"),
    CheckConstraint("(settled_at IS NULL) = (state = 'pending')", name="settled_when_answered"),
    Index("ix_return_override_journey", "journey_id"),
    Index("ix_return_override_asked", "asked_at"),
)
