"""Photos are forgotten with the customer who sent them. Safe on a running system: a column without a default."""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.execute("ALTER TABLE photo ADD COLUMN forgotten_at timestamptz")
    op.execute("CREATE INDEX ix_photo_forgotten ON photo (forgotten_at) WHERE forgotten_at IS NOT NULL")
