"""Adjustments as documents: asked for by people or reported by systems, parked until somebody has decided."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE adjustment (id text NOT NULL, source text NOT NULL, key text NOT NULL, state text NOT NULL,"
        " location text NOT NULL, region text NOT NULL, entity text NOT NULL, currency text NOT NULL,"
        " requested_by text NOT NULL, barred text[] NOT NULL DEFAULT '{}', level integer NOT NULL,"
        " gross_minor bigint NOT NULL DEFAULT 0, approval_id bigint, case_id bigint, at timestamptz NOT NULL,"
        " closed_at timestamptz, recorded_at timestamptz NOT NULL DEFAULT now(),"
        " CONSTRAINT pk_adjustment PRIMARY KEY (id),"
        " CONSTRAINT uq_adjustment_approval_id UNIQUE (approval_id), CONSTRAINT uq_adjustment_case_id UNIQUE (case_id),"
        " CONSTRAINT ck_adjustment_state_known CHECK (state IN"
        " ('awaiting_approval', 'in_review', 'posted', 'rejected', 'expired', 'undone')))"
    )
    op.execute("CREATE INDEX ix_adjustment_open_place ON adjustment (location) WHERE closed_at IS NULL")
    op.execute(
        "CREATE TABLE adjustment_line (adjustment_id text NOT NULL, line_no integer NOT NULL, sku text NOT NULL,"
        " quantity integer NOT NULL, reason text NOT NULL, cost_minor bigint NOT NULL DEFAULT 0,"
        " parked integer NOT NULL DEFAULT 0, posted integer NOT NULL DEFAULT 0,"
        " CONSTRAINT pk_adjustment_line PRIMARY KEY (adjustment_id, line_no),"
        " CONSTRAINT fk_adjustment_line_adjustment_id FOREIGN KEY (adjustment_id) REFERENCES adjustment (id),"
        " CONSTRAINT ck_adjustment_line_quantity_not_zero CHECK (quantity <> 0),"
        " CONSTRAINT ck_adjustment_line_parked_within_quantity CHECK (parked >= 0 AND parked <= abs(quantity)),"
        " CONSTRAINT ck_adjustment_line_posted_within_quantity CHECK (abs(posted) <= abs(quantity)))"
    )
