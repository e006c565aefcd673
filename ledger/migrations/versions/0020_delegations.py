"""Delegations know who made them and who ended them. Safe on a running system."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    for column in ("made_by", "ended_by"):
        op.execute(f"ALTER TABLE delegation ADD COLUMN IF NOT EXISTS {column} text")
        op.execute(
            f"ALTER TABLE delegation ADD CONSTRAINT fk_delegation_{column} FOREIGN KEY ({column}) REFERENCES person (id)"
        )
    for column in ("from_person", "to_person"):
        op.execute(f"CREATE INDEX IF NOT EXISTS ix_delegation_{column} ON delegation ({column}, ends_at)")
