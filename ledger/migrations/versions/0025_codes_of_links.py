"""A link may ask for a code that stands in its mail. Safe on a running system."""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE link ADD COLUMN IF NOT EXISTS code_hash bytea,"
        " ADD COLUMN IF NOT EXISTS code_misses integer NOT NULL DEFAULT 0"
    )
