"""What the provider of single sign-on calls a session that it has begun, so that it can end that one.

Safe on a running system: a column without a default changes the catalogue alone and gives way to whoever holds the
table for longer than five seconds; the index is built beside the work. Sessions from before have no such name and end with any of their person's there.
"""

from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("ALTER TABLE session ADD COLUMN IF NOT EXISTS provider_session text")
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_session_provider_session ON session (provider_session)"
            " WHERE provider_session IS NOT NULL"
        )
