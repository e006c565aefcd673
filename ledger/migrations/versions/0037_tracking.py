"""What carriers say of parcels under way; goods on their way and tracking numbers are found by indexes."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE IF NOT EXISTS parcel_tracking (journey_id text NOT NULL, tracking text NOT NULL, carrier text, status text,"
        " expected_at timestamptz, told_at timestamptz, asked_at timestamptz, error text,"
        " recorded_at timestamptz NOT NULL DEFAULT now(),"
        " CONSTRAINT pk_parcel_tracking PRIMARY KEY (journey_id, tracking),"
        " CONSTRAINT ck_parcel_tracking_told CHECK ((status IS NULL) = (told_at IS NULL)))"
    )
    # Without locking the tables: goods go on moving while the indexes are built.
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_transfer_line_moving",
            "transfer_line",
            ["journey_id"],
            postgresql_where=sa.text("in_transit > 0"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_transfer_parcel_tracking",
            "transfer_parcel",
            ["tracking"],
            postgresql_where=sa.text("tracking IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
