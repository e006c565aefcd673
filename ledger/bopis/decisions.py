"""Applies the way out that somebody chose. Each is checked against what is true now before anything is changed."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from domain.bopis import BopisState
from domain.errors import NothingOffered
from domain.stock import atp
from domain.words import money as money_words
from domain.words import units
from ledger import case, reference
from ledger.bopis import clocks, coming, money, offered, offering, to_store, waiting
from ledger.bopis.facts import ready_or_collected
from ledger.bopis.order import Order
from ledger.bopis.ways_out import ways_out
from ledger.shelf import Cause
from ledger.tables import journey_line, sale_line

Parameters = Mapping[str, Any]
Apply = Callable[[Order, Parameters, str, datetime], Awaitable[str]]


def promisable(order: Order, location: str, sku: str) -> int:
    """Units that may be promised now, from the locked row, with those that are held for an offer to this customer."""
    row = order.tx.shelf.rows[location, sku]
    return atp(
        row["available"],
        safety_stock=row["safety_stock"],
        channel_threshold=order.policy.stock.channel_threshold.get(order.row["channel"], 0),
        confidence_permille=row["confidence_permille"],
    ) + offered.units(order, location, sku)


def places(order: Order, option_id: str, parameters: Parameters) -> list[tuple[str, str]]:
    """The stock rows that an option touches beyond the order's own."""
    option_id = option_id.removeprefix(offering.BY_LINK)
    if option_id.startswith(("other_store", "ship_to_home", "ship_to_store")):
        return [(str(parameters["location"]), line["sku"]) for line in order.lines.values()]
    if option_id == "substitute":
        return [(order.location, str(sku)) for name, sku in parameters.items() if name.startswith("line:")]
    return []


async def apply(order: Order, option_id: str, parameters: Parameters, cause: str, at: datetime) -> str:
    """Apply an option to the locked order; returns what was done, as a sentence. Raises `NothingOffered`."""
    if option_id.startswith(offering.BY_LINK):
        way = option_id.removeprefix(offering.BY_LINK)
        return await offering.make_chosen(order, way, await ways_out(order), cause, at)
    return await APPLY[option_id.split(":", maxsplit=1)[0]](order, parameters, cause, at)


async def _other_store(order: Order, parameters: Parameters, cause: str, at: datetime) -> str:
    target = await reference.place(order.tx.conn, str(parameters["location"]))
    await _move_as_a_whole(order, target, order.cause(cause, at))
    await order.settle(at)
    await clocks.start_pick(order, at)
    await order.mail_customer("order_moved", cause, at)
    return f"The order moved to {target.name}; all units are reserved there."


async def _ship_to_home(order: Order, parameters: Parameters, cause: str, at: datetime) -> str:
    if not order.row["detail"].get("has_address"):
        raise NothingOffered("There is no address to send it to.")
    source = await reference.place(order.tx.conn, str(parameters["location"]))
    await _move_as_a_whole(order, source, order.cause(cause, at))
    order.row["detail"]["ship_to_home"] = True
    await order.settle(at)
    await order.mail_customer("order_to_be_shipped", cause, at)
    return f"{source.name} sends the order to the customer's address; all units are reserved there."


async def _ship_to_store(order: Order, parameters: Parameters, cause: str, at: datetime) -> str:
    return await to_store.send_to_store(order, str(parameters["location"]), at, cause)


async def _move_as_a_whole(order: Order, target: reference.Place, why: Cause) -> None:
    """Promise every open unit at another place instead. Raises `NothingOffered` where that cannot be any more."""
    wanted: dict[str, int] = {}
    for line in order.lines.values():
        wanted[line["sku"]] = wanted.get(line["sku"], 0) + order.open_quantity(line)
    for sku, quantity in wanted.items():
        there = promisable(order, target.code, sku)
        if there < quantity:
            raise NothingOffered(f"{target.name} can promise only {there} of {units(quantity)} of {sku} now.")
    if order.goods_have_moved():
        raise NothingOffered("Part of the order was picked meanwhile; it cannot move to another store as a whole.")
    _release_reserved(order, why)
    await coming.let_go(order, list(order.lines))
    order.row["detail"].setdefault("moved_from", []).append(order.location)
    order.row["detail"].pop("ship_to_home", None)
    order.row["location"], order.row["region"], order.place = target.code, target.region, target
    for line in order.lines.values():
        _reserve(order, line, order.open_quantity(line), why)


