"""Single sign-on: which identity at a provider is which person, and of a session when its person last proved themselves,
with which provider, and by which answer of it (used once).

Safe on a running system: columns without a default change the catalogue alone; the index is built beside the work.
"""

from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE IF NOT EXISTS person_identity ("
        " issuer text NOT NULL, subject text NOT NULL, person_id text NOT NULL, linked_by text NOT NULL,"
        " recorded_at timestamptz NOT NULL DEFAULT now(),"
        " CONSTRAINT pk_person_identity PRIMARY KEY (issuer, subject),"
        " CONSTRAINT fk_person_identity_person_id FOREIGN KEY (person_id) REFERENCES person (id))"
    )
    op.execute("CREATE UNIQUE INDEX IF NOT EXISTS uq_person_identity_person ON person_identity (person_id, issuer)")
    op.execute("ALTER TABLE session ADD COLUMN IF NOT EXISTS proven_at timestamptz")
    op.execute("ALTER TABLE session ADD COLUMN IF NOT EXISTS issuer text")
    op.execute("ALTER TABLE session ADD COLUMN IF NOT EXISTS state_hash bytea")
    with op.get_context().autocommit_block():
        op.execute("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS uq_session_state_hash ON session (state_hash)")
