"""People who work here, their roles and keys; and customers, the only place of personal data that can be erased."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.people import ROLES
from ledger.tables.base import document, instant, metadata, number, one_of, recorded_at, word

person = Table(
    "person",
    metadata,
    word("id", primary_key=True),
    word("email", nullable=True),
    word("name"),
    Column("home_location", ForeignKey("location.code")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Index("uq_person_email", text("lower(email)"), unique=True),
)

person_role = Table(
    "person_role",
    metadata,
    number(),
    Column("person_id", ForeignKey("person.id"), nullable=False, index=True),
    word("role"),
    # An empty word means: everywhere.
    word("entity", default=""),
    word("region", default=""),
    word("location", default=""),
    one_of("role", ROLES),
    Index("uq_person_role", "person_id", "role", "entity", "region", "location", unique=True),
)

person_alias = Table(
    "person_alias",
    metadata,
    word("source", primary_key=True),
    word("alias", primary_key=True),
    Column("person_id", ForeignKey("person.id"), nullable=False),
)

credential = Table(
    "credential",
    metadata,
    Column("person_id", ForeignKey("person.id"), primary_key=True),
    word("password_hash"),
    instant("changed_at"),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("person_id", ForeignKey("person.id"), nullable=False, index=True),
    instant("created_at"),
    instant("last_seen_at"),
    instant("expires_at"),
    instant("ended_at", nullable=True),
    instant("proven_at", nullable=True),  # by a password or at a provider; null: nobody knows when
    word("issuer", nullable=True),  # the provider who let them in; null: a local account
    word("provider_session", nullable=True),  # what that provider calls it, where it says so
    Column("state_hash", LargeBinary),  # of the provider's answer that began it: none begins two
    Index("uq_session_state_hash", "state_hash", unique=True),
    Index("ix_session_provider_session", "provider_session", postgresql_where=text("provider_session IS NOT NULL")),
)

# Who somebody is to a provider of single sign-on. Its own name for them counts, not an address that may change hands.
person_identity = Table(
    "person_identity",
    metadata,
    word("issuer", primary_key=True),
    word("subject", primary_key=True),
    Column("person_id", ForeignKey("person.id"), nullable=False),
    word("linked_by"),
    recorded_at(),
    Index("uq_person_identity_person", "person_id", "issuer", unique=True),
)

api_key = Table(
    "api_key",
    metadata,
    word("id", primary_key=True),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    word("source"),
    Column("scopes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column(
        "sources", ARRAY(Text), nullable=False, server_default=text("'{}'")
    ),  # other sources whose orders it may name
    Column("person_id", ForeignKey("person.id")),  # set: a person's own token
    Column("act_as", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    instant("created_at"),
    instant("revoked_at", nullable=True),
    Column("older_hash", LargeBinary),  # the key before, which goes on for a while beside the one that replaced it
    instant("older_until", nullable=True),
    Index("uq_api_key_older_hash", "older_hash", unique=True),
)

# Who was refused what, and from where; equal ones of a minute are one row. A word that is empty: nobody is known.
denial = Table(
    "denial",
    metadata,
    number(),
    instant("minute"),
    Column("status", Integer, nullable=False),
    word("code"),
    word("method"),
    word("route"),
    word("who"),
    word("remote"),
    word("path"),
    Column("times", BigInteger, nullable=False),
    instant("last_at"),
    Index("uq_denial_minute", "minute", "status", "code", "method", "route", "who", "remote", unique=True),
)

delegation = Table(
    "delegation",
    metadata,
    number(),
    Column("from_person", ForeignKey("person.id"), nullable=False),
    Column("to_person", ForeignKey("person.id"), nullable=False),
    instant("starts_at"),
    instant("ends_at"),
    word("kind", default="manual"),
    Column("made_by", ForeignKey("person.id")),
    Column("ended_by", ForeignKey("person.id")),  # before its last day
    recorded_at(),
    Index("ix_delegation_from_person", "from_person", "ends_at"),
    Index("ix_delegation_to_person", "to_person", "ends_at"),
)

# A name for a set of filters of the queue, as its address has them.
saved_view = Table(
    "saved_view",
    metadata,
    number(),
    Column("person_id", ForeignKey("person.id"), nullable=False),
    word("name"),
    word("query"),
    Column("shared", Boolean, nullable=False, server_default=text("false")),
    recorded_at(),
    Index("uq_saved_view", "person_id", text("lower(name)"), unique=True),
)

CUSTOMER_PARTS = ("name", "email", "phone")

customer = Table(
    "customer",
    metadata,
    word("id", primary_key=True),
    word("name", nullable=True),
    word("email", nullable=True),
    word("phone", nullable=True),
    document("address", nullable=True),
    word("pickup_person", nullable=True),
    instant("erase_wanted_at", nullable=True),  # erased when nothing of theirs is under way any more
    instant("erased_at", nullable=True),
    # An order of theirs has had a case; set by a trigger of `case_file`. Only these are found by parts of their words:
    # an index of all customers would be written with each order.
    Column("has_case", Boolean, nullable=False, server_default=text("false")),
    recorded_at(),
    Index(
        "ix_customer_with_case",
        *CUSTOMER_PARTS,
        postgresql_using="gin",
        postgresql_ops=dict.fromkeys(CUSTOMER_PARTS, "gin_trgm_ops"),
        postgresql_where=text("has_case"),
    ),
    Index(
        "ix_customer_to_erase",
        "erase_wanted_at",
        postgresql_where=text("erase_wanted_at IS NOT NULL AND erased_at IS NULL"),
    ),
    # Rows come in the order of time and stay: a summary of each block of pages finds the oldest, and costs no order
    # anything.
    Index("ix_customer_age", "recorded_at", postgresql_using="brin"),
)

person_note = Table(
    "person_note",
    metadata,
    number(),
    word("subject"),  # what the note is on: case:<id>, approval:<id>, decision:<id>
    word("author"),
    Column("text", Text, nullable=False),
    recorded_at(),
    Index("ix_person_note_subject", "subject"),
)
