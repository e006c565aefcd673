"""Refunds that the system of the order carries out, and confirms."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    name = op.f("ck_payment_operation_state_known")
    op.execute(f"ALTER TABLE payment_operation DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE payment_operation ADD CONSTRAINT {name}"
        " CHECK (state IN ('requested', 'succeeded', 'declined', 'unknown', 'withdrawn', 'with_source')) NOT VALID"
    )
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE payment_operation VALIDATE CONSTRAINT {name}")
