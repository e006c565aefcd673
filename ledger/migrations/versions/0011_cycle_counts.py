"""Cycle counts: sheets, entries, checkpoints on the stock, and how far each till's feed has come."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("ALTER TABLE stock ADD COLUMN counted_at timestamptz")
    op.execute(
        """
        CREATE TABLE count_line (
            journey_id text NOT NULL,
            sku text NOT NULL,
            bucket text NOT NULL DEFAULT '',
            location text NOT NULL,
            state text NOT NULL DEFAULT 'open',
            round integer NOT NULL DEFAULT 1,
            risk jsonb NOT NULL DEFAULT '[]'::jsonb,
            book integer,
            counted integer,
            value_minor bigint NOT NULL DEFAULT 0,
            root_cause text,
            counted_at timestamptz,
            posted_at timestamptz,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_count_line PRIMARY KEY (journey_id, sku, bucket),
            CONSTRAINT ck_count_line_state_known CHECK (
                state IN ('open', 'counted', 'recount', 'agreed', 'not_counted', 'superseded', 'posted')),
            CONSTRAINT ck_count_line_counted_not_negative CHECK (counted >= 0)
        )
        """
    )
    op.execute(
        "CREATE INDEX ix_count_line_open ON count_line (location, sku)"
        " WHERE state IN ('open', 'counted', 'recount', 'agreed')"
    )
    op.execute("CREATE INDEX ix_count_line_posted ON count_line (location, sku, counted_at) WHERE state = 'posted'")
    op.execute(
        """
        CREATE TABLE count_entry (
            journey_id text NOT NULL,
            round integer NOT NULL,
            sku text NOT NULL,
            bucket text NOT NULL DEFAULT '',
            quantity integer NOT NULL,
            counted_at timestamptz NOT NULL,
            counter text NOT NULL,
            session text NOT NULL,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_count_entry PRIMARY KEY (journey_id, round, sku, bucket),
            CONSTRAINT ck_count_entry_quantity_not_negative CHECK (quantity >= 0)
        )
        """
    )
    op.execute(
        "CREATE TABLE feed_mark (location text NOT NULL, told_until timestamptz NOT NULL,"
        " CONSTRAINT pk_feed_mark PRIMARY KEY (location))"
    )
