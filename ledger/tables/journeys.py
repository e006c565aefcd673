"""Journeys: the row whose lock orders everything that happens to an order, its lines, and the steps that were taken
once.
"""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, text

from ledger.tables.base import BY_PAGES, document, instant, metadata, minor, recorded_at, word

journey = Table(
    "journey",
    metadata,
    word("id", primary_key=True),  # <kind>:<source>:<key>
    word("kind"),
    word("source"),
    word("key"),
    word("state"),
    word("location"),
    word("region"),
    word("entity"),
    word("channel"),
    word("currency"),
    word("customer_id", nullable=True),
    word("requested_by", default=""),
    instant("promised_at", nullable=True),
    instant("opened_at"),
    instant("closed_at", nullable=True),
    # Due instants by name, worked out when they were set: {"pick": "…", "window": "…"}. The workflow waits for the
    # first.
    document("dues"),
    # What is asked of people now: {"case_id": 7, "decision_id": 9, "approval_id": 3}.
    document("asks"),
    document("detail"),  # kind-specific facts that pages and steps need; no personal data
    # The policy that the journey keeps, by the name of its content. Journeys begun before there were copies carry it
    # themselves, in `policy`.
    word("policy_copy", nullable=True),
    document("policy", nullable=True),
    word("policy_version", default=""),
    Column("clock_offset_s", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False, server_default=text("1")),
    word("suspended_from", nullable=True),  # the state it was in when an unexpected failure suspended it
    recorded_at(),
    Index("ix_journey_list", "kind", "opened_at", "id"),
    Index("ix_journey_open", "kind", "state", postgresql_where=text("closed_at IS NULL")),
    Index("ix_journey_key", "key"),
    Index("ix_journey_key_parts", "key", postgresql_using="gin", postgresql_ops={"key": "gin_trgm_ops"}),
    Index("ix_journey_place", "location", "opened_at"),
    Index("ix_journey_customer", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
    Index("ix_journey_return_label", text("(detail ->> 'label')"), postgresql_where=text("kind = 'returns'")),
    # Rows stand about in the order of their promises: a summary of each few pages is enough, and costs orders nothing.
    Index("ix_journey_promised", "promised_at", **BY_PAGES),
)

# Each policy that journeys keep, once. A row never changes: its name is a digest of what it says.
policy_copy = Table("policy_copy", metadata, word("id", primary_key=True), document("body"), recorded_at())

LINE_QUANTITIES = ("reserved", "picked", "staged", "collected", "cancelled", "short")

journey_line = Table(
    "journey_line",
    metadata,
    word("journey_id", primary_key=True),  # written with its journey, which is never deleted; `endcap audit` looks
    word("line_id", primary_key=True),
    word("sku"),
    Column("ordered", Integer, nullable=False),
    *(Column(quantity, Integer, nullable=False, server_default=text("0")) for quantity in LINE_QUANTITIES),
    word("substitution", default="never"),
    word("fallback", default="refund_line"),
    word("substituted_by", nullable=True),
    word("state"),
    minor("refunded_minor"),
    CheckConstraint("ordered > 0", name="ordered_positive"),
    CheckConstraint(
        " AND ".join(f"{quantity} >= 0" for quantity in LINE_QUANTITIES) + " AND collected + cancelled <= ordered",
        name="quantities_in_range",
    ),
)

journey_step = Table(
    "journey_step",
    metadata,
    word("journey_id", primary_key=True),  # or case:<id>, approval:<id>
    word("step", primary_key=True),
    word("occurrence", primary_key=True),
    word("input_hash"),
    document("result"),
    Column("detail", Text, nullable=False, server_default=""),  # one line of the timeline, a sentence for people
    word("actor", default="endcap"),
    instant("at"),
    recorded_at(),
)
