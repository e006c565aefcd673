"""Promised units that may be gone: the store looks, and says what is there. What it does not find, or says nothing
about in time, is lost; the customer hears nothing before that.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import update

from domain.errors import Malformed
from domain.events import BopisVerified
from domain.messages import Message
from domain.words import units
from ledger import steps
from ledger.bopis import waiting
from ledger.bopis.order import Order
from ledger.shelf import Cause
from ledger.tables import hold

SOLD, SHORT_PICK = "sold", "short_pick"


async def doubt_others(order: Order, sku: str, at: datetime) -> None:
    """A picker found the shelf empty of an item: what other orders were promised of it there is doubtful, too."""
    doubted = await order.tx.conn.execute(
        update(hold)
        .where(
            hold.c.location == order.location,
            hold.c.sku == sku,
            hold.c.journey_id.is_not(None),
            hold.c.journey_id != order.id,
            hold.c.reserved > 0,
            hold.c.doubted_at.is_(None),
        )
        .values(doubted_at=at, doubted_because=SHORT_PICK)
        .returning(hold.c.journey_id)
    )
    for journey_id in sorted(set(doubted.scalars())):
        order.tx.tell(journey_id, Message.UNIT_DOUBTED)


async def verified(order: Order, data: BopisVerified, cause: str, at: datetime) -> str:
    """The store has looked for promised units: `quantity` of a line are there; `lines: null` means all of them.

    Raises `UnknownLine`, and `Malformed` for more units than are promised.
    """
    await order.lock_cases()
    await order.lock_goods()
    why = order.cause(cause, at)
    there = {line_id: line["reserved"] for line_id, line in order.lines.items()}
    for told in data.lines or ():
        line = order.line(told.line_id)
        if told.quantity > line["reserved"]:
            raise Malformed(
                f"Line {told.line_id}: {told.quantity} found, but {line['reserved']} are promised and not picked.",
                pointer="/data/lines",
            )
        there[told.line_id] = told.quantity
    looked_at = [told.line_id for told in data.lines] if data.lines is not None else list(order.lines)
    lost = 0
    for line_id in looked_at:
        line = order.lines[line_id]
        gone = line["reserved"] - there[line_id]
        if gone:
            await _lose(order, line, gone, why)
            lost += gone
        for row in order.holds_of(line_id, "reserved"):
            row["doubted_at"] = row["doubted_because"] = None
    if not any(row["doubted_at"] for row in order.holds):
        order.drop_dues("verify")
    found = sum(order.lines[line_id]["reserved"] for line_id in looked_at)
    detail = f"The store looked: {units(found)} there" + (f", {units(lost)} not there." if lost else ".")
    if lost:
        await _missing(order, at)
    await steps.note(order.tx, order.id, "verified", cause, detail, at, actor=data.actor)
    await order.save(at)
    order.tx.tell(order.id, Message.VERIFIED)
    return detail


async def nobody_looked(order: Order, cause: str, at: datetime) -> str:
    """The time to look is over: what the book does not cover, or a picker did not find either, is lost."""
    why = order.cause(cause, at)
    lost = 0
    # What is held for an offer is no promise yet: there the question is withdrawn instead.
    doubted = [row for row in order.holds if row["doubted_at"] is not None and row["line_id"] in order.lines]
    for row in [row for row in doubted if row["reserved"] > 0]:
        line = order.lines[row["line_id"]]
        gone = row["reserved"] if row["doubted_because"] == SHORT_PICK else _below_zero(order, row)
        row["doubted_at"] = row["doubted_because"] = None
        if gone:
            await _lose(order, line, gone, why)
            lost += gone
    if not lost:
        return "The book covers the promise again."
    await _missing(order, at)
    return f"Of what was promised, {units(lost)} cannot be found."


def _below_zero(order: Order, row: dict[str, Any]) -> int:
    short = -order.tx.shelf.quantity(row["location"], str(row["sku"]), "available")
    return min(int(row["reserved"]), max(short, 0))


async def _lose(order: Order, line: dict[str, Any], quantity: int, why: Cause) -> None:
    """Units are not there: those that the till has sold are gone from the book, the others wait for a count."""
    for held, part in order.shift(str(line["line_id"]), "reserved", "lost", quantity):
        place, sku = held["location"], str(held["sku"])
        sold = min(part, max(-order.tx.shelf.quantity(place, sku, "available"), 0))
        for target, share, reason in (("available", sold, "sold"), ("count_pending", part - sold, "not_found")):
            if share:
                order.tx.shelf.move(
                    "lost", sku, share, (place, "reserved"), (place, target), why, reason=reason, hold_id=held["id"]
                )
    line["reserved"] -= quantity
    await waiting.wait_for(order, line, quantity, why.at)


async def _missing(order: Order, at: datetime) -> None:
    order.row["detail"]["failure"] = "reservation_lost"
    await order.settle(at)
