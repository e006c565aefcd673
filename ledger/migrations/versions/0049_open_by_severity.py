"""Open cases by severity and region, so that the critical ones are counted without reading every open case.

Safe on a running system: the index is built beside the work.
"""

from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_case_file_severity ON case_file (severity, region)"
            " WHERE closed_at IS NULL"
        )
