"""Customers can be forgotten; what is append-only cannot be emptied at once either. Safe on a running system: a column
without a default, indexes built beside the work.
"""

from alembic import op

revision = "0031"
down_revision = "0030"

APPEND_ONLY = (
    "movement",
    "journal",
    "journal_line",
    "audit",
    "case_event",
    "approval_verdict",
    "approval_side",
    "policy_copy",
)
INDEXES = {
    "ix_journey_customer": "journey (customer_id) WHERE customer_id IS NOT NULL",
    "ix_customer_to_erase": "customer (erase_wanted_at) WHERE erase_wanted_at IS NOT NULL AND erased_at IS NULL",
    "ix_customer_age": "customer USING brin (recorded_at)",
}


def upgrade() -> None:
    op.execute("ALTER TABLE customer ADD COLUMN IF NOT EXISTS erase_wanted_at timestamptz")
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE OR REPLACE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
    with op.get_context().autocommit_block():
        for name, columns in INDEXES.items():
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}")
