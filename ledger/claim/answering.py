"""What a vendor says to a claim, and its money: line by line, in parts, in any order.

What is too little to ask about is written off, a case asks about the rest.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from domain.claim import BEFORE_SENDING, FINAL, ClaimState, is_tolerated
from domain.claims import AnsweredLine, ClaimAnswer, ClaimPayment, ClaimReference, ClaimSent
from domain.errors import Malformed, NotAllowed, NotFound, StateConflict
from domain.ids import OWN_SOURCE, journey_id
from domain.messages import Message
from domain.words import money
from ledger.claim import asking, preparing
from ledger.claim.document import Claim, Moment, given_up
from ledger.people import Caller
from ledger.steps import note
from ledger.tables import journey
from ledger.transaction import Transaction

type Take = Callable[[Claim, Any, str, datetime], Awaitable[str]]


async def find(tx: Transaction, caller: Caller, data: ClaimReference) -> str:
    """The journey of the claim that is meant. Raises `NotFound`, `NotAllowed`.

    A person means any claim by its journey's id; whether they may decide about it is looked at with the claim itself.
    """
    person = caller.person
    if person is not None and data.claim_id.startswith("claim:"):
        row = await tx.conn.execute(select(journey).where(journey.c.id == data.claim_id))
        mine = row.mappings().first()
        if mine is None or not person.may_see(mine["entity"], mine["region"], mine["location"]):
            raise NotFound(f"There is no claim {data.claim_id}.", pointer="/data/claim_id")
        if not person.may_decide(mine["entity"], mine["region"], mine["location"]):
            raise NotAllowed("Your roles do not decide about claims there.")
        return str(mine["id"])
    known = {caller.source, *caller.sources, OWN_SOURCE}
    if data.claim_source is not None and data.claim_source not in known:
        raise NotAllowed(f"This key may not speak about claims of {data.claim_source}.", pointer="/data/claim_source")
    sources = sorted({data.claim_source} if data.claim_source else known)
    wanted = [data.claim_id, *(journey_id("claim", one, data.claim_id) for one in sources)]
    rows = await tx.conn.execute(
        select(journey.c.id).where(journey.c.id.in_(wanted), journey.c.kind == "claim", journey.c.source.in_(sources))
    )
    found = sorted(rows.scalars(), key=wanted.index)
    if not found:
        raise NotFound(f"There is no claim {data.claim_id} that this key may speak about.", pointer="/data/claim_id")
    return str(found[0])


async def answered(it: Claim, data: ClaimAnswer, cause: str, at: datetime) -> str:
    """The vendor accepts all of it, some, or nothing. Raises `StateConflict`, `UnknownLine`, `Malformed`."""
    _with_the_vendor(it)
    await it.lock_cases()
    moment = Moment(cause, at)
    _write_down(it, data.lines)
    await it.answer_asks("the vendor has answered", at)
    it.drop_dues("answer")
    it.head |= {"answered_at": at, "settlement": data.settlement}
    if data.reference:
        it.head["reference"] = data.reference
    told = await _match(it, moment)
    now = it.figures()
    if data.settlement == "deduction" and now.unpaid_minor > 0:
        it.settle(now.unpaid_minor, "deduction", moment)
        told += f" {money(now.unpaid_minor, it.row['currency'])} are taken off what the vendor is owed."
    return await _stand(it, "answered", told, moment)


def _with_the_vendor(it: Claim) -> None:
    if it.state in BEFORE_SENDING:
        raise StateConflict("The claim has not gone out yet; it cannot be answered.")
    if it.state in FINAL:
        raise StateConflict(
            f"The claim is {it.row['state'].replace('_', ' ')}; what comes now needs a claim of its own."
        )


def _write_down(it: Claim, lines: Sequence[AnsweredLine] | None) -> None:
    told = lines
    if told is None:
        told = [AnsweredLine(line_id=name, accepted_minor=line["amount_minor"]) for name, line in it.lines.items()]
        told = [one.model_copy(update={"accepted_minor": _at_most(it, one)}) for one in told]
    for number, one in enumerate(told):
        line = it.line(one.line_id)
        most, currency = _at_most(it, one), it.row["currency"]
        if not min(most, 0) <= one.accepted_minor <= max(most, 0):
            raise Malformed(
                f"Line {one.line_id}: {money(one.accepted_minor, currency)} are accepted, only"
                f" {money(most, currency)} of it are open; correct the line.",
                pointer=f"/data/lines/{number}/accepted_minor",
            )
        line["accepted_minor"], line["reason"] = one.accepted_minor, one.reason
    silent = [name for name, line in it.lines.items() if line["accepted_minor"] is None]
    if silent:
        listed = ", ".join(silent[:10]) + (" …" if len(silent) > 10 else "")
        raise Malformed(
            f"Lines {listed} have no answer; name every line, or leave lines out when all is accepted.",
            pointer="/data/lines",
        )
    accepted = sum(line["accepted_minor"] for line in it.lines.values())
    if accepted < it.head["settled_minor"]:
        paid = money(it.head["settled_minor"], it.row["currency"])
        raise Malformed(f"{paid} were paid already; less cannot be accepted.", pointer="/data/lines")
    it.head["accepted_minor"] = accepted


def _at_most(it: Claim, one: AnsweredLine) -> int:
    line = it.line(one.line_id)
    return int(line["amount_minor"] - given_up(line))


async def _match(it: Claim, moment: Moment) -> str:
    """Hold the answer against the claim; what it lacks is too little to ask about, or a case asks."""
    short, currency = it.short(), it.row["currency"]
    accepted = f"The vendor accepts {money(it.head['accepted_minor'], currency)}."
    if not short:
        return accepted
    if is_tolerated(short, it.policy.claim):
        written = it.give_up("written_off", moment)
        return f"{accepted} {money(written, currency)} are too little to ask about, and are written off."
    if it.state is not ClaimState.MATCHED:
        it.go(ClaimState.MATCHED)
    return f"{accepted} Case {await asking.short_paid(it, moment.at)} asks about the rest."


async def settled(it: Claim, data: ClaimPayment, cause: str, at: datetime) -> str:
    """Money for a claim is there, perhaps not all. Raises `StateConflict` before it was sent, `Malformed` for more than
    is open.
    """
    if it.state in BEFORE_SENDING:
        raise StateConflict("The claim has not gone out yet; nothing can be paid for it.")
    now, currency = it.figures(), it.row["currency"]
    if data.amount_minor > now.open_minor:
        raise Malformed(
            f"Only {money(now.open_minor, currency)} of the claim are open; book the rest where it belongs.",
            pointer="/data/amount_minor",
        )
    await it.lock_cases()
    moment = Moment(cause, at)
    it.settle(data.amount_minor, data.settlement, moment)
    if data.reference:
        it.head["reference"] = data.reference
    told = f"{money(data.amount_minor, currency)} came by {data.settlement}."
    beyond = it.head["settled_minor"] - it.head["accepted_minor"]
    if now.is_answered and beyond > 0:
        _accept_by_paying(it, beyond)
        told += f" {money(beyond, currency)} of it had not been accepted."
        if it.row["asks"].get("about") == "short" and not it.short():
            await it.answer_asks("the vendor has paid after all", at)
    if it.figures().open_minor == 0 or it.row["asks"].get("about") == "overdue":
        await it.answer_asks("the vendor has paid", at)
        it.drop_dues("answer")
    return await _stand(it, "settled", told, moment)


def _accept_by_paying(it: Claim, amount: int) -> None:
    """Who pays more than it had accepted has accepted it."""
    it.head["accepted_minor"] += amount
    for one in it.short():
        part = min(one.amount_minor, amount)
        if part > 0:
            it.lines[one.line_id]["accepted_minor"] += part
            amount -= part


async def handed_over(it: Claim, data: ClaimSent, cause: str, at: datetime) -> str:
    """Somebody has handed the claim to the vendor. Raises `StateConflict` unless it is agreed and has not gone out."""
    if it.state is not ClaimState.APPROVED:
        raise StateConflict(f"The claim is {it.row['state'].replace('_', ' ')}; only an approved one can be sent.")
    await it.lock_cases()
    await it.answer_asks("it was handed over", at)
    if data.reference:
        it.head["reference"] = data.reference
    told = preparing.sent(it, Moment(cause, at))
    await _tell(it, "sent", f"Handed over to {it.vendor}. {told}".rstrip(), cause, at, Message.CLAIM_SENT)
    return told


async def _stand(it: Claim, name: str, told: str, moment: Moment) -> str:
    it.stand(moment)
    if it.is_final:
        await it.answer_asks("the claim is settled", moment.at)
    message = Message.CLAIM_ANSWERED if name == "answered" else Message.CLAIM_SETTLED
    await _tell(it, name, told, moment.cause, moment.at, message)
    return told


async def _tell(it: Claim, name: str, told: str, cause: str, at: datetime, message: Message) -> None:
    await note(it.tx, it.id, name, cause, told, at)
    it.tx.record(f"claim.{name}", it.id, at, after=_figures(it.head))
    await it.save(at)
    it.tx.tell(it.id, message)


def _figures(head: dict[str, Any]) -> dict[str, Any]:
    return {name: head[name] for name in ("accepted_minor", "settled_minor", "written_off_minor", "released_minor")}
