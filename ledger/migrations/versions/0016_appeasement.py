"""What a substitute costs more than the customer pays is an appeasement, not a promotion. Safe on a running system."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("ALTER TABLE sale_line ADD COLUMN IF NOT EXISTS appeasement_minor bigint NOT NULL DEFAULT 0")
