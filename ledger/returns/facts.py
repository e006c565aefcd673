"""Facts about returns: what a carrier, a counter, a warehouse or a till reports. Each takes its whole effect, whatever
state the return is in.
"""

from datetime import datetime, timedelta

from domain import returns
from domain.errors import Malformed, UnknownLine
from domain.messages import Message
from domain.return_requests import InspectedLine, ReceivedReturnLine, ReturnInspected, ReturnReceived, ReturnShipped
from domain.returns import AWAITING_GOODS, WORK_FIRST, ReturnState
from domain.words import units
from ledger import people, reference, steps
from ledger.case import heal_kind
from ledger.returns import settling
from ledger.returns.document import Return, new_line, waiting
from ledger.returns.goods import Decided, take_in

INSPECTION = "inspection"


async def shipped(it: Return, data: ReturnShipped, cause: str, at: datetime) -> str:
    """The carrier has scanned the parcel: it is on its way, and policy may pay now."""
    await it.lock_goods()
    if it.state in (ReturnState.REQUESTED, ReturnState.AUTHORIZED):
        it.go(ReturnState.IN_TRANSIT)
    it.row["detail"].setdefault("scanned_at", at.isoformat())
    told = " ".join(part for part in ("On its way", data.carrier or "", data.tracking or "") if part) + "."
    return await follow(it, "shipped", cause, at, told)


async def received(it: Return, data: ReturnReceived, cause: str, at: datetime) -> str:
    """Goods came, some or all of them, or others than were announced.

    Raises `UnknownLine` and `UnknownSku` for what nobody knows, `Malformed` for another company's place, or for another
    place than earlier parcels came to.
    """
    await _move_to(it, data.location)
    came = await _named(it, data.lines)
    await it.lock_goods()
    await take_in(it, came, cause, at, event="returns.received", actor=await _actor(it, data.actor))
    await has_come(it, at, complete=data.complete)
    if any(came.values()) and it.row["detail"]["method"] == "mail":
        await it.mail_customer("return_received", cause, at)
    return await follow(it, "received", cause, at, f"Received: {units(sum(came.values()))}.", actor=data.actor)


async def has_come(it: Return, at: datetime, *, complete: bool) -> None:
    """Units were taken in: what was awaited is here, an inspection is due, and a difference is told."""
    if it.state in (*AWAITING_GOODS, *returns.FINAL) and any(line["received"] for line in it.lines.values()):
        it.go(ReturnState.RECEIVED)
    if complete:
        it.drop_dues("goods", "goods_reminder")
        await _tell_differences(it, at)
    if any(waiting(line) for line in it.lines.values()):
        it.due(INSPECTION, at + timedelta(seconds=it.policy.returns.inspection_s))
    await heal_kind(it.tx, it.id, "return_not_received", "the goods have come", at)
    settling.score(it)


async def inspected(it: Return, data: ReturnInspected, cause: str, at: datetime) -> str:
    """Somebody has looked: each unit gets its disposition. What is inspected has come, whether or not that was told.

    Raises `UnknownLine`.
    """
    await it.lock_goods()
    unheard = _beyond(it, data.lines)
    if unheard:
        await take_in(it, unheard, cause, at, event="returns.received", actor=await _actor(it, data.actor))
        await has_come(it, at, complete=False)
    before = sum(line["declined"] for line in it.lines.values())
    decided = Decided(it, cause, at, await _actor(it, data.actor))
    for one in data.lines:
        await _inspect(it, decided, one)
    await decided.post()
    if not any(waiting(line) for line in it.lines.values()):
        it.drop_dues(INSPECTION)
        await heal_kind(it.tx, it.id, "return_uninspected", "the goods were inspected", at)
    else:
        it.due(INSPECTION, at + timedelta(seconds=it.policy.returns.inspection_s))
    await _tell_refunded_and_declined(it, at)
    if sum(line["declined"] for line in it.lines.values()) > before:
        await it.mail_customer("return_declined", cause, at)
    told = ", ".join(f"{one.quantity} {(one.disposition or one.condition).replace('_', ' ')}" for one in data.lines)
    return await follow(it, "inspected", cause, at, f"Inspected: {told}.", actor=data.actor)


async def _inspect(it: Return, decided: Decided, one: InspectedLine) -> None:
    """One part of a line. Another disposition than the rule's, worth enough, waits for somebody's word."""
    line = it.lines[one.line_id]
    proposed = "send_back" if line["ruling"].get("refused") else returns.proposed(
        one.condition, line["reason"], it.policy.returns.by_condition
    )  # fmt: skip
    wanted = one.disposition or proposed
    left = line["received"] - line["accepted"] - line["declined"]
    cost = (line["cost_minor"] - line["disposed_cost_minor"]) * one.quantity // left
    overrides = wanted != proposed and wanted not in WORK_FIRST
    await decided.record(
        line,
        one.quantity,
        condition=one.condition,
        proposed=proposed,
        disposition=wanted,
        state="asked" if overrides and cost >= it.policy.returns.override_minor else "applied",
        reason=one.reason,
    )


