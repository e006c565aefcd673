"""What the end of an approval does where no journey waits for it: the effect is part of the same transaction."""

from datetime import datetime

from sqlalchemy import RowMapping

from ledger.transaction import Transaction


async def carry_out(tx: Transaction, row: RowMapping, outcome: str, at: datetime) -> None:
    """`outcome` is approved, rejected or expired. The approval's row is locked; stock is locked after it."""
    if row["kind"] == "adjustment":
        from ledger.adjustments import on_verdict  # it asks for approvals, so they cannot need it while they are loaded

        await on_verdict(tx, row, outcome, at)
