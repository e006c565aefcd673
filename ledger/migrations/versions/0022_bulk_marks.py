"""A decision for several cases keeps what each way out was shown to do. Safe on a running system."""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute("ALTER TABLE bulk_item ADD COLUMN IF NOT EXISTS shown text")
