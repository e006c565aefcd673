"""Places that close, items that stop, why a promise is doubted, and authorisations that are renewed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "location_status",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.CheckConstraint("status IN ('no_pickup', 'closed')", name=op.f("ck_location_status_status_known")),
        sa.CheckConstraint(
            "ends_at IS NULL OR ends_at > starts_at", name=op.f("ck_location_status_ends_after_it_starts")
        ),
        sa.ForeignKeyConstraint(["location"], ["location.code"], name=op.f("fk_location_status_location")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location_status")),
        if_not_exists=True,
    )
    op.create_index("ix_location_status_location", "location_status", ["location", "starts_at"], if_not_exists=True)
    op.create_table(
        "item_stop",
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["sku"], ["item.sku"], name=op.f("fk_item_stop_sku")),
        sa.ForeignKeyConstraint(["location"], ["location.code"], name=op.f("fk_item_stop_location")),
        sa.PrimaryKeyConstraint("sku", "location", name=op.f("pk_item_stop")),
        if_not_exists=True,
    )
    op.execute("ALTER TABLE hold ADD COLUMN IF NOT EXISTS doubted_because text")
    # Checked for new rows at once, for old ones without keeping anybody from writing.
    name = op.f("ck_payment_operation_kind_known")
    op.execute(f"ALTER TABLE payment_operation DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE payment_operation ADD CONSTRAINT {name}"
        " CHECK (kind IN ('capture', 'void', 'refund', 'renew')) NOT VALID"
    )
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE payment_operation VALIDATE CONSTRAINT {name}")
        op.create_index(
            "ix_payment_authorized_until",
            "payment",
            ["authorized_until"],
            postgresql_where=sa.text("authorized_until IS NOT NULL AND captured_minor + voided_minor < amount_minor"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
