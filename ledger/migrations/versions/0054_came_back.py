"""Closed cases by item, place and kind, so that the page of a case finds those that came before it without reading all that
closed in the same weeks. Safe on a running system: the index is built beside the work.
"""

from alembic import op

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_case_file_came_back ON case_file (sku, location, kind, closed_at)"
            " WHERE closed_at IS NOT NULL"
        )
