"""Approvals that need several people: the sides of one, and for which side each word counts. Safe on a running system.

What was decided before needed one word, whatever its policy said; it goes on saying so.
"""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE approval_side (approval_id bigint NOT NULL, name text NOT NULL, entity text NOT NULL,"
        " region text NOT NULL, need integer NOT NULL, CONSTRAINT pk_approval_side PRIMARY KEY (approval_id, name),"
        " CONSTRAINT fk_approval_side_approval_id FOREIGN KEY (approval_id) REFERENCES approval (id))"
    )
    op.execute(
        "CREATE TRIGGER approval_side_append_only BEFORE UPDATE OR DELETE ON approval_side"
        " FOR EACH ROW EXECUTE FUNCTION append_only()"
    )
    op.execute("ALTER TABLE approval_verdict ADD COLUMN IF NOT EXISTS sides text[] NOT NULL DEFAULT '{\"\"}'")
    op.execute("UPDATE approval SET quorum = 1 WHERE state <> 'pending' AND quorum <> 1")
