"""What the source reports: an advance notice, and goods that have left. A shipment is a fact in every state."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.errors import UnknownLine
from domain.messages import Message
from domain.transfer import BEFORE_APPROVAL, TransferState
from domain.transfers import ShippedLine, TransferAnnounced, TransferShipped
from domain.words import units
from ledger import steps
from ledger.transfer import goods, standing
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment
from ledger.transfer.people import people_of


async def announced(it: Transfer, data: TransferAnnounced, cause: str, at: datetime) -> str:
    """What is to come and when. It moves no goods; the destination is asked about them later, or sooner.

    Raises `UnknownLine`.
    """
    _check(it, data.lines or ())
    await it.lock_cases()
    lines = [{"line_id": one.line_id, "sku": one.sku, "quantity": one.quantity} for one in data.lines or ()]
    _keep(it, "announced", data, lines, cause, at, complete=False)
    if data.expected_at is not None:
        it.row["detail"]["expected_at"] = data.expected_at.isoformat()
        if "receipt" in it.row["dues"]:
            it.due("receipt", data.expected_at + timedelta(seconds=it.policy.transfer.receipt_grace_s))
    detail = f"Shipment {data.shipment_id} was announced."
    await steps.note(it.tx, it.id, "announced", cause, detail, at)
    await it.save(at)
    it.tx.tell(it.id, Message.TRANSFER_CHANGED)
    return detail


async def shipped(it: Transfer, data: TransferShipped, cause: str, at: datetime) -> str:
    """Goods have left the source. What came before it was said to have left is not sent a second time.

    Raises `UnknownLine`.
    """
    before, was_moving = it.state, it.quantities().in_transit > 0
    _check(it, data.lines or ())
    wanted: dict[str, int] = {}
    for one in data.lines or ():  # a line may fill several cartons
        wanted[one.line_id] = wanted.get(one.line_id, 0) + one.quantity
    await it.lock_cases()
    await it.lock_goods()
    if data.lines is None:
        wanted = {name: it.to_ship(line) for name, line in it.lines.items()}
    moment, sent = Moment(cause, at), 0
    for line_id, quantity in wanted.items():
        left = _ship_line(it, it.line(line_id), quantity, moment)
        sent += left
        if left:  # the number that the destination gave before was of other goods
            it.row["detail"]["counted"] = [name for name in it.row["detail"].get("counted", ()) if name != line_id]
    if data.complete:
        for line in it.lines.values():
            goods.release(it, line, it.to_ship(line), moment, "not_shipped")
    lines = [{"line_id": name, "sku": it.lines[name]["sku"], "quantity": n} for name, n in wanted.items()]
    _keep(it, "shipped", data, lines, cause, at, complete=data.complete)
    it.bar(await people_of(it, data.actor, it.place.code))
    if data.expected_at is not None:
        it.row["detail"]["expected_at"] = data.expected_at.isoformat()
    elif sent and not was_moving and _is_over(it.row["detail"].get("expected_at"), at):
        it.row["detail"]["expected_at"] = None  # it was said of goods that have come
    if sent:
        it.row["detail"]["complete"] = False
    it.row["detail"]["carrier"] = data.carrier or it.row["detail"].get("carrier")
    it.row["detail"]["tracking"] = data.tracking or it.row["detail"].get("tracking")
    rest = " The rest does not come." if data.complete and any(map(_cut, it.lines.values())) else ""
    detail = f"{units(sum(wanted.values()))} left {it.place.name}.{rest}"
    await steps.note(it.tx, it.id, "shipped", cause, detail, at, actor=data.actor)
    if sent or data.complete:
        await standing.settle(it, moment, "goods have been shipped meanwhile")
    if sent and (before in BEFORE_APPROVAL or before is TransferState.REJECTED):
        await standing.moved_unagreed(it, sent, cause, at)
    await it.save(at)
    it.tx.tell(it.id, Message.TRANSFER_SHIPPED)
    return detail


def _check(it: Transfer, told: Sequence[ShippedLine]) -> None:
    """Raises `UnknownLine` for a line that does not exist, or that is for another item."""
    for one in told:
        sku = str(it.line(one.line_id)["sku"])
        if one.sku not in (None, sku):
            raise UnknownLine(
                f"Line {one.line_id} is of {sku}, not of {one.sku}; report what left under the line of its own item,"
                " or leave the SKU out.",
                pointer="/data/lines",
            )


def _is_over(told: str | None, at: datetime) -> bool:
    return told is not None and datetime.fromisoformat(told) <= at


def _cut(line: dict[str, Any]) -> bool:
    return bool(line["cancelled"])


def _ship_line(it: Transfer, line: dict[str, Any], quantity: int, moment: Moment) -> int:
    """Returns the units that are in transit now because of this report."""
    known = min(quantity, int(line["assumed"]))
    line["assumed"] -= known
    left: int = quantity - known
    # More was sent than asked for, and came before this report: the surplus has explained itself.
    beyond = left - it.to_ship(line)
    for extra in it.open_extras():
        of_extra = min(beyond, extra["quantity"] - extra["settled"])
        is_same = (extra["line_id"], extra["kind"], extra["location"]) == (line["line_id"], "over", it.target.code)
        if of_extra > 0 and is_same:
            goods.sent_unbooked(it, extra, of_extra, it.target.entity, "picking_error", moment)
            beyond -= of_extra
            left -= of_extra
    if left:
        goods.ship(it, line, left, moment)
    return left


def _keep(
    it: Transfer,
    kind: str,
    data: TransferAnnounced | TransferShipped,
    lines: list[dict[str, Any]],
    cause: str,
    at: datetime,
    *,
    complete: bool,
) -> None:
    it.parcels.append(
        {
            "journey_id": it.id,
            "kind": kind,
            "shipment_id": data.shipment_id,
            "location": it.place.code,
            "carrier": data.carrier,
            "tracking": data.tracking,
            "expected_at": data.expected_at,
            "lines": lines,
            "complete": complete,
            "actor": getattr(data, "actor", None) or it.tx.actor,
            "cause": cause,
            "at": at,
        }
    )
