"""Marks of lists that processes keep; the first is of the places. Safe on a running system: older processes know nothing of
them, and the trigger costs whoever writes places one row.
"""

from alembic import op

revision = "0053"
down_revision = "0052"

PLACES = "code, name, kind, region, entity, time_zone"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE IF NOT EXISTS list_mark"
        " (name text NOT NULL CONSTRAINT pk_list_mark PRIMARY KEY, mark uuid NOT NULL)"
    )
    op.execute("""
        CREATE OR REPLACE FUNCTION list_gets_a_mark() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO list_mark (name, mark) VALUES (TG_TABLE_NAME, gen_random_uuid())
            ON CONFLICT (name) DO UPDATE SET mark = excluded.mark;
            RETURN NULL;
        END $$
    """)
    op.execute(
        f"CREATE OR REPLACE TRIGGER location_is_marked AFTER INSERT OR DELETE OR UPDATE OF {PLACES} OR TRUNCATE"
        " ON location FOR EACH STATEMENT EXECUTE FUNCTION list_gets_a_mark()"
    )
    op.execute("INSERT INTO list_mark (name, mark) VALUES ('location', gen_random_uuid()) ON CONFLICT DO NOTHING")
