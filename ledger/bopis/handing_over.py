"""What leaves with the customer, handed over by the store or rung up at the till: once, whoever reports it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import insert, select

from domain import postings
from domain.errors import Malformed
from domain.events import BopisHandedOver, HandedLine
from domain.messages import Message
from domain.words import units
from ledger import case, reference, steps
from ledger.bopis import cases, money, waiting
from ledger.bopis.facts import end_of_the_pick, pick, ready_or_collected
from ledger.bopis.order import Order
from ledger.shelf import Cause
from ledger.tables import item, person_note

Reporter = Literal["store", "till", "carrier"]


async def handed_over(order: Order, data: BopisHandedOver, cause: str, at: datetime) -> str:
    """Give units to the customer: exactly what was handed over is committed, earned and taken out of stock.

    `lines: null` means everything on the hold shelf. Refused units go back to the shelf and are refunded.
    Raises `UnknownLine`, and `Malformed` for more units than were ordered.
    """
    return await _reported(order, data, "store", cause, at)


async def rung_up(order: Order, quantities: Mapping[str, int], cause: str, at: datetime) -> str:
    """The till rang up lines of the order: the same hand-over, reported before or after the store does."""
    lines = tuple(HandedLine(line_id=line_id, quantity=quantity) for line_id, quantity in quantities.items())
    return await _reported(order, BopisHandedOver(lines=lines, actor="till"), "till", cause, at)


async def sent(order: Order, lines: tuple[HandedLine, ...], carrier: str | None, cause: str, at: datetime) -> str:
    """Units of an order have left with a carrier: earned and taken out of stock as a hand-over is."""
    return await _reported(order, BopisHandedOver(lines=lines, actor=carrier or "carrier"), "carrier", cause, at)


async def _reported(order: Order, data: BopisHandedOver, reporter: Reporter, cause: str, at: datetime) -> str:
    await order.lock_cases()
    await order.lock_goods()
    why = order.cause(cause, at)
    after_close, is_sent = order.is_final, reporter == "carrier"
    told = _told(order, data, after_close=after_close)
    refused: dict[str, int] = {}
    for given in data.lines or ():
        refused[given.line_id] = refused.get(given.line_id, 0) + given.refused_quantity
    handed = _what_is_new(order, reporter, told, is_all=data.lines is None)
    for line_id in told:
        line, new = order.line(line_id), handed.get(line_id, 0) + refused.get(line_id, 0)
        limit = line["ordered"] - line["collected"] if after_close else order.open_quantity(line)
        if new > limit:
            raise Malformed(
                f"Line {line_id}: {new} handed over or refused, only {limit} are left.", pointer="/data/lines"
            )
    is_echo = bool(told) and any(told.values()) and not handed and not any(refused.values())
    is_echo = is_echo or (data.lines is None and not handed and any(line["collected"] for line in order.lines.values()))
    detail = _sentence(data, handed, reporter, is_echo=is_echo)
    if after_close and not is_echo:
        await _hand_over_after_close(order, handed, cause, why)
        await cases.fact_after_close(order, detail, cause, at)
    elif not after_close and not is_echo:
        if reporter != "carrier":  # whoever delivers it looks at the age
            await _check_age(order, data, handed, cause, at)
        if handed and await money.is_declined(order):
            await cases.handed_over_unpaid(order, at)
        await _hand_over(order, handed, refused, cause, why, event="shipped" if is_sent else "handed_over")
    if data.proof is not None and data.proof.name:
        who = f"{data.proof.name}{f' ({data.proof.relation})' if data.proof.relation else ''}"
        await order.tx.conn.execute(insert(person_note).values(subject=order.id, author=data.actor, text=who))
    await steps.note(order.tx, order.id, "shipped" if is_sent else "handed_over", cause, detail, at, actor=data.actor)
    await order.save(at)
    order.tx.tell(order.id, Message.SHIPMENT_RECORDED if is_sent else Message.HAND_OVER_RECORDED)
    return detail


def _told(order: Order, data: BopisHandedOver, *, after_close: bool) -> dict[str, int]:
    """Units by line, as reported; everything that stands there when no lines are named."""
    told: dict[str, int] = {}
    for given in data.lines or ():
        told[given.line_id] = told.get(given.line_id, 0) + given.quantity
    if data.lines is not None:
        return told
    if after_close:
        return {line_id: order.on_hold_shelf(line_id) for line_id in order.lines if order.on_hold_shelf(line_id)}
    staged = {line_id: line["staged"] for line_id, line in order.lines.items() if line["staged"]}
    return staged or {line_id: order.open_quantity(line) for line_id, line in order.lines.items()}


def _what_is_new(order: Order, reporter: Reporter, told: Mapping[str, int], *, is_all: bool) -> dict[str, int]:
    """Units that the other reporter has not reported before.

    Each counts for itself, and what has left is the larger count: in whichever order the two tell of one hand-over, it
    is taken once. Where no lines are named, `told` is what nobody has told of yet.
    """
    counts = order.row["detail"].setdefault("handed_over", {})
    new: dict[str, int] = {}
    for line_id, quantity in told.items():
        line = order.line(line_id)
        by = counts.setdefault(line_id, {"store": line["collected"], "till": 0})
        if reporter == "carrier":  # what a carrier has is nothing that a store or a till tells of
            counts[line_id] = {name: count + quantity for name, count in by.items()}
            new |= {line_id: quantity} if quantity else {}
            continue
        before = max(by.values())
        by[reporter] = quantity + (before if is_all else by[reporter])
        if max(by.values()) > before:
            new[line_id] = max(by.values()) - before
    return new


def _sentence(data: BopisHandedOver, handed: Mapping[str, int], reporter: Reporter, *, is_echo: bool) -> str:
    if is_echo:
        other = "till" if reporter == "store" else "store"
        return f"The {reporter} reports the hand-over, too; the {other} had told of it, and nothing is counted twice."
    if reporter == "carrier":
        carrier = "" if data.actor == "carrier" else f" with {data.actor}"
        return f"{units(sum(handed.values()))} sent to the customer{carrier}."
    proof = data.proof
    against = f" against {proof.kind}" if proof is not None else ""
    checked = ", age checked" if proof is not None and proof.id_checked else ""
    at_till = " at the till" if reporter == "till" else ""
    return f"{units(sum(handed.values()))} handed over to the customer{at_till}{against}{checked}."


async def _check_age(order: Order, data: BopisHandedOver, handed: Mapping[str, int], cause: str, at: datetime) -> None:
    """Goods with an age limit have left without a recorded look at an identity card: somebody asks the store."""
    if data.proof is not None and (data.proof.id_checked or data.proof.kind == "id"):
        return
    skus = {str(order.lines[line_id]["sku"]) for line_id in handed}
    found = await order.tx.conn.execute(
        select(item.c.name).where(item.c.sku.in_(skus), item.c.age_limit.is_not(None)).order_by(item.c.name)
    )
    names = list(found.scalars())
    if names:
        await cases.age_not_checked(order, names, cause, at)


async def _hand_over(
    order: Order, handed: dict[str, int], refused: dict[str, int], cause: str, why: Cause, *, event: str
) -> None:
    skus = {str(rows[line_id]["sku"]) for rows in (order.lines, order.sales) for line_id in handed}
    costs = await reference.unit_costs(order.tx.conn, order.row["entity"], skus) if skus else {}
    for line_id, quantity in handed.items():
        _draw(order, order.lines[line_id], quantity, costs, why, event)
    if handed:
        await money.earn(order, handed, costs, cause, why.at, event=f"bopis.{event}")
    sent_back = {line_id: quantity for line_id, quantity in refused.items() if quantity}
    for line_id, quantity in sent_back.items():
        line = order.lines[line_id]
        # They were brought to the customer: what was not reported as picked was picked all the same.
        pick(order, line, max(quantity - line["staged"], 0), why)
        order.shift(line_id, "staged", "released", quantity)
        line["staged"] -= quantity
        line["cancelled"] += quantity
        order.leave_on_hold_shelf(line_id, quantity)
    if sent_back:
        order.due("put_away", why.at + timedelta(seconds=order.policy.bopis.put_away_s))
        owed = money.give_up(order, sent_back) + money.give_up_charges_of_nothing(order)
        await money.owe(order, owed, cause, why.at, reason="refused at hand-over")
    before = order.row["state"]
    order.drop_dues("arrived")
    await case.heal_kind(order.tx, order.id, "customer_waiting", "the goods were brought", why.at)
    await order.settle(why.at)
    await end_of_the_pick(order, why.at)
    await order.answer_if_nothing_is_missing(why.at)
    await ready_or_collected(order, before, cause, why.at)
    if order.is_final:
        await waiting.end(order)
        await order.end_asks("the order was collected", why.at)


def _draw(
    order: Order, line: dict[str, Any], quantity: int, costs: dict[str, int], why: Cause, event: str = "handed_over"
) -> None:
    """Take units from the hold shelf, then from what is promised, then from the shelf: they have left, wherever they
    stood.
    """
    left, sku = quantity, str(line["sku"])
    order.handed_over_before_its_pick(str(line["line_id"]), quantity - min(quantity, line["staged"]))
    parts: list[tuple[str, str, int, str | None]] = []  # location, bucket, units, hold
    for part_name in ("staged", "reserved"):
        part_wanted = min(left, line[part_name])
        for held, part in order.shift(str(line["line_id"]), part_name, "committed", part_wanted):
            parts.append((held["location"], part_name, part, held["id"]))
        line[part_name] -= part_wanted
        left -= part_wanted
    if left:
        order.take_unpromised(sku)
        parts.append((order.location, "available", left, None))
    unit_cost, taken, before = costs.get(sku, 0), 0, 0
    for place, bucket, units_taken, hold in parts:
        # Shares of what the whole costs, as it is posted: parts that were rounded each for itself would not sum to it.
        taken += units_taken
        until = reference.cost_of(unit_cost, taken)
        order.tx.shelf.move(
            event,
            sku,
            units_taken,
            (place, bucket),
            (place, "customer"),
            why,
            unit_cost_e4=unit_cost,
            cost_minor=until - before,
            hold_id=hold,
        )
        before = until
    line["collected"] += quantity


async def _hand_over_after_close(order: Order, handed: dict[str, int], cause: str, why: Cause) -> None:
    """The order had ended and its money went back: the goods left all the same, at our cost until somebody decides."""
    skus = [str(order.lines[line_id]["sku"]) for line_id in handed]
    costs = await reference.unit_costs(order.tx.conn, order.row["entity"], skus)
    lines: list[postings.Line] = []
    for line_id, quantity in handed.items():
        sku, place = str(order.lines[line_id]["sku"]), order.location
        on_shelf = min(quantity, order.on_hold_shelf(line_id))
        order.leave_on_hold_shelf(line_id, -on_shelf)
        order.take_unpromised(sku)
        for bucket, part in (("staged", on_shelf), ("available", quantity - on_shelf)):
            if part:
                cost = reference.cost_of(costs.get(sku, 0), part)
                order.tx.shelf.move(
                    "handed_over",
                    sku,
                    part,
                    (place, bucket),
                    (place, "customer"),
                    why,
                    unit_cost_e4=costs.get(sku, 0),
                    cost_minor=cost,
                )
                lines += postings.adjustment(-cost, "lost", location=place, sku=sku)
    order.tx.post(money.entry(order, "bopis.handed_over_after_close", cause, lines, why.at))
    order.nothing_left_on_hold_shelf()
