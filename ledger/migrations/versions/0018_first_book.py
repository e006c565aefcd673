"""What the book said at a line's first blind figure, for the figure of accuracy. Safe on a running system."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("ALTER TABLE count_line ADD COLUMN IF NOT EXISTS first_book integer")
