"""Asking people: cases with their events and decisions, approvals with their links and verdicts."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from domain.approval import APPROVAL_STATES
from domain.bulk import BULK_STATES, ITEM_STATES
from domain.case import CASE_STATES, DECISION_STATES, SEVERITIES
from ledger.tables.base import BY_PAGES, document, instant, metadata, minor, number, one_of, recorded_at, word

IS_OPEN = text("closed_at IS NULL")
COUNTED_BY = ("channel", "kind", "severity", "state", "claimed_by", "owner_role", "opened_at")
# What a case is found by a part of: one text of four, between them a character that nobody types.
BETWEEN_WORDS = "\x1f"
CASE_WORDS = literal_column(
    "((((((subject || chr(31)) || coalesce(journey_id, '')) || chr(31)) || sku) || chr(31)) || location)", Text
)

case_file = Table(
    "case_file",
    metadata,
    number(),
    word("kind"),
    word("subject"),
    word("dedupe_key"),
    Column("episode", Integer, nullable=False, server_default=text("1")),
    word("state", default="open"),
    word("severity"),
    Column("level", Integer, nullable=False, server_default=text("0")),  # steps of the escalation ladder taken
    word("journey_id", nullable=True),
    word("customer_id", nullable=True),  # of its journey, written by a trigger; only to be found by it
    word("location"),
    word("region"),
    word("entity"),
    word("channel", default=""),
    word("sku", default=""),
    word("owner_role"),
    Column("claimed_by", ForeignKey("person.id")),
    instant("claimed_at", nullable=True),
    word("waiting_reason", nullable=True),
    instant("waiting_until", nullable=True),
    minor("value_at_risk_minor"),
    word("currency"),
    instant("promised_at", nullable=True),
    Column("priority_score", Integer, nullable=False, server_default=text("0")),
    document("priority_terms", default="'[]'::jsonb"),
    document("facts"),
    document("options", default="'[]'::jsonb"),
    Column("repeat_count", Integer, nullable=False, server_default=text("0")),
    instant("opened_at"),
    # Three clocks; each stops (its *_met_at is set) when somebody claims, starts, resolves.
    instant("unclaimed_due_at", nullable=True),
    instant("unstarted_due_at", nullable=True),
    instant("unresolved_due_at", nullable=True),
    instant("next_due_at", nullable=True),  # the earliest clock still running; the queue sorts by it
    instant("applies_at", nullable=True),  # until then what was decided can be undone, and nothing has come of it
    instant("next_level_at", nullable=True),  # when the ladder climbs next, reckoned from the previous due instant
    instant("closed_at", nullable=True),
    word("resolution", nullable=True),
    word("resolved_by", nullable=True),
    word("root_cause", nullable=True),
    Column("clock_offset_s", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False, server_default=text("1")),
    recorded_at(),
    one_of("state", CASE_STATES),
    one_of("severity", SEVERITIES),
    CheckConstraint("(closed_at IS NOT NULL) = (state IN ('resolved', 'cancelled'))", name="closed_says_when"),
    UniqueConstraint("dedupe_key"),
    # The queue asks for open cases by their next clock, mostly of some places: a small index for each way to ask.
    Index("ix_case_file_queue", "next_due_at", "id", postgresql_where=IS_OPEN),
    # Those by region and by place have all that is asked together with them: what is only counted is read there alone.
    Index(
        "ix_case_file_by_region",
        *("region", "next_due_at", "id"),
        postgresql_include=["location", "entity", *COUNTED_BY],
        postgresql_where=IS_OPEN,
    ),
    Index(
        "ix_case_file_by_place",
        *("location", "next_due_at", "id"),
        postgresql_include=["region", "entity", *COUNTED_BY],
        postgresql_where=IS_OPEN,
    ),
    Index(
        "ix_case_file_deciding",
        *("region", "next_due_at", "id"),
        postgresql_include=["entity", "location"],
        postgresql_where=text("state = 'deciding' AND closed_at IS NULL"),
    ),
    Index(
        "ix_case_file_claimed",
        *("claimed_by", "next_due_at", "id"),
        postgresql_include=["region", "entity", "location"],
        postgresql_where=IS_OPEN,
    ),
    Index("ix_case_file_kind", "kind", "next_due_at", "id", postgresql_where=IS_OPEN),
    # What is critical is few of many, and counted: by this index alone.
    Index("ix_case_file_severity", "severity", "region", postgresql_where=IS_OPEN),
    Index("ix_case_file_sku", "sku", "next_due_at", "id"),
    Index("ix_case_file_unresolved", "unresolved_due_at", **BY_PAGES),
    Index(
        "ix_case_file_cause",
        *("location", "sku", "kind", "next_due_at", "id"),
        postgresql_where=text("closed_at IS NULL AND sku <> '' AND journey_id IS NOT NULL"),
    ),
    Index("ix_case_file_priority", "priority_score", "id", postgresql_where=IS_OPEN),
    Index("ix_case_file_age", "opened_at", "id", postgresql_where=IS_OPEN),
    # What the first page sums up is read from these two alone, without a look at each case.
    Index(
        "ix_case_file_open_by_kind",
        *("kind", "entity", "location", "currency"),
        postgresql_include=["opened_at", "value_at_risk_minor", "region"],
        postgresql_where=IS_OPEN,
    ),
    Index(
        "ix_case_file_opened",
        *("opened_at", "id"),
        postgresql_include=["sku", "location", "region", "entity", "repeat_count", "closed_at"],
    ),
    Index("ix_case_file_customer", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
    # Two, so that a case that changes is written into one of them.
    Index(
        "ix_case_file_open_words",
        CASE_WORDS.label("words"),
        postgresql_using="gin",
        postgresql_ops={"words": "gin_trgm_ops"},
        postgresql_where=IS_OPEN,
    ),
    Index(
        "ix_case_file_closed_words",
        CASE_WORDS.label("words"),
        postgresql_using="gin",
        postgresql_ops={"words": "gin_trgm_ops"},
        postgresql_where=text("closed_at IS NOT NULL"),
    ),
    Index("ix_case_file_journey", "journey_id"),
    Index("ix_case_file_negative", "id", postgresql_where=text("kind = 'negative_inventory' AND closed_at IS NULL")),
    Index("ix_case_file_root_cause", "root_cause", "closed_at", postgresql_where=text("root_cause IS NOT NULL")),
    Index(
        "ix_case_file_came_back", "sku", "location", "kind", "closed_at", postgresql_where=text("closed_at IS NOT NULL")
    ),
    Index("ix_case_file_closed", "closed_at", "id", postgresql_where=text("closed_at IS NOT NULL")),
)

# What several open cases have in common: kind, place and item, or one order. Open while at least one of them is.
case_parent = Table(
    "case_parent",
    metadata,
    number(),
    word("key"),
    word("kind"),
    word("location"),
    word("sku"),
    word("journey_id", nullable=True),
    word("region"),
    word("entity"),
    Column("episode", Integer, nullable=False, server_default=text("1")),
    instant("opened_at"),
    instant("closed_at", nullable=True),
    recorded_at(),
    UniqueConstraint("key"),
)

case_event = Table(
    "case_event",
    metadata,
    number(),
    Column("case_id", ForeignKey("case_file.id"), nullable=False),
    Column("episode", Integer, nullable=False),
    word("kind"),
    word("actor"),
    word("via", default="system"),
    Column(
        "text", Text, nullable=False, server_default=""
    ),  # a sentence for people; free text of people is in person_note
    Column("note_id", BigInteger),
    document("detail", nullable=True),
    instant("at"),
    recorded_at(),
    Index("ix_case_event_case", "case_id", "id"),
)

case_decision = Table(
    "case_decision",
    metadata,
    number(),
    Column("case_id", ForeignKey("case_file.id"), nullable=False),
    Column("episode", Integer, nullable=False),
    word("option_id"),
    document("parameters"),
    document("option"),  # the option as it was shown, with its consequence
    word("decided_by"),
    word("via"),
    Column("note_id", BigInteger),
    Column("case_version", Integer, nullable=False),
    word("state", default="applying"),
    word("reason", nullable=True),
    Column("approval_id", BigInteger),
    instant("at"),
    recorded_at(),
    one_of("state", DECISION_STATES),
    Index("ix_case_decision_case", "case_id", "id"),
    Index("ix_case_decision_applying", "id", postgresql_where=text("state = 'applying'")),
)

approval = Table(
    "approval",
    metadata,
    number(),
    word("kind"),
    word("subject"),
    Column("case_id", BigInteger),
    Column("decision_id", BigInteger),
    word("journey_id", nullable=True),
    word("location"),
    word("region"),
    word("entity"),
    document("facts"),
    minor("amount_minor"),
    word("currency"),
    word("band"),
    word("requester"),
    Column("barred", ARRAY(Text), nullable=False, server_default=text("'{}'")),  # people who may never approve this one
    Column("roles", ARRAY(Text), nullable=False),  # ladder: the role asked at each level
    Column("level", Integer, nullable=False, server_default=text("0")),
    Column("quorum", Integer, nullable=False, server_default=text("1")),  # how many must agree, of all sides
    word("state", default="pending"),
    instant("opened_at"),
    instant("next_at", nullable=True),  # next reminder or escalation
    instant("paused_at", nullable=True),  # an approver has asked; the clock stands until the answer
    instant("paused_next_at", nullable=True),
    instant("deadline_at"),  # of this level
    instant("expires_at"),  # of the whole request
    word("decided_by", nullable=True),
    word("decided_for", nullable=True),  # the approver in whose place a delegate acted
    word("decided_via", nullable=True),
    instant("decided_at", nullable=True),
    Column("note_id", BigInteger),
    Column("clock_offset_s", Integer, nullable=False, server_default=text("0")),
    Column("version", Integer, nullable=False, server_default=text("1")),
    recorded_at(),
    one_of("state", APPROVAL_STATES),
    Index("ix_approval_pending", "region", "deadline_at", postgresql_where=text("state = 'pending'")),
    Index("ix_approval_case", "case_id"),
    Index("ix_approval_waiting", "case_id", postgresql_where=text("state = 'pending'")),
    Index("ix_approval_journey", "journey_id"),
)

# Whose people must agree, where it is not those of the approval's own place alone: one row for each place.
approval_side = Table(
    "approval_side",
    metadata,
    Column("approval_id", ForeignKey("approval.id"), primary_key=True),
    word("name", primary_key=True),  # the place's code
    word("entity"),
    word("region"),
    Column("need", Integer, nullable=False),
)

approval_verdict = Table(
    "approval_verdict",
    metadata,
    number(),
    Column("approval_id", ForeignKey("approval.id"), nullable=False),
    Column("person_id", ForeignKey("person.id"), nullable=False),
    word("on_behalf_of", nullable=True),
    word("verdict"),
    # The sides for which an agreement can count; the one side of an ordinary approval has an empty name.
    Column("sides", ARRAY(Text), nullable=False, server_default=text("'{\"\"}'")),
    word("via"),
    Column("note_id", BigInteger),
    instant("at"),
    recorded_at(),
    one_of("verdict", ("approve", "reject", "ask", "answer")),
    Index("ix_approval_verdict_approval", "approval_id"),
)

# What documents were worth that a band was tested for: the next one of the same actor, place and kind counts them.
band_use = Table(
    "band_use",
    metadata,
    number(),
    word("kind"),
    word("actor"),  # a person's id; of an actor whom nobody knows, `everyone`
    word("location"),
    word("subject"),  # the document
    minor("amount_minor"),  # gross, at cost
    Column("level", Integer, nullable=False),  # who must approve it: 0 nobody, 1 a manager, 2 finance
    instant("at"),
    instant("withdrawn_at", nullable=True),  # rejected or expired: it took no effect
    recorded_at(),
    UniqueConstraint("kind", "subject", name="uq_band_use_kind"),
    Index("ix_band_use_rolling", "kind", "actor", "location", "at"),
)

# One decision for several cases, taken one after the other; what became of each stands in its row.
bulk = Table(
    "bulk",
    metadata,
    number(),
    word("requested_by"),
    word("option_id"),
    word("label"),
    Column("note_id", BigInteger),
    word("state", default="waiting"),
    instant("at"),
    instant("next_at", nullable=True),  # when the next cases are decided; nothing once it has ended
    instant("ended_at", nullable=True),
    recorded_at(),
    one_of("state", BULK_STATES),
    Index("ix_bulk_requested_by", "requested_by", "id"),
    Index("ix_bulk_open", "id", postgresql_where=text("ended_at IS NULL")),
)

bulk_item = Table(
    "bulk_item",
    metadata,
    Column("bulk_id", ForeignKey("bulk.id"), primary_key=True),
    Column("case_id", ForeignKey("case_file.id"), primary_key=True),
    Column("case_version", Integer, nullable=False),  # as it was seen; a case that has changed since is left alone
    word("shown", nullable=True),  # a mark of what the way out would do as it was seen; otherwise it is left alone
    word("state", default="pending"),
    word("reason", nullable=True),
    Column("decision_id", BigInteger),
    one_of("state", ITEM_STATES),
)

# What the first page of a new installation points at; written by the demo, read by the console.
pinned_story = Table(
    "pinned_story",
    metadata,
    word("journey_id", primary_key=True),
    Column("rank", Integer, nullable=False),
    word("title"),
    word("story"),
)
