"""When the prices of a promotion are read back once more, and how often they were.

Safe on a running system: columns without a default, or with one that is constant, change the catalogue alone and give
way to whoever holds the table for longer than five seconds. What was published before is not read back again.
"""

from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE publication ADD COLUMN IF NOT EXISTS check_at timestamptz")
    op.execute("ALTER TABLE publication ADD COLUMN IF NOT EXISTS checks integer DEFAULT 0 NOT NULL")
    op.execute("CREATE INDEX IF NOT EXISTS ix_publication_check ON publication (check_at) WHERE check_at IS NOT NULL")
