"""What was decided can be undone for a while: until when, and that it was. Safe on a running system."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("ALTER TABLE case_file ADD COLUMN IF NOT EXISTS applies_at timestamptz")
    name = "ck_case_decision_state_known"
    op.execute(f"ALTER TABLE case_decision DROP CONSTRAINT {name}")
    op.execute(
        f"ALTER TABLE case_decision ADD CONSTRAINT {name}"
        " CHECK (state IN ('applying', 'awaiting_approval', 'applied', 'refused', 'undone')) NOT VALID"
    )
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE case_decision VALIDATE CONSTRAINT {name}")
