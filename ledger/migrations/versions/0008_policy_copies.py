"""Each policy that journeys keep is stored once; an order's rows are fewer and narrower.

Journeys begun before keep theirs, and processes of the release before may go on writing it. What has been done already
is passed over, since the indexes are built outside of the transaction.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE IF NOT EXISTS policy_copy (id text NOT NULL, body jsonb NOT NULL DEFAULT '{}'::jsonb,"
        " recorded_at timestamptz NOT NULL DEFAULT now(), CONSTRAINT pk_policy_copy PRIMARY KEY (id))"
    )
    op.execute(
        "CREATE OR REPLACE TRIGGER policy_copy_append_only BEFORE UPDATE OR DELETE ON policy_copy"
        " FOR EACH ROW EXECUTE FUNCTION append_only()"
    )
    op.execute("ALTER TABLE journey ADD COLUMN IF NOT EXISTS policy_copy text")
    op.execute("ALTER TABLE journey ALTER COLUMN policy DROP NOT NULL, ALTER COLUMN policy DROP DEFAULT")
    # A line is written by the statement that writes its journey, and a journey is never deleted.
    op.execute("ALTER TABLE journey_line DROP CONSTRAINT IF EXISTS fk_journey_line_journey_id")
    _index_what_leaves_a_place()


def _index_what_leaves_a_place() -> None:
    """Most movements stay at their place and are found by where they went to. Partition by partition, so that intake
    goes on meanwhile; a partition that is made later takes the index over by itself.
    """
    with op.get_context().autocommit_block():
        columns = "(sku, from_location, recorded_at) WHERE from_location <> to_location"
        op.execute(f"CREATE INDEX IF NOT EXISTS ix_movement_leaving ON ONLY movement {columns}")
        partitions = op.get_bind().execute(
            sa.text(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'movement'::regclass ORDER BY 1"
            )
        )
        for (partition,) in partitions.all():
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {partition}_leaving ON {partition} {columns}")
            op.execute(f"ALTER INDEX ix_movement_leaving ATTACH PARTITION {partition}_leaving")
        op.execute("DROP INDEX IF EXISTS ix_movement_from_place")
