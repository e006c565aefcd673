"""What stores report of an order: picked, put away. A fact takes its whole effect here and is never refused for a
state.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any

from domain import postings
from domain.bopis import ON_THE_HOLD_SHELF, TO_BE_PICKED, BopisState
from domain.errors import Malformed
from domain.events import BopisPicked, BopisPutAway, PickedLine
from domain.messages import Message
from domain.words import units
from ledger import case, reference, steps
from ledger.bopis import cases, money, verifying, waiting
from ledger.bopis.order import Order
from ledger.count.asking import count_what_waits
from ledger.shelf import Cause

# What a reason for a short pick does to the units that were promised, and to the rest of the shelf.
_SHELF_IS_EMPTY = frozenset({"not_in_stock"})
_DAMAGED = frozenset({"damaged", "worn_display"})
_STILL_THERE = frozenset({"no_variance", "reserved_for_other"})


async def picked(order: Order, data: BopisPicked, cause: str, at: datetime) -> str:
    """Put picked units on the hold shelf, line by line; a reason ends the search for the rest of a line.

    Raises `UnknownLine`, and `Malformed` for more units than the order has left.
    """
    await order.lock_cases()
    await order.lock_goods()
    why = order.cause(cause, at)
    unexpected = 0
    for wanted in data.lines:
        line = order.line(wanted.line_id)
        quantity = wanted.quantity - order.already_handed_over(wanted.line_id, wanted.quantity)
        if order.is_final:
            _pick_without_promise(order, line, quantity, why)
            order.leave_on_hold_shelf(wanted.line_id, quantity)
            unexpected += quantity
            continue
        still = order.open_quantity(line) - line["staged"]
        if quantity > still:
            raise Malformed(
                f"Line {wanted.line_id}: {wanted.quantity} picked, but {still} left to pick.",
                pointer="/data/lines",
            )
        pick(order, line, quantity, why)
        if wanted.reason is not None:
            await _short(order, line, wanted, why)
    order.drop_dues("verify")
    detail = _pick_sentence(data)
    short = {str(order.line(line.line_id)["sku"]) for line in data.lines if line.reason}
    await count_what_waits(
        order.tx, order.place, order.policy, short, why=f"Order {order.row['key']} was picked short."
    )
    if order.is_final and unexpected:
        order.due("put_away", at + timedelta(seconds=order.policy.bopis.put_away_s))
        await cases.fact_after_close(order, detail, cause, at)
    elif not order.is_final:
        await _after_pick(order, cause, at)
    await steps.note(order.tx, order.id, "picked", cause, detail, at, actor=data.picker)
    await order.save(at)
    order.tx.tell(order.id, Message.PICK_RECORDED)
    return detail


def pick(order: Order, line: dict[str, Any], quantity: int, why: Cause) -> None:
    """Promised units first; what the picker found beyond them is taken from the shelf, promised or not."""
    promised = min(quantity, line["reserved"])
    for held, part in order.shift(str(line["line_id"]), "reserved", "staged", promised):
        place = held["location"]
        order.tx.shelf.move(
            "picked", held["sku"], part, (place, "reserved"), (place, "staged"), why, hold_id=held["id"]
        )
    line["reserved"] -= promised
    extra = quantity - promised
    if extra:
        _pick_without_promise(order, line, extra, why)
        order.hold_more(line, extra, part="staged", at=why.at)
    line["picked"] += quantity
    line["staged"] += quantity


def _pick_without_promise(order: Order, line: dict[str, Any], quantity: int, why: Cause) -> None:
    if quantity:
        place = order.location
        order.tx.shelf.move("picked", str(line["sku"]), quantity, (place, "available"), (place, "staged"), why)
        order.take_unpromised(str(line["sku"]))


async def _short(order: Order, line: dict[str, Any], wanted: PickedLine, why: Cause) -> None:
    """The picker gives up on the rest of the line: its reason decides what becomes of the book."""
    short = line["reserved"]
    place, sku = order.location, str(line["sku"])
    reason = wanted.reason or ""
    sold = 0 if reason in _STILL_THERE else _sold_from_under(order, line)
    for held, part in order.shift(str(line["line_id"]), "reserved", "lost", sold):
        where = held["location"]
        order.tx.shelf.move(
            "lost", sku, part, (where, "reserved"), (where, "available"), why, reason="sold", hold_id=held["id"]
        )
    if sold:
        order.row["detail"]["failure"] = "reservation_lost"
    target = "available" if reason in _STILL_THERE else "damaged" if reason in _DAMAGED else "count_pending"
    unit_cost = (await reference.unit_costs(order.tx.conn, why.entity, [sku])).get(sku, 0) if target == "damaged" else 0
    for held, part in order.shift(str(line["line_id"]), "reserved", "lost", short - sold):
        cost = reference.cost_of(unit_cost, part)
        order.tx.shelf.move(
            "lost",
            sku,
            part,
            (held["location"], "reserved"),
            (held["location"], target),
            why,
            reason=reason,
            unit_cost_e4=unit_cost,
            cost_minor=cost,
            hold_id=held["id"],
        )
        lines = postings.damage(cost, location=held["location"], sku=sku)
        order.tx.post(money.entry(order, f"bopis.damaged.{held['id']}", why.cause, lines, why.at))
    line["reserved"] = 0
    left = order.tx.shelf.quantity(place, sku, "available")
    if reason in _SHELF_IS_EMPTY and left > 0:
        order.tx.shelf.move("suspected", sku, left, (place, "available"), (place, "count_pending"), why, reason=reason)
    if reason in _SHELF_IS_EMPTY:
        await verifying.doubt_others(order, sku, why.at)
    if short:
        await waiting.wait_for(order, line, short, why.at)


def _sold_from_under(order: Order, line: dict[str, Any]) -> int:
    """Promised units that the till has sold: the book is below zero by them, so they are not missing but gone."""
    doubted = sum(row["reserved"] for row in order.holds_of(str(line["line_id"]), "reserved") if row["doubted_at"])
    below_zero = max(-order.tx.shelf.quantity(order.location, str(line["sku"]), "available"), 0)
    return int(min(doubted, below_zero, line["reserved"]))


async def _after_pick(order: Order, cause: str, at: datetime) -> None:
    before = order.row["state"]
    await order.settle(at)
    state = order.row["state"]
    await end_of_the_pick(order, at)
    lost = order.row["detail"].get("failure") == "reservation_lost"
    if state == BopisState.RESERVATION_FAILED and not order.row["asks"].get("case_id") and not lost:
        order.row["detail"]["failure"] = "pick_short"
    if state != BopisState.RESERVATION_FAILED:
        await order.answer_if_nothing_is_missing(at)
    await ready_or_collected(order, before, cause, at)


async def end_of_the_pick(order: Order, at: datetime) -> None:
    """Nobody has to be reminded of a pick that was reported as far as the store will go."""
    if order.row["state"] not in TO_BE_PICKED:
        await case.heal_kind(order.tx, order.id, "pick_overdue", "the pick was reported", at)


async def ready_or_collected(order: Order, before: str, cause: str, at: datetime) -> None:
    """Authorised money is taken for what stands ready or was collected; the customer is told when goods are ready."""
    state = order.row["state"]
    if state not in ON_THE_HOLD_SHELF and not any(line["collected"] for line in order.lines.values()):
        return
    await money.capture_what_is_due(order, cause, at)
    if state in ON_THE_HOLD_SHELF and before not in ON_THE_HOLD_SHELF:
        order.row["detail"].setdefault("pickup_code", f"{secrets.randbelow(10**6):06d}")
        times = order.row["detail"].get("told_ready", 0) + 1
        order.row["detail"]["told_ready"] = times
        await order.mail_customer("ready_for_pickup", str(times), at, window_until=order.row["dues"].get("window"))


def _pick_sentence(data: BopisPicked) -> str:
    total = sum(line.quantity for line in data.lines)
    short = [f"line {line.line_id} {line.reason.replace('_', ' ')}" for line in data.lines if line.reason]
    return f"{units(total)} picked" + (f"; short: {', '.join(short)}." if short else ".")


async def put_away(order: Order, data: BopisPutAway, cause: str, at: datetime) -> str:
    """Goods of a cancelled, expired or refused pickup go back from the hold shelf to the shelf, or are damaged."""
    await order.lock_cases()
    await order.lock_goods()
    why = order.cause(cause, at)
    target = "available" if data.condition == "good" else "damaged"
    wanted = (
        {line.line_id: line.quantity for line in data.lines}
        if data.lines is not None
        else {line_id: order.on_hold_shelf(line_id) for line_id in order.lines}
    )
    costs = await reference.unit_costs(order.tx.conn, order.row["entity"], (x["sku"] for x in order.lines.values()))
    lines: list[postings.Line] = []
    for line_id, quantity in wanted.items():
        line, limit = order.line(line_id), order.on_hold_shelf(line_id)
        if quantity > limit:
            raise Malformed(
                f"Line {line_id}: {quantity} put away, but {limit} wait to be put away.", pointer="/data/lines"
            )
        if not quantity:
            continue
        sku, place = str(line["sku"]), order.location
        cost = reference.cost_of(costs.get(sku, 0), quantity) if target == "damaged" else 0
        order.tx.shelf.move("put_away", sku, quantity, (place, "staged"), (place, target), why, cost_minor=cost)
        lines += postings.damage(cost, location=place, sku=sku)
        order.leave_on_hold_shelf(line_id, -quantity)
        if target == "available":
            order.free(place, sku)
    order.tx.post(money.entry(order, "bopis.put_away", cause, lines, at))
    if order.nothing_left_on_hold_shelf():
        await case.heal_kind(order.tx, order.id, "put_away_overdue", "the goods were put away", at)
    detail = f"{units(sum(wanted.values()))} put away, {data.condition}."
    await steps.note(order.tx, order.id, "put_away", cause, detail, at, actor=data.actor)
    await order.save(at)
    order.tx.tell(order.id, Message.PUT_AWAY_RECORDED)
    return detail
