"""Ship to store: a transfer brings what the store lacks from a warehouse.

Orders from before held their units at the warehouse themselves; a delivery that names such an order brings them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from domain import postings
from domain.case import CaseOption, Consequence, StockEffect
from domain.errors import Malformed, NothingOffered
from domain.ids import OWN_SOURCE
from domain.messages import Message
from domain.words import units
from ledger import case, reference, steps
from ledger.bopis import coming, money, offered, warehouses
from ledger.bopis.order import Order
from ledger.shelf import Cause
from ledger.transfer.opening import open_all
from ledger.transfer.promising import CHANNEL, can_promise
from ledger.transfer.wanted import Wanted

POINTS = 15.0  # among the ways out: it keeps the place and costs the customer days


async def ship_to_store(order: Order) -> list[tuple[float, CaseOption]]:
    """The first warehouse that can promise everything that is missing."""
    wanted: dict[str, int] = {}
    for line in order.shorts():
        wanted[line["sku"]] = wanted.get(line["sku"], 0) + order.missing(line)
    able = next(iter((await warehouses.able(order, wanted, channel=CHANNEL)).items()), None)
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
    """Begin the transfer that brings what is missing from `source`, whose stock is locked. Raises `NothingOffered`."""
    place = await reference.place(order.tx.conn, source)
    policy = await reference.policy_at(order.tx.conn, place, at)
    missing = {str(line["line_id"]): order.missing(line) for line in order.shorts()}
    wanted: dict[str, int] = {}
    for line_id, units_missing in missing.items():
        sku = str(order.lines[line_id]["sku"])
        wanted[sku] = wanted.get(sku, 0) + units_missing
    for sku, number in wanted.items():
        can = can_promise(order.tx, policy, source, sku) + offered.units(order, source, sku)
        if can < number:
            raise NothingOffered(f"{place.name} can promise only {can} of {units(number)} of {sku} now.")
    arrives = at + timedelta(seconds=order.policy.sourcing.to_store_s)
    opening = Wanted(
        place=place,
        target=order.place,
        policy=policy,
        source=OWN_SOURCE,
        key=f"{order.row['key']}-{cause.replace(':', '-')}",
        reason="ship_to_store",
        lines=[(line_id, str(order.lines[line_id]["sku"]), number) for line_id, number in missing.items()],
        at=at,
        needed_by=arrives,
        requested_by=order.id,
        is_agreed=True,
        held=_of_the_offer(order, source, missing),
        detail={"for_order": order.id},
        clock_offset_s=order.row["clock_offset_s"],
    )
    costs = await reference.unit_costs(order.tx.conn, place.entity, wanted)
    (answer,) = await open_all(order.tx, [opening], {(place.entity, sku): cost for sku, cost in costs.items()})
    for line_id, number in missing.items():
        await coming.begin(order, order.lines[line_id], number, answer.journey_id, at)
    order.row["promised_at"] = arrives
    await order.settle(at)
    order.due("goods", arrives)
    await order.mail_customer("order_delayed", cause, at)
    return f"{place.name} sends {units(sum(missing.values()))} to {order.place.name} by transfer {opening.key}."


def _of_the_offer(order: Order, source: str, missing: Mapping[str, int]) -> dict[str, int]:
    """Units by line that were held while the customer was asked: they change hands and stay reserved."""
    taken: dict[str, int] = {}
    for line_id, number in missing.items():
        for row in offered.held(order):
            part = min(number - taken.get(line_id, 0), row["reserved"])
            if part > 0 and (row["location"], row["sku"]) == (source, order.lines[line_id]["sku"]):
                row["reserved"] -= part
                row["committed"] += part
                taken[line_id] = taken.get(line_id, 0) + part
    return taken


async def goods_came(order: Order, quantities: Mapping[str, int], cause: str, at: datetime) -> str:
    """Goods that an order from before held at a warehouse have come to its store: they are reserved for it there.

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
