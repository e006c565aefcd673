"""What the end of an approval does where no journey waits for it: the effect is part of the same transaction."""

from datetime import datetime

from sqlalchemy import RowMapping

from domain.messages import Message
from ledger import adjustments, root_causes, vendor_return
from ledger.transaction import Transaction


async def carry_out(tx: Transaction, row: RowMapping, outcome: str, at: datetime) -> None:
    """`outcome` is approved, rejected or expired. The approval's row is locked; stock is locked after it."""
    if row["kind"] == "adjustment":
        await adjustments.on_verdict(tx, row, outcome, at)
    elif row["kind"] == "policy_change":
        await root_causes.on_verdict(tx, row, outcome, at)
    elif row["kind"] == "return_override":
        tx.tell(row["journey_id"], Message.VERDICT_RECORDED)  # the return attends to it, under its locks
    elif row["kind"] == "write_off" and row["journey_id"] is None:
        await vendor_return.on_verdict(tx, row, outcome, at)
