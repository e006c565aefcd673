"""Vendor returns, and the partial index by which the cost of what waits for its vendor is found."""

from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS vendor_return (
            id text NOT NULL,
            source text NOT NULL,
            key text NOT NULL,
            vendor text NOT NULL,
            location text NOT NULL,
            region text NOT NULL,
            entity text NOT NULL,
            currency text NOT NULL,
            state text NOT NULL,
            "authorization" text NOT NULL DEFAULT '',
            carrier text NOT NULL DEFAULT '',
            tracking text NOT NULL DEFAULT '',
            requested_by text NOT NULL,
            cost_minor bigint NOT NULL DEFAULT 0,
            credited_minor bigint NOT NULL DEFAULT 0,
            written_off_minor bigint NOT NULL DEFAULT 0,
            credits jsonb NOT NULL DEFAULT '[]'::jsonb,
            reason text NOT NULL DEFAULT '',
            approval_id bigint,
            opened_at timestamptz NOT NULL,
            shipped_at timestamptz,
            closed_at timestamptz,
            recorded_at timestamptz NOT NULL DEFAULT now(),
            CONSTRAINT pk_vendor_return PRIMARY KEY (id),
            CONSTRAINT uq_vendor_return_approval_id UNIQUE (approval_id),
            CONSTRAINT ck_vendor_return_state_known CHECK (state IN ('open', 'authorized', 'shipped',
                'short_credited', 'credited', 'written_off', 'cancelled')),
            CONSTRAINT ck_vendor_return_money_in_range CHECK (
                credited_minor >= 0 AND written_off_minor BETWEEN 0 AND cost_minor)
        )
        """
    )
    op.execute("CREATE INDEX IF NOT EXISTS ix_vendor_return_place ON vendor_return (location, opened_at)")
    op.execute("CREATE INDEX IF NOT EXISTS ix_vendor_return_open ON vendor_return (entity) WHERE closed_at IS NULL")
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS vendor_return_line (
            vendor_return_id text NOT NULL,
            line_id text NOT NULL,
            sku text NOT NULL,
            quantity integer NOT NULL,
            shipped integer NOT NULL DEFAULT 0,
            cost_minor bigint NOT NULL DEFAULT 0,
            CONSTRAINT pk_vendor_return_line PRIMARY KEY (vendor_return_id, line_id),
            CONSTRAINT fk_vendor_return_line_vendor_return_id FOREIGN KEY (vendor_return_id)
                REFERENCES vendor_return (id),
            CONSTRAINT ck_vendor_return_line_shipped_within_quantity CHECK (
                quantity > 0 AND shipped BETWEEN 0 AND quantity)
        )
        """
    )
    with op.get_context().autocommit_block():
        op.execute(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_journal_line_vendor_returns ON journal_line (location, sku)"
            " WHERE account = 'vendor_returns'"
        )
