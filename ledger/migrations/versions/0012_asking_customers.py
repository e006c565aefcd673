"""Offers to customers; links of approvals become links of anybody.

Safe on a running system: the table of links is renamed, and the code of the release before goes on reading and writing
it by its old name through a view until it is replaced.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"

STATES = "state IN ('open', 'accepted', 'applied', 'declined', 'rejected', 'expired', 'withdrawn')"


def upgrade() -> None:
    document = postgresql.JSONB()
    empty = sa.text("'{}'::jsonb")
    op.create_table(
        "offer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("journey_id", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("option", document, server_default=empty, nullable=False),
        sa.Column("missing", document, server_default=empty, nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=True),
        sa.Column("approval_id", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("because", sa.Text(), server_default="", nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(STATES, name="ck_offer_state_known"),
        sa.ForeignKeyConstraint(["journey_id"], ["journey.id"], name="fk_offer_journey_id"),
        sa.PrimaryKeyConstraint("id", name="pk_offer"),
    )
    op.create_index("ix_offer_journey", "offer", ["journey_id", "id"])
    op.create_index(
        "uq_offer_undecided",
        "offer",
        ["journey_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('open', 'accepted')"),
    )
    op.rename_table("approval_link", "link")
    for before, after in (
        ("pk_approval_link", "pk_link"),
        ("fk_approval_link_approval_id", "fk_link_approval_id"),
        ("fk_approval_link_person_id", "fk_link_person_id"),
    ):
        op.execute(f"ALTER TABLE link RENAME CONSTRAINT {before} TO {after}")
    op.execute("ALTER INDEX ix_approval_link_approval_id RENAME TO ix_link_approval_id")
    op.execute(
        "ALTER TABLE link ALTER COLUMN approval_id DROP NOT NULL, ALTER COLUMN person_id DROP NOT NULL,"
        " ADD COLUMN offer_id bigint, ADD COLUMN journey_id text, ADD COLUMN customer_id text,"
        " ADD CONSTRAINT fk_link_offer_id FOREIGN KEY (offer_id) REFERENCES offer (id),"
        " ADD CONSTRAINT fk_link_journey_id FOREIGN KEY (journey_id) REFERENCES journey (id),"
        " ADD CONSTRAINT fk_link_customer_id FOREIGN KEY (customer_id) REFERENCES customer (id),"
        " ADD CONSTRAINT ck_link_about_one_thing CHECK (num_nonnulls(approval_id, offer_id, journey_id) = 1),"
        " ADD CONSTRAINT ck_link_of_one_reader CHECK (num_nonnulls(person_id, customer_id) = 1)"
    )
    op.create_index("ix_link_offer_id", "link", ["offer_id"])
    op.create_index("ix_link_journey_id", "link", ["journey_id"])
    op.execute(
        "CREATE VIEW approval_link AS SELECT token_hash, approval_id, person_id, created_at, expires_at, revoked_at,"
        " first_opened_at FROM link WHERE approval_id IS NOT NULL"
    )
