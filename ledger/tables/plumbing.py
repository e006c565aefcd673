"""What carries and remembers: outbox, mails, idempotency, the inbox of events, the audit."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ledger.tables.base import document, instant, metadata, number, one_of, recorded_at, word

outbox_counter = Table(
    "outbox_counter",
    metadata,
    word("target", primary_key=True),  # a workflow id
    Column("last_seq", Integer, nullable=False),
    postgresql_with={"fillfactor": 70},
)

outbox = Table(
    "outbox",
    metadata,
    number(),
    word("target"),
    Column("seq", Integer, nullable=False),  # 1 is the start; every later one is a signal
    word("kind"),
    document("payload"),
    recorded_at(),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("not_before", nullable=True),
    instant("leased_until", nullable=True),
    word("leased_by", nullable=True),
    word("last_error", nullable=True),
    instant("done_at", nullable=True),
    word("outcome", nullable=True),  # delivered | target_closed | rebuilt
    UniqueConstraint("target", "seq"),
    one_of("kind", ("start", "tell")),
    Index("ix_outbox_open", "id", postgresql_where=text("done_at IS NULL")),
)

# Which Temporal database was spoken to last; one row.
temporal_home = Table(
    "temporal_home",
    metadata,
    Column("only", Boolean, primary_key=True, server_default=text("true")),
    word("namespace_id"),
    CheckConstraint('"only"', name="one_row"),
)

mail = Table(
    "mail",
    metadata,
    number(),
    word("dedupe_key"),
    word("template"),
    word("person_id", nullable=True),
    word("customer_id", nullable=True),
    word("journey_id", nullable=True),
    Column("case_id", BigInteger),
    Column("approval_id", BigInteger),
    document("context"),  # ids and figures; names are read when it is sent
    instant("not_before"),
    word("state", default="queued"),  # queued | sent | failed | withdrawn
    word("message_id", nullable=True),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("leased_until", nullable=True),
    word("last_error", nullable=True),
    instant("sent_at", nullable=True),
    recorded_at(),
    one_of("state", ("queued", "sent", "failed", "withdrawn")),
    UniqueConstraint("dedupe_key"),
    Index("ix_mail_queued", "not_before", "id", postgresql_where=text("state = 'queued'")),
    Index("ix_mail_case", "case_id"),
    Index("ix_mail_approval", "approval_id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    word("source", primary_key=True),
    word("key", primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    document("answer"),
    recorded_at(),
)

event_inbox = Table(
    "event_inbox",
    metadata,
    word("source", primary_key=True),
    word("event_id", primary_key=True),
    word("type"),
    Column("body_hash", LargeBinary, nullable=False),
    Column("sequence", BigInteger),
    instant("occurred_at"),
    recorded_at(),
    word("outcome"),  # accepted | parked | quarantined | refused
    document("problem", nullable=True),
    word("journey_id", nullable=True),
    Column("case_id", BigInteger),
    word("waits_for", nullable=True),  # the order reference a parked event waits for: <source>|<order id>
    Column("body_sealed", LargeBinary),  # encrypted; only while parked or quarantined
    one_of("outcome", ("accepted", "parked", "quarantined", "refused")),
    Index("ix_event_inbox_waiting", "waits_for", postgresql_where=text("outcome = 'parked'")),
    Index("ix_event_inbox_quarantined", "recorded_at", postgresql_where=text("outcome = 'quarantined'")),
)

audit = Table(
    "audit",
    metadata,
    number(),
    word("who"),
    word("what"),
    word("on_what"),
    word("via"),
    document("before", nullable=True),
    document("after", nullable=True),
    Column("reason", Text, nullable=False, server_default=""),
    instant("at"),
    recorded_at(),
    Index("ix_audit_on_what", "on_what", "id"),
)
