"""Ship to store: a warehouse holds what the store lacks and sends it; a delivery that names the order ends that."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain import postings
from domain.case import CaseOption, Consequence, StockEffect
from domain.errors import Malformed, NothingOffered
from domain.messages import Message
from domain.stock import atp
from domain.words import units
from ledger import case, reference, steps
from ledger.bopis import money, offered, warehouses
from ledger.bopis.order import Order
from ledger.shelf import Cause

POINTS = 15.0  # among the ways out: it keeps the place and costs the customer days


async def ship_to_store(order: Order) -> list[tuple[float, CaseOption]]:
    """The first warehouse that can promise everything that is missing."""
    wanted: dict[str, int] = {}
    for line in order.shorts():
        wanted[line["sku"]] = wanted.get(line["sku"], 0) + order.missing(line)
    able = next(iter((await warehouses.able(order, wanted)).items()), None)
    return [(POINTS, _option(order, *able, wanted))] if able is not None else []


def _option(order: Order, code: str, name: str, wanted: Mapping[str, int]) -> CaseOption:
    days = order.policy.sourcing.to_store_s / 86_400
    return CaseOption(
        id=f"ship_to_store:{code}",
        label=f"Have it sent to {order.place.name} from {name}",
        parameters={"location": code},
        consequence=Consequence(
            stock=tuple(
                StockEffect(location=code, sku=sku, quantity=n, effect="reserved") for sku, n in wanted.items()
            ),
            customer=f"Collects at {order.place.name} in about {days:g} days, same price.",
        ),
        because="keeps the whole order and the place",
        confirms=("agreed_by_phone",),
    )


async def send_to_store(order: Order, source: str, at: datetime, cause: str) -> str:
    """Hold what is missing at the warehouse `source`, whose stock is locked. Raises `NothingOffered`."""
    place = await reference.place(order.tx.conn, source)
    why = order.cause(cause, at)
    lacking = 0
    for line in order.shorts():
        missing, sku = order.missing(line), str(line["sku"])
        row = order.tx.shelf.rows[source, sku]
        promised = _of_the_offer(order, source, sku, missing)
        can = atp(
            row["available"],
            safety_stock=row["safety_stock"],
            channel_threshold=order.policy.stock.channel_threshold.get(order.row["channel"], 0),
            confidence_permille=row["confidence_permille"],
        )
        if can < missing - promised:
            raise NothingOffered(f"{place.name} can promise only {can + promised} of {units(missing)} of {sku} now.")
        held = _hold_there(order, line, missing, source, at)
        if missing > promised:
            sides = (source, "available"), (source, "reserved")
            order.tx.shelf.move("reserved", sku, missing - promised, *sides, why, hold_id=held["id"])
        line["reserved"] += missing
        lacking += missing
    arrives = at + timedelta(seconds=order.policy.sourcing.to_store_s)
    order.row["promised_at"] = arrives
    await order.settle(at)
    order.due("goods", arrives)
    await order.mail_customer("order_delayed", cause, at)
    return f"{place.name} sends {units(lacking)} to {order.place.name}, reserved there."


def _hold_there(order: Order, line: Mapping[str, Any], quantity: int, source: str, at: datetime) -> dict[str, Any]:
    for row in order.holds:
        if (row["line_id"], row["location"]) == (line["line_id"], source):
            row["quantity"] += quantity
            row["reserved"] += quantity
            return row
    return order.new_hold(line, quantity, part="reserved", at=at, place=source)


def _of_the_offer(order: Order, source: str, sku: str, quantity: int) -> int:
    """Units that were held while the customer was asked: they change hands and stay reserved."""
    taken = 0
    for row in offered.held(order):
        part = min(quantity - taken, row["reserved"])
        if part > 0 and (row["location"], row["sku"]) == (source, sku):
            row["reserved"] -= part
            row["committed"] += part
            taken += part
    return taken


async def goods_came(order: Order, quantities: Mapping[str, int], cause: str, at: datetime) -> str:
    """Goods that were on their way to the order's store have come: they are reserved for it there.

    What came for an order that has ended is for sale there. Raises `UnknownLine`, and `Malformed` for more than was
    sent.
    """
    await order.lock_cases()
    await order.lock_goods()
    why = order.cause(cause, at)
    lines: list[postings.Line] = []
    costs = await reference.unit_costs(order.tx.conn, order.row["entity"], (x["sku"] for x in order.lines.values()))
    for line_id, quantity in quantities.items():
        line = order.line(line_id)
        sku = str(line["sku"])
        away = [row for row in order.holds if row["line_id"] == line_id and row["location"] != order.location]
        sent = sum(row["reserved"] + (row["released"] if order.is_final else 0) for row in away)
        if quantity > sent:
            raise Malformed(
                f"Line {line_id}: {quantity} came, but {sent} are on their way to {order.place.name}.",
                pointer="/data/lines",
            )
        left = quantity
        for row in away:
            bucket = "available" if order.is_final else "reserved"
            part = min(left, row["released"] if order.is_final else row["reserved"])
            if not part:
                continue
            left -= part
            cost = reference.cost_of(costs.get(sku, 0), part)
            lines += postings.relocation(cost, source=str(row["location"]), target=order.location, sku=sku)
            _relocate(order, row, line, part, bucket, cost, why)
    order.tx.post(money.entry(order, "bopis.goods_came", cause, lines, at))
    if not order.is_final:
        await order.settle(at)
        if not any(row["reserved"] for row in order.holds if row["location"] != order.location):
            order.drop_dues("goods")
            await case.heal_kind(order.tx, order.id, "shipment_overdue", "the goods have come", at)
    detail = f"{units(sum(quantities.values()))} came to {order.place.name} for the order."
    await steps.note(order.tx, order.id, "goods_came", cause, detail, at)
    await order.save(at)
    order.tx.tell(order.id, Message.GOODS_CAME)
    return detail


def _relocate(
    order: Order, row: dict[str, Any], line: Mapping[str, Any], part: int, bucket: str, cost: int, why: Cause
) -> None:
    source, sku = str(row["location"]), str(line["sku"])
    if bucket == "reserved":
        row["reserved"] -= part
        row["committed"] += part
        key = order.hold_more(line, part, part="reserved", at=why.at)
    else:
        key = str(row["id"])
        order.free(order.location, sku)
    order.tx.shelf.move(
        "relocated", sku, part, (source, bucket), (order.location, bucket), why, cost_minor=cost, hold_id=key
    )
