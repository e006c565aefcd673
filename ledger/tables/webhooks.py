"""Outgoing webhooks: who wants to be told what, and every message with what became of it."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY

from domain.webhooks import DELIVERY_STATES, ENDPOINT_STATES
from ledger.tables.base import document, instant, metadata, number, one_of, recorded_at, word

webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    word("id", primary_key=True),
    word("source"),
    Column("sources", ARRAY(Text), nullable=False),  # whose journeys it hears of; * is everybody's
    word("url"),
    Column("types", ARRAY(Text), nullable=False),
    word("state", default="active"),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("older_sealed", LargeBinary),  # signs beside the new one until `older_until`
    instant("older_until", nullable=True),
    instant("created_at"),
    instant("failing_since", nullable=True),
    word("disabled_reason", nullable=True),
    recorded_at(),
    one_of("state", ENDPOINT_STATES),
    Index("ix_webhook_endpoint_active", "id", postgresql_where=text("state = 'active'")),
)

webhook_delivery = Table(
    "webhook_delivery",
    metadata,
    number(),
    Column("endpoint_id", ForeignKey("webhook_endpoint.id"), nullable=False),
    word("type"),
    word("subject"),
    document("body"),
    instant("at"),
    word("state", default="queued"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    instant("not_before"),
    instant("leased_until", nullable=True),
    document("log", default="'[]'::jsonb"),
    instant("ended_at", nullable=True),
    recorded_at(),
    one_of("state", DELIVERY_STATES),
    Index("ix_webhook_delivery_queued", "endpoint_id", "not_before", "id", postgresql_where=text("state = 'queued'")),
    Index("ix_webhook_delivery_endpoint", "endpoint_id", "id"),
    Index("ix_webhook_delivery_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)
