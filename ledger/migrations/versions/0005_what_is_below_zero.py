"""What is below zero already, and indexes for what the worker sweeps; apart from the trigger, whose lock is gone by now."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Locked while it is read: stock that comes back meanwhile waits, and then takes its row out again.
    op.execute(
        "WITH now_below AS (SELECT location, sku FROM stock WHERE available < 0 FOR UPDATE)"
        " INSERT INTO below_zero (location, sku) SELECT location, sku FROM now_below ON CONFLICT DO NOTHING"
    )
    op.execute(
        "CREATE INDEX ix_case_file_negative ON case_file (id) WHERE kind = 'negative_inventory' AND closed_at IS NULL"
    )
    op.execute("CREATE INDEX ix_case_decision_applying ON case_decision (id) WHERE state = 'applying'")
