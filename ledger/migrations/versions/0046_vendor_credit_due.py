"""Until when a vendor's credit is expected for goods that went back to it.

Safe on a running system: a column without a default changes the catalogue alone and gives way to whoever holds the
table for longer than five seconds. Documents that a vendor still owes something of get thirty days from their shipment;
those that a process from before this one ships meanwhile have no such instant, and are asked about by nobody.
"""

from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE vendor_return ADD COLUMN IF NOT EXISTS credit_due_at timestamptz")
    op.execute(
        "UPDATE vendor_return SET credit_due_at = shipped_at + interval '30 days'"
        " WHERE shipped_at IS NOT NULL AND closed_at IS NULL AND credit_due_at IS NULL"
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_vendor_return_due ON vendor_return (credit_due_at) WHERE closed_at IS NULL"
    )
