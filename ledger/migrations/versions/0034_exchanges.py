"""The tender `exchange`: what a return pays of its replacement. Safe on a running system: the wider rule is validated
without a long lock.
"""

from alembic import op

revision = "0034"
down_revision = "0033"

TENDERS = ("card", "wallet", "gift_card", "store_credit", "loyalty", "cash", "exchange")


def upgrade() -> None:
    listed = ", ".join(f"'{tender}'" for tender in TENDERS)
    name = op.f("ck_payment_tender_known")
    op.execute(f"ALTER TABLE payment DROP CONSTRAINT {name}")
    op.execute(f"ALTER TABLE payment ADD CONSTRAINT {name} CHECK (tender IN ({listed})) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE payment VALIDATE CONSTRAINT {name}")