def _release_reserved(order: Order, why: Cause, line_ids: list[str] | None = None) -> None:
    """Let go of what is promised and not picked: it is available again."""
    for line in (order.lines[line_id] for line_id in line_ids or order.lines):
        for held, part in order.shift(line["line_id"], "reserved", "released", line["reserved"]):
            place = held["location"]
            order.tx.shelf.move(
                "released", held["sku"], part, (place, "reserved"), (place, "available"), why, hold_id=held["id"]
            )
            order.free(place, str(held["sku"]))
        line["reserved"] = 0


def _reserve(order: Order, line: dict[str, Any], quantity: int, why: Cause) -> None:
    """Promise units to a line: those of the offer that its customer has accepted, then the shelf's."""
    quantity -= offered.take(order, line, quantity, why.at)
    if quantity:
        key = order.hold_more(line, quantity, part="reserved", at=why.at)
        place = order.location
        order.tx.shelf.move(
            "reserved", line["sku"], quantity, (place, "available"), (place, "reserved"), why, hold_id=key
        )
        line["reserved"] += quantity


async def _substitute(order: Order, parameters: Parameters, cause: str, at: datetime) -> str:
    why = order.cause(cause, at)
    chosen = {line["line_id"]: parameters.get(f"line:{line['line_id']}") for line in order.shorts()}
    swaps = {line_id: str(sku) for line_id, sku in chosen.items() if sku is not None}
    if len(swaps) < len(chosen):
        raise NothingOffered("More is missing by now than a substitute was chosen for.")
    items = await reference.items(order.tx.conn, swaps.values())
    wanted: dict[str, int] = {}
    for line_id, sku in swaps.items():
        wanted[sku] = wanted.get(sku, 0) + order.missing(order.lines[line_id])
    for sku, quantity in wanted.items():
        if promisable(order, order.location, sku) < quantity:
            raise NothingOffered(f"{items[sku]['name']} is not there any more in the quantity of {quantity}.")
    owed = 0
    for line_id, sku in swaps.items():
        line = order.lines[line_id]
        quantity = order.missing(line)
        paid = money.give_up(order, {line_id: quantity})
        line["cancelled"] += quantity
        line["substituted_by"] = sku
        cheaper = await _add_line(order, line, sku, quantity, items[sku]["price_minor"], paid, why)
        # What was paid goes over to the substitute; only what that costs less goes back.
        line["refunded_minor"] += cheaper - paid
        owed += cheaper
    await money.owe(order, owed, cause, at, reason="substitute is cheaper")
    await order.settle(at)
    return f"Replaced by {', '.join(str(items[sku]['name']) for sku in swaps.values())}."


async def _add_line(
    order: Order, old: dict[str, Any], sku: str, quantity: int, price_minor: int, paid_minor: int, why: Cause
) -> int:
    """Add the substitute's line; the customer pays what was paid, or less. Returns what is owed back, in minor
    units.
    """
    line_id = f"{old['line_id']}~{sku}"
    while line_id in order.lines:  # the same substitute once more, for units that went missing later
        line_id += "~"
    sold = order.sales[old["line_id"]]
    tax = min(money.part_of_tax(sold, quantity), paid_minor)
    gross = quantity * price_minor
    net = paid_minor - (0 if sold["tax_included"] else tax)
    less = max(gross - net, 0)
    # The customer's own discount stays one; what the substitute costs more than that is ours.
    discount = min(less, money.part_of_discount(sold, quantity))
    owed = max(net - gross, 0)
    row = dict.fromkeys(("picked", "staged", "collected", "cancelled", "short", "refunded_minor", "reserved"), 0) | {
        "journey_id": order.id,
        "line_id": line_id,
        "sku": sku,
        "ordered": quantity,
        "substitution": "never",
        "fallback": old["fallback"],
        "substituted_by": None,
        "state": "reserved",
    }
    sale = {
        "document": order.id,
        "line_id": line_id,
        "sku": sku,
        "entity": sold["entity"],
        "location": order.location,
        "currency": sold["currency"],
        "quantity": quantity,
        "unit_price_minor": price_minor,
        "gross_minor": gross,
        "discount_minor": discount,
        "appeasement_minor": less - discount,
        "tax_minor": tax,
        "tax_included": sold["tax_included"],
    }
    await order.tx.conn.execute(insert(journey_line).values(**row))
    await order.tx.conn.execute(insert(sale_line).values(**sale))
    order.lines[line_id] = row
    order.remember(journey_line, (row,))
    _reserve(order, row, quantity, why)
    return owed


async def _part(order: Order, _parameters: Parameters, cause: str, at: datetime) -> str:
    missing = {line["line_id"]: order.missing(line) for line in order.shorts()}
    owed = await leave_out(order, missing, cause, at)
    return f"What is missing, {units(sum(missing.values()))}, was taken off the order; {_money(order, owed)} goes back."


