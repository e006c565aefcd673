"""Summaries of pages by which figures find the orders promised and the cases due in a period."""

from alembic import op

revision = "0039"
down_revision = "0038"

INDEXES = {
    "ix_journey_promised": "journey USING brin (promised_at)",
    "ix_case_file_unresolved": "case_file USING brin (unresolved_due_at)",
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for name, columns in INDEXES.items():
            op.execute(
                f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}"
                " WITH (pages_per_range = 32, autosummarize = on)"
            )
