"""Overrides of what policy refused of a return, with who asked, why, and what came of it.

Safe on a running system: it adds an empty table.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0044"
down_revision = "0043"

STATES = "'pending', 'approved', 'rejected', 'expired', 'superseded'"


def upgrade() -> None:
    op.create_table(
        "return_override",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("journey_id", sa.Text(), nullable=False),
        sa.Column("lines", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("approval_id", sa.BigInteger(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint(f"state IN ({STATES})", name=op.f("ck_return_override_state_known")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_return_override_amount_positive")),
        sa.CheckConstraint(
            "(settled_at IS NULL) = (state = 'pending')", name=op.f("ck_return_override_settled_when_answered")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_override")),
        sa.UniqueConstraint("approval_id", name=op.f("uq_return_override_approval_id")),
    )
    op.create_index("ix_return_override_journey", "return_override", ["journey_id"])
    op.create_index("ix_return_override_asked", "return_override", ["asked_at"])
