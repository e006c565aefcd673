"""Holds that a channel asks for without an order: which checkout a line belongs to, and what it is for."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE hold ADD COLUMN IF NOT EXISTS checkout text, ADD COLUMN IF NOT EXISTS order_reference text")
    # Without locking the table: intake goes on while the index is built.
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_hold_checkout",
            "hold",
            ["checkout"],
            postgresql_where=sa.text("checkout IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
