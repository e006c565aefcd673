"""Cases are found by their root cause, and lose a column that nothing was ever written to (`parent_id`: which parent a
case stands under follows from its cause).

Safe on a running system: the index is built beside the work. Dropping the column changes the catalogue alone, gives way
to whoever holds the table for longer than five seconds, and may be run again. No release has read or written it; a
process of an unreleased version from before this one names it when it reads a case, and is replaced first.
"""

from alembic import op

revision = "0041"
down_revision = "0040"

INDEX = "ix_case_file_root_cause"
COLUMNS = "case_file (root_cause, closed_at) WHERE root_cause IS NOT NULL"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE case_file DROP COLUMN IF EXISTS parent_id")
    with op.get_context().autocommit_block():
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {INDEX} ON {COLUMNS}")
