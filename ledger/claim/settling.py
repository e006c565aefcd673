"""Carries out what was decided about a claim: dispute, claim again, release, write off, remind, deduct, withdraw."""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from domain.claim import ClaimState
from domain.errors import NothingOffered
from domain.words import local, money
from ledger.claim import preparing
from ledger.claim.document import Claim, Moment
from ledger.tables import funding_accrual


async def carry_out(it: Claim, option: str, parameters: dict[str, Any], moment: Moment) -> str:
    """Do it; returns a sentence. Raises `NothingOffered` where the vendor has answered the question meanwhile.

    The claim and its cases are locked.
    """
    about, currency = it.row["asks"].get("about"), it.row["currency"]
    if about == "overdue":
        return await _late(it, option, str(it.row["asks"]["waits_for"]), moment)
    if not it.short():
        raise NothingOffered("The vendor has accepted the rest meanwhile.")
    if option == "dispute":
        return await _dispute(it, str(parameters.get("ground") or ""), moment)
    if option == "reclaim":
        again = [(one.line_id, one.amount_minor) for one in it.short()]
        total = it.give_up("reclaimed", moment)
        await _free(it, again, moment)
        it.stand(moment)
        return f"{money(total, currency)} wait for the next claim."
    if option not in ("accept", "write_off"):
        raise NothingOffered("This way out is not there any more; look at the others.")
    total = it.give_up("released" if option == "accept" else "written_off", moment)
    it.stand(moment)
    return f"{'Released' if option == 'accept' else 'Written off'}: {money(total, currency)}."


async def _dispute(it: Claim, ground: str, moment: Moment) -> str:
    it.head["disputes"] += 1
    it.row["detail"]["ground"] = ground
    it.go(ClaimState.DISPUTED)
    until = moment.at + timedelta(seconds=it.policy.claim.dispute_s)
    it.due("answer", until)
    mailed = await it.mail_vendor("claim_disputed", str(it.head["disputes"]), moment.at)
    told = (
        f"Disputed ({ground.replace('_', ' ')}); an answer is awaited until {local(until, it.place.hours.time_zone)}."
    )
    return told if mailed else f"{told} {it.vendor} has no address for claims; hand over the proof."


async def _free(it: Claim, again: list[tuple[str, int]], moment: Moment) -> None:
    """What is claimed again accrues a second time under the same agreement, in no claim yet."""
    rows = [
        {
            "agreement_id": it.head["agreement_id"], "promotion_id": it.lines[line_id]["promotion_id"],
            "entity": it.row["entity"], "kind": "reclaim", "sku": it.lines[line_id]["sku"], "quantity": 0,
            "amount_minor": amount, "cause": moment.cause, "at": moment.at,
        }
        for line_id, amount in again
    ]  # fmt: skip
    await it.tx.conn.execute(insert(funding_accrual), rows)


async def _late(it: Claim, option: str, waits_for: str, moment: Moment) -> str:
    now, currency = it.figures(), it.row["currency"]
    if option == "chase":
        until = moment.at + timedelta(seconds=it.policy.claim.chase_s)
        it.due("unsent" if waits_for == "sent" else waits_for, until)
        if waits_for != "sent":
            await it.mail_vendor("claim_reminder", moment.cause, moment.at)
        return f"Somebody looks again {local(until, it.place.hours.time_zone)}."
    if option == "withdraw" and it.state is ClaimState.APPROVED:
        await preparing.withdraw(it)
        return "Withdrawn; what it claims belongs to the next claim."
    if not now.open_minor or waits_for == "sent":
        raise NothingOffered("The vendor has paid meanwhile.")
    if option == "deduct":
        left = now.unpaid_minor if now.is_answered else now.open_minor
        if not now.is_answered:
            for line in it.lines.values():
                line["accepted_minor"] = line["amount_minor"]
            it.head["accepted_minor"] = it.head["amount_minor"]
        it.settle(left, "deduction", moment)
        it.stand(moment)
        return f"{money(left, currency)} are taken off what {it.vendor} is owed."
    if option != "write_off":
        raise NothingOffered("This way out is not there any more; look at the others.")
    total = it.give_up_unpaid("written_off", moment)
    it.stand(moment)
    return f"Written off: {money(total, currency)}."
