"""What a queue counts is read from small indexes alone: open cases by region, by place and by who has claimed them carry
what is asked together with them, and those that are being decided have an index of their own.

Safe on a running system: each index is built beside the work, and takes the place of a narrower one only then. That few
open cases are in most of the states is told to the planner, which else takes state and `closed_at` for independent.
"""

from alembic import op

revision = "0051"
down_revision = "0050"

_COUNTED_BY = "channel, kind, severity, state, claimed_by, owner_role, opened_at"
_INDEXES = {
    "ix_case_file_by_region": f"(region, next_due_at, id) INCLUDE (location, entity, {_COUNTED_BY})"
    " WHERE closed_at IS NULL",
    "ix_case_file_by_place": f"(location, next_due_at, id) INCLUDE (region, entity, {_COUNTED_BY})"
    " WHERE closed_at IS NULL",
    "ix_case_file_deciding": "(region, next_due_at, id) INCLUDE (entity, location)"
    " WHERE state = 'deciding' AND closed_at IS NULL",
    "ix_case_file_claimed": "(claimed_by, next_due_at, id) INCLUDE (region, entity, location) WHERE closed_at IS NULL",
}
_REPLACED = ("ix_case_file_region", "ix_case_file_place", "ix_case_file_mine")
_STATISTICS = {
    "case_file_open_states": "state, closed_at",
    "case_file_open_claims": "state, closed_at, claimed_by",
}


def upgrade() -> None:
    for name, columns in _STATISTICS.items():
        op.execute(f"CREATE STATISTICS IF NOT EXISTS {name} (mcv) ON {columns} FROM case_file")
    with op.get_context().autocommit_block():
        for name, columns in _INDEXES.items():
            op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON case_file {columns}")
        op.execute("ANALYZE case_file")
    # Not concurrently, which would wait for whoever reads the table, however long: so it gives way, and tries again.
    for name in _REPLACED:
        op.execute(f"DROP INDEX IF EXISTS {name}")
