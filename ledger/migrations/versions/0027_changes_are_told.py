"""Open pages hear of changes of cases and approvals: a short notice by trigger, carried by PostgreSQL after the commit.

A notice names the row and its place and says nothing about it. Nothing else in a transaction notifies: orders and facts
do not, unless they change a case. Safe on a running system.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

TELL = """
CREATE OR REPLACE FUNCTION tell_of_change(what text, id bigint, version int, is_new bool, entity text, region text,
    location text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    notice text := json_build_array(what, id, version, is_new, entity, region, location)::text;
BEGIN
    IF octet_length(notice) < 8000 THEN  -- PostgreSQL takes no longer one, and no change may fail for a notice
        PERFORM pg_notify('endcap_changes', notice);
    END IF;
END $$
"""
CASE = """
CREATE OR REPLACE FUNCTION case_tells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_of_change('case', NEW.id, NEW.version, TG_OP = 'INSERT' OR OLD.episode <> NEW.episode, NEW.entity,
        NEW.region, NEW.location);
    IF TG_OP = 'UPDATE' AND OLD.location <> NEW.location THEN
        PERFORM tell_of_change('case', NEW.id, NEW.version, false, OLD.entity, OLD.region, OLD.location);
    END IF;
    RETURN NULL;
END $$
"""
APPROVAL = """
CREATE OR REPLACE FUNCTION approval_tells() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM tell_of_change('approval', NEW.id, NEW.version, TG_OP = 'INSERT', NEW.entity, NEW.region, NEW.location);
    RETURN NULL;
END $$
"""
SHOWN = {
    "case": "OLD.version <> NEW.version OR OLD.state <> NEW.state OR OLD.level <> NEW.level"
    " OR OLD.location <> NEW.location OR OLD.claimed_by IS DISTINCT FROM NEW.claimed_by"
    " OR OLD.waiting_until IS DISTINCT FROM NEW.waiting_until",
    "approval": "OLD.version <> NEW.version OR OLD.state <> NEW.state OR OLD.level <> NEW.level"
    " OR OLD.paused_at IS DISTINCT FROM NEW.paused_at",
}


def upgrade() -> None:
    for function in (TELL, CASE, APPROVAL):
        op.execute(function)
    for name, table in (("case", "case_file"), ("approval", "approval")):
        op.execute(
            f"CREATE OR REPLACE TRIGGER {name}_begins_told AFTER INSERT ON {table} FOR EACH ROW"
            f" EXECUTE FUNCTION {name}_tells()"
        )
        op.execute(
            f"CREATE OR REPLACE TRIGGER {name}_change_told AFTER UPDATE ON {table} FOR EACH ROW"
            f" WHEN ({SHOWN[name]}) EXECUTE FUNCTION {name}_tells()"
        )
