"""What a vendor credits for goods that went back to it, and what is given up of the rest."""

from datetime import datetime

from sqlalchemy import RowMapping, select, update

from domain import return_postings
from domain.errors import IdempotencyMismatch, StateConflict
from domain.vendor_returns import Balance, VendorCredit, VendorReturnState, check_transition
from domain.words import money
from ledger import approval, reference
from ledger.engine import Database
from ledger.people import Caller
from ledger.tables import vendor_return
from ledger.transaction import Transaction
from ledger.vendor_return.document import actor_of, change, locked, post

S = VendorReturnState
KIND = "write_off"


async def credit(database: Database, caller: Caller, named: str, data: VendorCredit, *, via: str) -> str:
    """The vendor's credit note. What it credits beyond the cost is a gain; what it lacks stays open.

    The same reference again changes nothing. Raises `NotFound`, `StateConflict` before it was shipped,
    `IdempotencyMismatch` for a reference that was credited with another amount.
    """

    async def work(tx: Transaction) -> str:
        row = await locked(tx, caller, named)
        before = next((one for one in row["credits"] if one["reference"] == data.reference), None)
        if before is not None:
            if before["amount_minor"] != data.amount_minor:
                said = money(before["amount_minor"], row["currency"])
                raise IdempotencyMismatch(f"Credit note {data.reference} was {said} before.", pointer="/reference")
            return str(row["id"])
        at = await tx.now()
        balance, paid = balance_of(row).with_credit(data.amount_minor)
        check_transition(row["state"], balance.state())
        lines = return_postings.credited_by_vendor(paid, data.amount_minor - paid, location=row["location"])
        await post(tx, row, "vendor_return.credited", f"{row['id']}:credit:{data.reference}", lines, at)
        if row["approval_id"] is not None:
            # What is to be given up is another amount now: whoever asked asks anew, where something is left.
            await tx.lock_approval(row["approval_id"])
            await approval.supersede(tx, row["approval_id"], at)
        noted = [*row["credits"], {**data.model_dump(), "at": at.isoformat()}]
        values = {"credits": noted, "credited_minor": balance.credited_minor, "approval_id": None}
        return await change(tx, row, balance.state(), at, **values)

    return await database.write(work, actor=actor_of(caller), via=via)


async def write_off(database: Database, caller: Caller, named: str, *, reason: str, via: str) -> str:
    """Give up what the vendor has not credited: at once below the band (`bands.write_off_minor`), else when somebody
    else has approved it.

    Raises `NotFound`, and `StateConflict` where nothing is open, or somebody is asked already.
    """

    async def work(tx: Transaction) -> str:
        row = await locked(tx, caller, named)
        await give_up_or_ask(tx, row, await tx.now(), requester=actor_of(caller), reason=reason)
        return str(row["id"])

    return await database.write(work, actor=actor_of(caller), via=via)


async def give_up_or_ask(tx: Transaction, row: RowMapping, at: datetime, *, requester: str, reason: str) -> int | None:
    """Give up what is open of a locked document, or ask whether it may be; returns the approval that is asked for.

    Raises `StateConflict` where nothing is open, or somebody is asked already.
    """
    check_transition(row["state"], S.WRITTEN_OFF)
    left = balance_of(row).open_minor
    if not left:
        raise StateConflict("The vendor owes nothing of it any more; there is nothing to give up.")
    if row["approval_id"] is not None:
        raise StateConflict("Somebody is asked already whether it may be given up.")
    place = await reference.place(tx.conn, row["location"])
    policy = await reference.policy_at(tx.conn, place, at)
    if left < policy.bands.write_off_minor:
        await _give_up(tx, row, left, f"{row['id']}:written_off", at, reason=reason)
        return None
    number = await approval.open_approval(
        tx,
        approval.Request(
            kind=KIND,
            subject=f"{money(left, row['currency'])} that {row['vendor']} does not credit (return {row['key']})",
            place=place,
            policy=policy,
            at=at,
            requester=requester,
            barred=[row["requested_by"]],
            amount_minor=left,
            facts={"vendor": row["vendor"], "vendor_return": row["key"], "reason": reason, "store": place.name},
            journey_id=None,
            case_id=None,
            decision_id=None,
        ),
    )
    await tx.conn.execute(
        update(vendor_return).where(vendor_return.c.id == row["id"]).values(approval_id=number, reason=reason)
    )
    tx.record("vendor_return.write_off_asked", row["id"], at, after={"approval": number, "amount_minor": left})
    return number


async def on_verdict(tx: Transaction, approval_row: RowMapping, outcome: str, at: datetime) -> None:
    """Somebody has answered, or nobody in time: it is given up, or stays open."""
    wanted = select(vendor_return).where(vendor_return.c.approval_id == approval_row["id"]).with_for_update()
    row = (await tx.conn.execute(wanted)).mappings().first()
    if row is None:
        return
    if outcome == "approved":
        left = balance_of(row).open_minor
        await _give_up(tx, row, left, f"approval:{approval_row['id']}", at, reason=row["reason"])
        return
    await tx.conn.execute(update(vendor_return).where(vendor_return.c.id == row["id"]).values(approval_id=None))
    tx.record("vendor_return.write_off_refused", row["id"], at, after={"outcome": outcome})


async def _give_up(
    tx: Transaction, row: RowMapping, amount_minor: int, cause: str, at: datetime, *, reason: str
) -> str:
    lines = return_postings.vendor_given_up(amount_minor, location=row["location"])
    await post(tx, row, "vendor_return.written_off", cause, lines, at)
    return await change(tx, row, S.WRITTEN_OFF, at, written_off_minor=amount_minor, reason=reason)


def balance_of(row: RowMapping) -> Balance:
    return Balance.model_validate({name: row[name] for name in Balance.model_fields})
