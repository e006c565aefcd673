"""What the end of an approval does where no journey waits for it: the effect is part of the same transaction."""

from datetime import datetime

from sqlalchemy import RowMapping

from domain.messages import Message
from ledger.transaction import Transaction


async def carry_out(tx: Transaction, row: RowMapping, outcome: str, at: datetime) -> None:
    """`outcome` is approved, rejected or expired. The approval's row is locked; stock is locked after it."""
    if row["kind"] == "adjustment":
        from ledger.adjustments import on_verdict  # it asks for approvals, so they cannot need it while they are loaded

        await on_verdict(tx, row, outcome, at)
    elif row["kind"] == "policy_change":
        from ledger import root_causes  # as above

        await root_causes.on_verdict(tx, row, outcome, at)
    elif row["kind"] == "return_override":
        tx.tell(row["journey_id"], Message.VERDICT_RECORDED)  # the return attends to it, under its locks
    elif row["kind"] == "write_off" and row["journey_id"] is None:
        from ledger import vendor_return  # it asks for approvals, so they cannot need it while they are loaded

        await vendor_return.on_verdict(tx, row, outcome, at)
