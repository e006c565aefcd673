"""A case is found by a part of one text instead of four: its subject, its order, its item and its place. Of open cases
and of closed ones there is an index each, so that a search of what is open reads nothing else, and a case that changes is
written into one of them. Items are found by a part of their name without reading every item.

Safe on a running system: the indexes are built beside the work. Until the processes of the release before have ended,
their searches for a text read every case; they find the same.
"""

from alembic import op

revision = "0052"
down_revision = "0051"

_WORDS = "(subject || chr(31) || coalesce(journey_id, '') || chr(31) || sku || chr(31) || location)"
_INDEXES = {
    "ix_case_file_open_words": f"case_file USING gin ({_WORDS} gin_trgm_ops) WHERE closed_at IS NULL",
    "ix_case_file_closed_words": f"case_file USING gin ({_WORDS} gin_trgm_ops) WHERE closed_at IS NOT NULL",
    "ix_item_name_parts": "item USING gin (name gin_trgm_ops)",
}


def upgrade() -> None:
    # Without it the planner takes every text for a rare one: an index of some of the rows says nothing of them.
    op.execute(f"CREATE STATISTICS IF NOT EXISTS case_file_words ON {_WORDS} FROM case_file")
    with op.get_context().autocommit_block():
        for name, columns in _INDEXES.items():
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {columns}")
        for table in ("case_file", "item"):
            op.execute(f"ANALYZE {table}")
    op.execute("DROP INDEX IF EXISTS ix_case_file_parts")
