"""A queue of a million cases is read by indexes that say what it asks for. Safe on a running system: columns without a
table being written anew, rows filled in batches, indexes built beside the work.

Parts of words are found by trigrams (`pg_trgm`, one of PostgreSQL's own additional modules). Of customers only those
whose order has had a case are indexed, so that taking an order costs what it did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

FIND_CUSTOMER = """
CREATE OR REPLACE FUNCTION case_finds_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.customer_id := (SELECT customer_id FROM journey WHERE id = NEW.journey_id);
    UPDATE customer SET has_case = true WHERE id = NEW.customer_id AND NOT has_case;
    RETURN NEW;
END $$
"""
INDEXES = {
    "ix_case_file_place": "case_file (location, next_due_at, id) WHERE closed_at IS NULL",
    "ix_case_file_kind": "case_file (kind, next_due_at, id) WHERE closed_at IS NULL",
    "ix_case_file_sku": "case_file (sku, next_due_at, id)",
    "ix_case_file_priority": "case_file (priority_score, id) WHERE closed_at IS NULL",
    "ix_case_file_age": "case_file (opened_at, id) WHERE closed_at IS NULL",
    "ix_case_file_open_by_kind": "case_file (kind, entity, location, currency)"
    " INCLUDE (opened_at, value_at_risk_minor, region) WHERE closed_at IS NULL",
    "ix_case_file_opened": "case_file (opened_at, id) INCLUDE (sku, location, region, entity, repeat_count, closed_at)",
    "ix_case_file_customer": "case_file (customer_id) WHERE customer_id IS NOT NULL",
    "ix_case_file_parts": "case_file USING gin (subject gin_trgm_ops, journey_id gin_trgm_ops, sku gin_trgm_ops,"
    " location gin_trgm_ops)",
    "ix_customer_with_case": "customer USING gin (name gin_trgm_ops, email gin_trgm_ops, phone gin_trgm_ops)"
    " WHERE has_case",
    "ix_approval_waiting": "approval (case_id) WHERE state = 'pending'",
}
BATCH = 20_000


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute("ALTER TABLE case_file ADD COLUMN IF NOT EXISTS customer_id text")
    op.execute("ALTER TABLE customer ADD COLUMN IF NOT EXISTS has_case boolean NOT NULL DEFAULT false")
    op.execute(FIND_CUSTOMER)
    op.execute(
        "CREATE OR REPLACE TRIGGER case_has_customer BEFORE INSERT ON case_file FOR EACH ROW"
        " WHEN (NEW.journey_id IS NOT NULL) EXECUTE FUNCTION case_finds_customer()"
    )
    op.execute("ALTER TABLE case_file DROP CONSTRAINT IF EXISTS ck_case_file_closed_says_when")
    op.execute(
        "ALTER TABLE case_file ADD CONSTRAINT ck_case_file_closed_says_when"
        " CHECK ((closed_at IS NOT NULL) = (state IN ('resolved', 'cancelled'))) NOT VALID"
    )
    with op.get_context().autocommit_block():
        _find_customers_of_cases()
        op.execute("ALTER TABLE case_file VALIDATE CONSTRAINT ck_case_file_closed_says_when")
        for name, columns in INDEXES.items():
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}")


def _find_customers_of_cases() -> None:
    """Those of cases that were opened before, some thousand at a time."""
    connection = op.get_bind()
    last = connection.execute(sa.text("SELECT coalesce(max(id), 0) FROM case_file")).scalar_one()
    first = connection.execute(sa.text("SELECT coalesce(min(id), 1) FROM case_file")).scalar_one()
    for start in range(first, last + 1, BATCH):
        span = {"first": start, "last": start + BATCH - 1}
        connection.execute(
            sa.text(
                "UPDATE case_file c SET customer_id = j.customer_id FROM journey j WHERE j.id = c.journey_id"
                " AND j.customer_id IS NOT NULL AND c.customer_id IS NULL AND c.id BETWEEN :first AND :last"
            ),
            span,
        )
        connection.execute(
            sa.text(
                "UPDATE customer SET has_case = true WHERE NOT has_case"
                " AND id IN (SELECT customer_id FROM case_file WHERE id BETWEEN :first AND :last)"
            ),
            span,
        )
