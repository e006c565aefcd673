"""An index of parts of the numbers of journeys, by which people look for an order. It is built beside the work."""

from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_journey_key_parts ON journey USING gin (key gin_trgm_ops)"
        )
