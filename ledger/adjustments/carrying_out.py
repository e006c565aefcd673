"""What a verdict or a decision does to an adjustment that waits for it."""

from datetime import datetime

from sqlalchemy import RowMapping

from domain.bands import Level
from domain.errors import NotAllowed, OwnRequest, StateConflict
from domain.people import Person
from domain.words import units
from ledger import reference
from ledger.adjustments import document as documents
from ledger.count.opening import Opening, not_yet_asked, open_count
from ledger.transaction import Transaction

# Who may confirm what a system has reported: the case's own people, or finance alone.
_DECIDERS = {
    Level.MANAGER: frozenset({"store_manager", "regional_ops", "finance", "admin"}),
    Level.FINANCE: frozenset({"finance", "admin"}),
}


async def on_verdict(tx: Transaction, approval_row: RowMapping, outcome: str, at: datetime) -> None:
    """An approval of an adjustment has ended (`approved`, `rejected`, `expired`): post it, or take it back."""
    row = await documents.by(tx, "approval_id", approval_row["id"])
    if row is None or row["closed_at"] is not None:
        return
    cause = f"approval:{approval_row['id']}"
    if outcome == "approved":
        await documents.post_parked(tx, row, cause, at)
    else:
        await documents.take_back(tx, row, "rejected" if outcome == "rejected" else "expired", cause, at)


async def decide_review(tx: Transaction, case_row: RowMapping, option: str, person: Person, at: datetime) -> str:
    """Confirm or undo what a system has reported, or have it counted; returns what was done.

    Raises `OwnRequest` for who reported it, `NotAllowed` for a role that the band does not take.
    """
    row = await documents.by(tx, "case_id", case_row["id"])
    if row is None or row["closed_at"] is not None:
        raise StateConflict("This adjustment has been decided already.")
    cause = f"case:{case_row['id']}:{case_row['episode']}"
    if option == "undo":
        back = await documents.take_back(tx, row, "undone", cause, at)
        return f"Nothing was adjusted; {units(back)} available again." if back else "Nothing was adjusted."
    if option == "count":
        return await _count(tx, row, person, at)
    if person.id in row["barred"]:
        raise OwnRequest("Whoever reported this cannot confirm it; it needs somebody else.")
    wanted = _DECIDERS[Level(row["level"])]
    if not person.roles_at(row["entity"], row["region"], row["location"]) & wanted:
        named = " or ".join(sorted(role.replace("_", " ") for role in wanted))
        raise NotAllowed(f"A correction of this worth is confirmed by {named}.")
    sold = await documents.post_parked(tx, row, cause, at)
    gone = f" {units(sold)} of it had been sold meanwhile and {'was' if sold == 1 else 'were'} there." if sold else ""
    return f"The report was confirmed and posted.{gone}"


async def _count(tx: Transaction, row: RowMapping, person: Person, at: datetime) -> str:
    """Open a count of what was reported, unless one is to look at it already."""
    place = await reference.place(tx.conn, row["location"])
    skus = await documents.leave_to_count(tx, row, at)
    wanted = await not_yet_asked(tx, place.code, skus)
    if not wanted:
        return "It is being counted already; the count decides."
    policy = await reference.policy_at(tx.conn, place, at)
    count_id = await open_count(
        tx, Opening(place=place, policy=policy, reason="adjustment", skus=wanted, at=at, requested_by=person.id)
    )
    return f"The count {count_id} decides."
