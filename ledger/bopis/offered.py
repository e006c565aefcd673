"""What is held for an order while its customer is asked, and when the question has lost its reason.

The units are held by rows of their own, under lines `offer:<id>:<n>`: the order's lines stay what they are until the
customer has said yes, and go on waiting for what they lack.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, select, update

from domain.case import StockEffect
from domain.offer import UNDECIDED
from ledger import approval, links, steps
from ledger.bopis.holding import Goods
from ledger.tables import offer

PREFIX = "offer:"


def hold(order: Goods, offer_id: int, effects: Iterable[StockEffect], at: datetime) -> None:
    """Hold what an offer would give the customer. The stock rows are locked."""
    why = order.cause(f"offer:{offer_id}", at)
    for number, effect in enumerate((one for one in effects if one.effect == "reserved"), start=1):
        line = {"line_id": f"{PREFIX}{offer_id}:{number}", "sku": effect.sku}
        row = order.new_hold(line, effect.quantity, part="reserved", at=at, place=effect.location)
        place = effect.location
        order.tx.shelf.move(
            "reserved", effect.sku, effect.quantity, (place, "available"), (place, "reserved"), why,
            reason="offered", hold_id=row["id"],
        )  # fmt: skip


def held(order: Goods) -> list[dict[str, Any]]:
    """Holds of offers that have units."""
    return [row for row in order.holds if str(row["line_id"]).startswith(PREFIX) and row["reserved"] > 0]


def units(order: Goods, location: str, sku: str) -> int:
    """Units that are held for an offer at a place."""
    return sum(row["reserved"] for row in held(order) if (row["location"], row["sku"]) == (location, sku))


def take(order: Goods, line: dict[str, Any], quantity: int, at: datetime) -> int:
    """Make offered units a line's own: they stay reserved and only change hands. Returns how many there were."""
    taken = 0
    for row in held(order):
        part = min(quantity - taken, row["reserved"])
        if part > 0 and (row["location"], row["sku"]) == (order.location, line["sku"]):
            row["reserved"] -= part
            row["committed"] += part
            order.hold_more(line, part, part="reserved", at=at)
            line["reserved"] += part
            taken += part
    return taken


def let_go_of_the_rest(order: Goods, at: datetime) -> None:
    """Offered units about which nobody is asked any more become available again."""
    if order.row["asks"].get("offer_id") is not None:
        return
    for row in held(order):
        place, part = str(row["location"]), row["reserved"]
        why = order.cause(f"{row['line_id']}:ended", at)
        row["reserved"], row["doubted_at"], row["doubted_because"] = 0, None, None
        row["released"] += part
        order.tx.shelf.move(
            "released", row["sku"], part, (place, "reserved"), (place, "available"), why, hold_id=row["id"]
        )
        order.free(place, str(row["sku"]))


async def asked(order: Goods) -> RowMapping | None:
    """The offer that is not decided yet; the journey's lock covers it."""
    offer_id = order.row["asks"].get("offer_id")
    if offer_id is None:
        return None
    found = await order.tx.conn.execute(select(offer).where(offer.c.id == offer_id))
    row = found.mappings().one()
    return row if row["state"] in UNDECIDED else None


async def look(order: Goods, at: datetime) -> bool:
    """Withdraw the offer where its reason no longer holds; the customer is told, unless the order is over.

    Returns whether it was withdrawn.
    """
    row = await asked(order)
    because = _lost_its_reason(order, row) if row is not None else ""
    if row is None or not because:
        return False
    await withdraw(order, row, because, at)
    return True


def _lost_its_reason(order: Goods, row: RowMapping) -> str:
    missing = {line["line_id"]: order.missing(line) for line in order.shorts()}
    if order.is_final:
        return "the order is over"
    if not missing:
        return "your item was found"
    if missing != row["missing"]:
        return "what is missing has changed"
    if any(hold["doubted_at"] is not None for hold in held(order)):
        return "what we offered was sold meanwhile"
    if row["way"].startswith(("other_store", "ship_to_home")) and order.goods_have_moved():
        return "the store has begun to prepare your order"
    if row["state"] == "accepted" and not order.row["asks"].get("approval_id"):
        return "the order was changed"
    return ""


async def end(order: Goods, row: RowMapping, at: datetime, **values: Any) -> None:
    """The offer is decided, one way or the other: no clock runs for it, and its link only tells what became of it."""
    order.drop_dues("offer")
    order.row["asks"] = {
        name: value for name, value in order.row["asks"].items() if name not in ("offer_id", "approval_id", "verdict")
    }
    await order.tx.conn.execute(
        update(offer).where(offer.c.id == row["id"]).values({"answered_at": row["answered_at"] or at, **values})
    )
    await links.revoke(order.tx, at, offer_id=row["id"])
    order.tx.record(f"offer.{values['state']}", f"offer:{row['id']}", at, before={"state": row["state"]})


async def withdraw(order: Goods, row: RowMapping, because: str, at: datetime) -> None:
    """Take the question back and let the customer know; what was held for it is let go when the order is saved."""
    if order.row["asks"].get("approval_id"):
        await approval.supersede(order.tx, order.row["asks"]["approval_id"], at)
    await end(order, row, at, state="withdrawn", because=because)
    await steps.note(
        order.tx,
        order.id,
        "offer_withdrawn",
        str(row["id"]),
        f"The question to the customer was withdrawn: {because}.",
        at,
    )
    if not order.is_final:
        await order.mail_customer("offer_withdrawn", str(row["id"]), at, offer_id=row["id"])
