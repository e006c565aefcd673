"""What a destination, or another store, reports: goods have come. A receipt is a fact in every state, in parts and in
any order, also before the goods were said to have left.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.errors import Malformed, NotAllowed
from domain.messages import Message
from domain.transfers import ReceivedTransferLine, TransferReceived
from domain.words import units
from ledger import reference, steps
from ledger.transfer import goods, standing
from ledger.transfer.averages import Bought, average_in
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Extra, Moment
from ledger.transfer.people import people_of


def without_number(it: Transfer, told: Sequence[ReceivedTransferLine]) -> list[str]:
    """The lines with goods on their way for which nobody has given a number yet; "complete" needs one for each."""
    counted = {one.line_id for one in told} | set(it.row["detail"].get("counted", ()))
    return [name for name, line in it.lines.items() if line["in_transit"] and name not in counted]


async def received(it: Transfer, data: TransferReceived, cause: str, at: datetime) -> str:
    """Goods have come, perhaps not all. "Complete" holds when every line on the way has a number; a line without one
    stays open, it is never zero.

    Raises `UnknownLine`, `UnknownLocation`, `UnknownSku`.
    """
    where = it.target
    if data.location not in (None, it.target.code):
        where = await reference.place(it.tx.conn, str(data.location), pointer="/data/location")
        if where.entity not in (it.place.entity, it.target.entity):
            _check_currency(it, where)
    told = list(data.lines or ())
    for one in told:
        it.line(one.line_id)
    skus = {one.sku or str(it.line(one.line_id)["sku"]) for one in told}
    skus |= {str(line["sku"]) for line in it.lines.values()}
    await reference.known_items(it.tx.conn, sorted(skus), pointer="/data/lines")
    await it.lock_cases()
    await it.lock_goods((where.code, sku) for sku in skus)
    await it.know_costs(where.entity, skus)
    if data.lines is None:
        told = [
            ReceivedTransferLine(line_id=name, quantity=line["in_transit"])
            for name, line in it.lines.items()
            if line["in_transit"]
        ]
        if not told:
            raise Malformed("Nothing is on its way; name the lines that have come.", pointer="/data/lines")
    counted = sorted({*it.row["detail"].get("counted", ()), *(one.line_id for one in told)})
    moment, bought = Moment(cause, at), dict[str, Bought]()
    for one in told:
        _receive_line(it, one, where, moment, bought)
    await average_in(it, where.entity, bought)
    it.row["detail"]["counted"] = counted
    it.bar(await people_of(it, data.actor, where.code))
    open_lines = without_number(it, told) if data.complete else []
    if data.complete and not open_lines:
        it.row["detail"]["complete"] = True
    _keep(it, data, told, where, cause, at)
    detail = f"{units(sum(one.quantity for one in told))} came to {where.name}."
    if open_lines:
        detail += f" Not complete: line {', '.join(open_lines)} has no number."
    await steps.note(it.tx, it.id, "received", cause, detail, at, actor=data.actor)
    await standing.settle(it, moment, "more goods have come meanwhile")
    await it.save(at)
    it.tx.tell(it.id, Message.TRANSFER_RECEIVED)
    return detail


def _check_currency(it: Transfer, where: reference.Place) -> None:
    if where.currency != it.target.currency:
        raise NotAllowed(
            f"{where.name} keeps its books in {where.currency}, the goods are worth {it.target.currency};"
            " send them on by a transfer of their own.",
            pointer="/data/location",
        )


def _receive_line(
    it: Transfer, told: ReceivedTransferLine, where: reference.Place, moment: Moment, bought: dict[str, Bought]
) -> None:
    line = it.line(told.line_id)
    sku, left = str(line["sku"]), told.quantity
    if told.sku not in (None, sku):
        if left:
            goods.unexpected(it, Extra(told.line_id, "misship", str(told.sku), left, where), told.condition, moment)
        return
    lacking = left - line["in_transit"]
    # What came and was not said to have left has left all the same, as long as the source still has some to send.
    assumed = min(lacking, it.to_ship(line))
    if assumed > 0:
        goods.ship(it, line, assumed, moment, is_assumed=True)
    known = min(left, line["in_transit"])
    if known:
        value = goods.receive(it, line, known, told.condition, where, moment)
        if where.code != it.target.code and told.condition == "good":
            goods.note_extra(it, Extra(told.line_id, "wrong_store", sku, known, where), value.taken_minor, moment.at)
        if told.condition == "good" and where.entity != it.place.entity:
            before = bought.get(sku, Bought(0, 0))
            bought[sku] = Bought(before.units + known, before.value_minor + value.taken_minor)
    if left > known:
        goods.unexpected(it, Extra(told.line_id, "over", sku, left - known, where), told.condition, moment)


def _keep(
    it: Transfer,
    data: TransferReceived,
    told: Sequence[ReceivedTransferLine],
    where: reference.Place,
    cause: str,
    at: datetime,
) -> None:
    lines: list[dict[str, Any]] = [
        {
            "line_id": one.line_id,
            "sku": one.sku or it.lines[one.line_id]["sku"],
            "quantity": one.quantity,
            "condition": one.condition,
        }
        for one in told
    ]
    it.parcels.append(
        {
            "journey_id": it.id,
            "kind": "received",
            "shipment_id": data.shipment_id,
            "location": where.code,
            "carrier": data.carrier,
            "tracking": data.tracking,
            "expected_at": None,
            "lines": lines,
            "complete": bool(it.row["detail"].get("complete")),
            "actor": data.actor or it.tx.actor,
            "cause": cause,
            "at": at,
        }
    )
