"""A return is found by the reference on its parcel. The index is built beside the work."""

from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_journey_return_label ON journey ((detail ->> 'label'))"
            " WHERE kind = 'returns'"
        )
