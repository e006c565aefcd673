"""Returns that a till rings up: the receipt of a return that was asked for, or the beginning of one that is received.
What the till has paid out is paid.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.errors import AlreadyReturned, UnknownLine
from domain.policy import Policy
from domain.return_requests import PosReturn, PosReturnLine
from domain.return_rules import Ruling, without_receipt
from domain.returns import ReturnState
from domain.words import money, units
from ledger import reference, steps
from ledger.people import Caller
from ledger.prepared import Record
from ledger.returns import finding, refunding, settling
from ledger.returns.asking import ask_without_receipt
from ledger.returns.document import Return, new_line
from ledger.returns.facts import follow, has_come, stranger
from ledger.returns.goods import take_in
from ledger.returns.opening import Opening, Sold, begin, match, open_return, ruled, sold_by_order, sold_by_receipt
from ledger.returns.opening import Wanted as WantedLine
from ledger.transaction import Transaction

DUPLICATE = "duplicate"
TAKEN = "accepted"


async def rung_up(it: Return, data: PosReturn, cause: str, at: datetime) -> str:
    """A receipt of the till for a return that is known; the same receipt again changes nothing."""
    receipt = f"{data.location}:{data.receipt}"
    taken = it.row["detail"].setdefault("till_receipts", [])
    if receipt in taken:
        return DUPLICATE
    taken.append(receipt)
    await reference.known_items(it.tx.conn, [line.sku for line in data.lines], pointer="/data/lines")
    came: dict[str, int] = {}
    for line in data.lines:
        key = _line_for(it, line.sku, came)
        came[key] = came.get(key, 0) + line.quantity
    await it.lock_goods()
    await _take(it, data, came, cause, at)
    await follow(it, "received", cause, at, _sentence(it, data, came))
    return TAKEN


def _line_for(it: Return, sku: str, came: Mapping[str, int]) -> str:
    """The line that a unit of a SKU belongs to: one that still waits for it, else any of it, else one of its own."""
    same = [(key, line) for key, line in it.lines.items() if line["sku"] == sku]
    waits = [key for key, line in same if line["claimed"] > line["received"] + came.get(key, 0)]
    return waits[0] if waits else same[0][0] if same else stranger(it, sku)


async def begun(tx: Transaction, caller: Caller, data: PosReturn, cause: str, at: datetime) -> tuple[str, str]:
    """A till took something back that nobody had asked to return: a return that begins as received.

    Returns its journey and what became of the report. Raises `UnknownSku`, `UnknownLocation`, `NotFound` for an order
    that is not known.
    """
    key = f"{data.location}-{data.receipt}"
    before = await finding.find(tx, caller, key, caller.source)
    if before is not None:
        it = await Return.load(tx, await tx.lock_journey(before))
        if f"{data.location}:{data.receipt}" in it.row["detail"].get("till_receipts", ()):
            return before, DUPLICATE
    place = await reference.place(tx.conn, data.location, pointer="/data/location")
    items = await reference.known_items(tx.conn, [line.sku for line in data.lines], pointer="/data/lines")
    sold = await _sold(tx, caller, data)
    if sold.lines and sold.lines[0]["entity"] != place.entity:
        sold = Sold(tender=sold.tender)  # another company sold it: what came back is booked as goods without a sale
    policy = await reference.policy_at(tx.conn, place, at)
    it = await open_return(
        tx,
        Opening(
            source=caller.source,
            key=key,
            place=place,
            policy=policy,
            at=at,
            method="store",
            bought_at="store",
            sold=sold,
            lines=await _lines(tx, data, sold, policy, items),
            state=ReturnState.AUTHORIZED,
            requested_by=tx.actor,
            detail={
                "label": None,
                "history": None,
                "till_receipts": [f"{data.location}:{data.receipt}"],
                "receipt": {"number": data.original_receipt, "tender": None, "known": bool(sold.lines)}
                if data.original_receipt
                else None,
            },
        ),
    )
    await it.lock_cases()
    await it.lock_goods()
    came = {line_id: int(line["claimed"]) for line_id, line in it.lines.items()}
    await _take(it, data, came, cause, at)
    if not sold.lines:
        await _tell_without_receipt(it, data, at)
    if any(line["ruling"]["asks"] for line in it.lines.values()):
        await ask_without_receipt(it, at)
    told = _sentence(it, data, came)
    paid = await settling.settle(it, cause, at)
    await steps.note(tx, it.id, "received", cause, f"{told} {paid}".strip(), at)
    tx.record("return.opened", it.id, at, after={"state": "received", "lines": len(it.lines)})
    await it.save(at)
    await begin(it)
    return it.id, TAKEN


async def _take(it: Return, data: PosReturn, came: Mapping[str, int], cause: str, at: datetime) -> None:
    await take_in(it, came, cause, at, event="pos.return", actor=data.actor)
    if data.refunds:
        refunds = [one.model_dump() for one in data.refunds]
        beyond = await refunding.paid_by_till(it, came, refunds, cause, at)
        if beyond:
            said = f"The till paid {money(beyond, it.row['currency'])} more than was paid for the goods."
            await settling.tell_mismatch(it, [said], at)
    await has_come(it, at, complete=True)


async def _sold(tx: Transaction, caller: Caller, data: PosReturn) -> Sold:
    if data.order_id is not None:
        return await sold_by_order(tx, await finding.find_order(tx, caller, data.order_id, data.order_source))
    if data.original_receipt is None:
        return Sold()
    where = data.original_location or data.location
    return await sold_by_receipt(tx, caller.source, where, data.original_receipt, None)


async def _lines(
    tx: Transaction, data: PosReturn, sold: Sold, policy: Policy, items: Mapping[str, Record]
) -> list[dict[str, Any]]:
    """The till has decided to take them back: of units that the sale has left, policy has no say any more. Those that
    it has not left are taken as goods without a sale, and nothing is paid for them but by the till itself.
    """
    lines = []
    for line in data.lines:
        wanted = WantedLine(line.line, line.sku, line.quantity, line.reason, sale_line_id=line.original_line)
        try:
            matched = (await match(tx, sold, [wanted])).get(line.line)
        except (UnknownLine, AlreadyReturned):
            matched = None
        tax = 0 if sold.lines and sold.lines[0]["tax_included"] else line.tax_minor
        paid = max(line.quantity * line.unit_price_minor - line.discount_minor + tax, 0)
        lines.append(
            new_line(
                "",
                line.line,
                line.sku,
                claimed=line.quantity,
                reason=line.reason,
                unit_price_minor=None if matched is not None else _price(data, line, paid, items[line.sku]),
                document=sold.document if matched is not None else None,
                sale_line_id=matched,
                ruling=ruled(_ruling(data, line, sold, matched, policy, items[line.sku]), paid),
            )
        )
    return lines


def _price(data: PosReturn, line: PosReturnLine, paid_minor: int, item: Record) -> int:
    """What a unit without a sale is worth: what the till says where it has paid, else no more than it costs today."""
    price = paid_minor // line.quantity
    return price if data.refunds else min(price, int(item["price_minor"]))


def _ruling(
    data: PosReturn, line: PosReturnLine, sold: Sold, matched: str | None, policy: Policy, item: Record
) -> Ruling:
    """What is paid for a line that a till took back, if the till itself has paid nothing."""
    if matched is not None or data.refunds:
        return Ruling("A till has taken it back.")
    if sold.lines:
        return Ruling("The sale has no such unit left: the others came back, or were announced.", "unmatched")
    worth = min(line.unit_price_minor, item["price_minor"]) * line.quantity
    return without_receipt(policy.returns, worth)


async def _tell_without_receipt(it: Return, data: PosReturn, at: datetime) -> None:
    said = "no receipt was named" if data.original_receipt is None else f"receipt {data.original_receipt} is not known"
    await settling.tell_mismatch(it, [f"A till took goods back, and {said}."], at)


def _sentence(it: Return, data: PosReturn, came: Mapping[str, int]) -> str:
    paid = sum(one.amount_minor for one in data.refunds)
    told = f"The till took back {units(sum(came.values()))}."
    return f"{told} It paid {money(paid, it.row['currency'])}." if paid else told
