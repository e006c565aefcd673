"""Which stock is below zero, and since when: kept by the database, since no index may mention a bucket."""

from alembic import op

revision = "0004"
down_revision = "0003"

KEEP = """
CREATE FUNCTION keep_below_zero() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.available < 0 THEN
        INSERT INTO below_zero (location, sku) VALUES (NEW.location, NEW.sku) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM below_zero WHERE location = NEW.location AND sku = NEW.sku;
    END IF;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(
        "CREATE TABLE below_zero (location text NOT NULL, sku text NOT NULL, since timestamptz NOT NULL DEFAULT now(),"
        " CONSTRAINT pk_below_zero PRIMARY KEY (location, sku))"
    )
    op.execute("CREATE INDEX ix_below_zero_since ON below_zero (since)")
    op.execute(KEEP)
    # The condition is checked without a call; only a crossing of zero costs anything.
    op.execute(
        "CREATE TRIGGER stock_crosses_zero AFTER UPDATE OF available ON stock FOR EACH ROW"
        " WHEN ((OLD.available < 0) <> (NEW.available < 0)) EXECUTE FUNCTION keep_below_zero()"
    )
    op.execute(
        "CREATE TRIGGER stock_begins_below_zero AFTER INSERT ON stock FOR EACH ROW"
        " WHEN (NEW.available < 0) EXECUTE FUNCTION keep_below_zero()"
    )
