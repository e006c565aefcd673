"""What journeys of any kind share about the answers of people: which decision is still to be acted on, and why an
approval was not given.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping, select

from ledger import people
from ledger.tables import approval, case_decision
from ledger.transaction import Transaction


async def pending(tx: Transaction, row: RowMapping, decision_id: int | None) -> RowMapping | None:
    """The decision, if it is the one that the journey of this row still has to act on."""
    if decision_id is None or row["asks"].get("decision_id") != decision_id:
        return None
    found = await tx.conn.execute(select(case_decision).where(case_decision.c.id == decision_id))
    decision = found.mappings().one()
    return decision if decision["state"] in ("applying", "awaiting_approval") else None


async def not_approved(tx: Transaction, row: Mapping[str, Any] | RowMapping) -> str:
    """Why the approval that the journey of this row asked for was not given."""
    found = await tx.conn.execute(select(approval).where(approval.c.id == row["asks"].get("approval_id")))
    asked = found.mappings().first()
    if asked is None or asked["state"] == "expired":
        return "Nobody approved it in time."
    known = await people.names(tx.conn, [asked["decided_by"]])
    return f"Rejected by {known.get(asked['decided_by'], 'the approver')}."
