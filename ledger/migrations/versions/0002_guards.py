"""What the database itself refuses: unbalanced journals, and changes to what is append-only."""

from alembic import op

revision = "0002"
down_revision = "0001"

BALANCE = """
CREATE FUNCTION journal_must_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wrong record;
BEGIN
    SELECT journal_id, sum(debit_minor) AS debit, sum(credit_minor) AS credit INTO wrong
    FROM written GROUP BY journal_id HAVING sum(debit_minor) <> sum(credit_minor) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal % does not balance: debit %, credit %', wrong.journal_id, wrong.debit, wrong.credit
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$
"""

APPEND_ONLY = """
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only; a correction is another row', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$
"""

# A journal's seal is the one thing that is written later.
SEALED_ONCE = """
CREATE FUNCTION journal_changes_only_its_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.sealed_no IS NOT NULL
       OR (to_jsonb(NEW) - 'sealed_no' - 'sealed_hash') <> (to_jsonb(OLD) - 'sealed_no' - 'sealed_hash') THEN
        RAISE EXCEPTION 'a journal is append-only; a correction is another entry'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$
"""

# Months of movements that do not exist yet are made ahead; the default partition takes what comes before that.
PARTITION = """
CREATE FUNCTION movement_partition(month date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'movement_' || to_char(month, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF movement FOR VALUES FROM (%L) TO (%L)',
                       name, date_trunc('month', month), date_trunc('month', month) + interval '1 month');
    END IF;
END $$
"""


def upgrade() -> None:
    op.execute(BALANCE)
    op.execute(
        "CREATE TRIGGER journal_line_balance AFTER INSERT ON journal_line REFERENCING NEW TABLE AS written"
        " FOR EACH STATEMENT EXECUTE FUNCTION journal_must_balance()"
    )
    op.execute(APPEND_ONLY)
    for table in ("movement", "journal_line", "audit", "case_event", "approval_verdict"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION append_only()"
        )
    op.execute(SEALED_ONCE)
    op.execute(
        "CREATE TRIGGER journal_append_only BEFORE UPDATE ON journal"
        " FOR EACH ROW EXECUTE FUNCTION journal_changes_only_its_seal()"
    )
    op.execute("CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal FOR EACH ROW EXECUTE FUNCTION append_only()")
    op.execute("CREATE TABLE movement_default PARTITION OF movement DEFAULT")
    op.execute(PARTITION)
    op.execute(
        "SELECT movement_partition((date_trunc('month', now()) + make_interval(months => n))::date)"
        " FROM generate_series(0, 2) AS n"
    )