def _beyond(it: Return, lines: tuple[InspectedLine, ...]) -> dict[str, int]:
    """Units that were inspected and that nobody had reported as received. Raises `UnknownLine`."""
    looked_at: dict[str, int] = {}
    for number, one in enumerate(lines):
        if one.line_id not in it.lines:
            raise UnknownLine(f"The return has no line {one.line_id}.", pointer=f"/data/lines/{number}/line_id")
        looked_at[one.line_id] = looked_at.get(one.line_id, 0) + one.quantity
    return {
        line_id: quantity - waiting(it.lines[line_id])
        for line_id, quantity in looked_at.items()
        if quantity > waiting(it.lines[line_id])
    }


async def _tell_refunded_and_declined(it: Return, at: datetime) -> None:
    """Units that were refunded before anybody looked at them, and are not refunded by what was found."""
    beyond = {
        line_id: line["refunded"] + settling.declined_for_good(line) - max(line["claimed"], line["received"])
        for line_id, line in it.lines.items()
    }
    wrong = {line_id: units for line_id, units in beyond.items() if units > 0}
    if wrong:
        said = f"{units(sum(wrong.values()))} were refunded and then declined."
        await settling.tell_mismatch(it, [said], at)


async def _tell_differences(it: Return, at: datetime) -> None:
    """Say what came otherwise than it was announced, if anything did."""
    said = []
    for line_id, line in it.lines.items():
        came, claimed, sku = line["received"], line["claimed"], line["sku"]
        if not claimed and came:
            said.append(f"{units(came)} of {sku} came, and nobody had asked to bring them back.")
        elif came != claimed:
            said.append(f"Line {line_id}: {came} of {claimed} {sku} came.")
        elif line["document"] and came > line["booked"]:
            said.append(f"Line {line_id}: {units(came - line['booked'])} of {sku} came back before.")
        if claimed and came and line["ruling"].get("refused"):
            said.append(f"Line {line_id} had been declined: {line['ruling']['because']}")
    if said:
        await settling.tell_mismatch(it, said, at)


async def _named(it: Return, lines: tuple[ReceivedReturnLine, ...]) -> dict[str, int]:
    """Units by line; what comes without a line, or under another SKU than its line's, gets one of its own."""
    came: dict[str, int] = {}
    known = await reference.items(it.tx.conn, [line.sku for line in lines if line.sku is not None])
    for number, one in enumerate(lines):
        if one.line_id is not None and one.line_id not in it.lines:
            raise UnknownLine(f"The return has no line {one.line_id}.", pointer=f"/data/lines/{number}/line_id")
        if one.sku is not None and one.sku not in known:
            raise reference.unknown_skus([one.sku], f"/data/lines/{number}/sku")
        key = one.line_id
        if key is None or (one.sku is not None and it.lines[key]["sku"] != one.sku):
            assert one.sku is not None
            same = [name for name, line in it.lines.items() if line["sku"] == one.sku]
            key = same[0] if same else stranger(it, one.sku)
        came[key] = came.get(key, 0) + one.quantity
    return came


def stranger(it: Return, sku: str) -> str:
    """A line for something that nobody had asked to bring back; returns its id."""
    key = f"~{sku}"
    it.lines[key] = new_line(
        it.id, key, sku, ruling={"refused": "unmatched", "because": "Nobody had asked to bring it back."}
    )
    return key


async def _move_to(it: Return, code: str | None) -> None:
    """The goods came to another place than they were expected at."""
    if code is None or code == it.location:
        return
    place = await reference.place(it.tx.conn, code, pointer="/data/location")
    if place.entity != it.row["entity"]:
        raise Malformed(f"{code} belongs to {place.entity}, the sale to {it.row['entity']}.", pointer="/data/location")
    if any(line["received"] for line in it.lines.values()):
        raise Malformed(f"Goods of this return came to {it.location} before.", pointer="/data/location")
    it.row["location"], it.row["region"], it.place = place.code, place.region, place


async def _actor(it: Return, actor: str | None) -> str:
    """Who did it: a person where the alias is known, else the alias with its source."""
    if actor is None:
        return it.tx.actor
    known = await people.known_actor(it.tx.conn, it.row["source"], actor)
    return known or f"{it.row['source']}:{actor}"


async def follow(it: Return, name: str, cause: str, at: datetime, told: str, *, actor: str | None = None) -> str:
    """Settle, note, save, tell: the end of every fact."""
    paid = await settling.settle(it, cause, at)
    detail = f"{told} {paid}".strip()
    await steps.note(it.tx, it.id, name, cause, detail, at, actor=actor)
    await it.save(at)
    it.tx.tell(it.id, Message.RETURN_RECORDED)
    return detail