async def leave_out(order: Order, missing: Mapping[str, int], cause: str, at: datetime) -> int:
    """Go on with the rest: what is missing is refunded, and the customer told. Returns minor units."""
    before = order.row["state"]
    owed = await give_up_units(order, missing, cause, at, reason="not there")
    await order.settle(at)
    await ready_or_collected(order, before, cause, at)
    await order.mail_customer("line_refunded", cause, at, amount_minor=owed)
    return owed


async def give_up_units(order: Order, units: Mapping[str, int], cause: str, at: datetime, *, reason: str) -> int:
    """Take units off the order and owe the customer what they cost. Returns the amount in minor units."""
    for line_id, quantity in units.items():
        order.lines[line_id]["cancelled"] += quantity
    owed = money.give_up(order, dict(units)) + money.give_up_charges_of_nothing(order)
    await money.owe(order, owed, cause, at, reason=reason)
    return owed


async def _wait(order: Order, _parameters: Parameters, cause: str, at: datetime) -> str:
    await waiting.wait_again(order, at)
    await order.mail_customer("order_waits", cause, at)
    order.row["promised_at"] = None
    order.due("wait", at + timedelta(seconds=order.policy.sourcing.wait_s))
    return "The order waits for stock that turns up."


async def _keep(order: Order, _parameters: Parameters, _cause: str, _at: datetime) -> str:
    return f"The order stays at {order.place.name}."


async def _cancel_refund(order: Order, _parameters: Parameters, cause: str, at: datetime) -> str:
    owed = await cancel_everything(order, cause, at, reason="could not be fulfilled")
    await order.mail_customer("order_cancelled", cause, at, amount_minor=owed)
    return f"The order was cancelled; {_money(order, owed)} goes back."


async def let_go(order: Order, line_ids: list[str], cause: str, at: datetime, *, part: str = "released") -> None:
    """End the holds of some lines: what is promised is available again at once, what is staged waits to be put away.

    What a transfer brings for them is not needed any more; the transfer is told, and says what becomes of it.
    """
    why = order.cause(cause, at)
    _release_reserved(order, why, line_ids)
    await coming.let_go(order, line_ids)
    for line_id in line_ids:
        line = order.lines[line_id]
        if line["staged"]:
            order.shift(line_id, "staged", part, line["staged"])
            order.leave_on_hold_shelf(line_id, line["staged"])
            line["staged"] = 0
    if any(order.on_hold_shelf(line_id) for line_id in order.lines):
        order.due("put_away", at + timedelta(seconds=order.policy.bopis.put_away_s))


async def cancel_everything(order: Order, cause: str, at: datetime, *, reason: str, by: str = "us") -> int:
    """Let go of every open unit and owe what was paid for it; staged goods wait to be put away. Returns minor units.

    `by` is who ended it, as its customer is told: customer, shop (a system or somebody there reported it) or us.
    """
    nothing_sold = not any(line["collected"] for line in order.lines.values())
    await let_go(order, list(order.lines), cause, at, part="expired" if reason == "no_show" else "released")
    units = {line_id: order.open_quantity(line) for line_id, line in order.lines.items()}
    for line_id, quantity in units.items():
        order.lines[line_id]["cancelled"] += quantity
    owed = money.give_up(order, {line_id: quantity for line_id, quantity in units.items() if quantity})
    owed += money.give_up_charges_of_nothing(order)
    await money.owe(order, owed, cause, at, reason=reason)
    await case.heal_kind(order.tx, order.id, "capture_failed", "nothing is to be paid any more", at)
    await waiting.end(order)
    await case.heal_kind(order.tx, order.id, "shipment_overdue", "nothing is to come any more", at)
    order.drop_dues("pick", "window", "verify", "wait", "arrived", "goods", "ship")
    if nothing_sold:
        order.go(BopisState.EXPIRED if reason == "no_show" else BopisState.CANCELLED)
        order.row["detail"]["ended"] = {"by": by, "at": at.isoformat()}
    else:
        order.go(BopisState.COLLECTED)
    for line in order.lines.values():
        line["short"] = 0
        line["state"] = "collected" if line["collected"] else "cancelled"
    return owed


def _money(order: Order, amount_minor: int) -> str:
    return money_words(amount_minor, order.row["currency"])


APPLY: dict[str, Apply] = {
    "other_store": _other_store,
    "ship_to_home": _ship_to_home,
    "ship_to_store": _ship_to_store,
    "substitute": _substitute,
    "part": _part,
    "wait": _wait,
    "cancel_refund": _cancel_refund,
    "keep": _keep,
}
