"""Asking customers, and the links that mails carry: to approvers and to customers, one table for all of them."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, text

from domain.offer import OFFER_STATES
from ledger.tables.base import document, instant, metadata, number, one_of, recorded_at, word

# A way out that the customer of an order was asked about. What it holds is in `hold`, under lines `offer:<id>:<n>`.
offer = Table(
    "offer",
    metadata,
    number(),
    Column("journey_id", ForeignKey("journey.id"), nullable=False),
    word("way"),  # the option's id: substitute, other_store:S2, wait
    document("option"),  # as it was offered, with its consequence
    document("missing"),  # units by line that the order lacked then; another figure withdraws the offer
    word("state", default="open"),
    word("asked_by"),  # a person, or endcap
    Column("decision_id", BigInteger),
    Column("approval_id", BigInteger),
    instant("at"),
    instant("due_at"),
    word("answer", nullable=True),
    instant("answered_at", nullable=True),  # or withdrawn, or ended by silence
    word("because", default=""),  # why it ended, when no answer of the customer says it
    recorded_at(),
    one_of("state", OFFER_STATES),
    Index("ix_offer_journey", "journey_id", "id"),
    Index("uq_offer_undecided", "journey_id", unique=True, postgresql_where=text("state IN ('open', 'accepted')")),
)

# What a link in a mail opens; of its token only the hash is kept. It is about one thing and belongs to one reader.
link = Table(
    "link",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("approval_id", ForeignKey("approval.id"), index=True),
    Column("person_id", ForeignKey("person.id")),
    instant("created_at"),
    instant("expires_at"),
    instant("revoked_at", nullable=True),
    instant("first_opened_at", nullable=True),
    Column("code_hash", LargeBinary),  # of the token with the code that stands in the mail; none asks for no code
    Column("code_misses", Integer, nullable=False, server_default=text("0")),
    Column("offer_id", ForeignKey("offer.id"), index=True),
    Column("journey_id", ForeignKey("journey.id"), index=True),
    Column("customer_id", ForeignKey("customer.id")),
    CheckConstraint("num_nonnulls(approval_id, offer_id, journey_id) = 1", name="about_one_thing"),
    CheckConstraint("num_nonnulls(person_id, customer_id) = 1", name="of_one_reader"),
)
