"""What transfers bring for an order: on its way, arrived and held for it, not coming after all, no longer needed.

Rows of `awaited` are covered by the stock row at the order's place. A transfer writes what came and what will not; the
order takes both up under its own lock, and leaves there what it needs no more, which the transfer takes up under its.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from domain.messages import Message
from ledger import case
from ledger.bopis import waiting
from ledger.bopis.holding import Goods
from ledger.tables import awaited


async def begin(order: Goods, line: dict[str, Any], units: int, transfer_id: str, at: datetime) -> None:
    """A transfer brings units of a line. Its own line has the same id."""
    row = {"transfer_id": transfer_id, "journey_id": order.id, "line_id": line["line_id"], "sku": line["sku"]}
    await order.tx.conn.execute(insert(awaited).values(**row, location=order.location, quantity=units, at=at))
    order.expect(str(line["line_id"]), units)


async def take_up(order: Goods) -> int:
    """What came becomes the order's own, and what will not come is missing; what it has no use for is let go.

    Returns the units that came and that the order can use. Its goods are locked and its rows loaded.
    """
    if not order.row["detail"].get("coming"):
        return 0
    rows = await order.tx.conn.execute(
        select(awaited)
        .where(awaited.c.journey_id == order.id, awaited.c.came + awaited.c.failed > 0)
        .order_by(awaited.c.id)
        .with_for_update()
    )
    used = 0
    for row in rows.mappings().all():
        line = order.lines[row["line_id"]]
        order.expect(row["line_id"], -row["came"] - row["failed"])
        usable = 0 if order.is_final else min(row["came"], max(order.missing(line), 0))
        line["reserved"] += usable
        used += usable
        waiting.let_go(order, row["line_id"], row["came"] - usable, f"came:{row['id']}", row["at"])
        await _miss(order, line, row["failed"])
        await order.tx.conn.execute(update(awaited).where(awaited.c.id == row["id"]).values(came=0, failed=0))
    return used


async def _miss(order: Goods, line: dict[str, Any], units: int) -> None:
    """Units will not come: the order waits for others that turn up, and somebody looks for another way out."""
    lacking = 0 if order.is_final else min(units, max(order.missing(line), 0))
    if not lacking:
        return
    order.fell_short += lacking
    order.row["detail"]["failure"] = "reservation_lost"
    await waiting.wait_for(order, line, lacking, await order.tx.now(order.row["clock_offset_s"]))
    order.free(order.location, str(line["sku"]))


async def let_go(order: Goods, line_ids: Iterable[str]) -> None:
    """What is still to come for these lines is no longer needed."""
    await _give_up(order, {line_id: order.coming(order.lines[line_id]) for line_id in line_ids})


async def cut(order: Goods) -> None:
    """No more comes than a line has open: what it has by now, or was taken off it, is not needed."""
    if order.row["detail"].get("coming"):
        lines = order.lines.items()
        await _give_up(order, {name: order.coming(line) - max(order.uncovered(line), 0) for name, line in lines})


async def _give_up(order: Goods, units: dict[str, int]) -> None:
    left = {line_id: number for line_id, number in units.items() if number > 0}
    if not left:
        return
    rows = await order.tx.conn.execute(
        select(awaited)
        .where(awaited.c.journey_id == order.id, awaited.c.quantity > 0)
        .order_by(awaited.c.id.desc())
        .with_for_update()
    )
    for row in rows.mappings().all():
        part = min(left.get(row["line_id"], 0), row["quantity"])
        if not part:
            continue
        left[row["line_id"]] -= part
        order.expect(row["line_id"], -part)
        await order.tx.conn.execute(
            update(awaited)
            .where(awaited.c.id == row["id"])
            .values(quantity=awaited.c.quantity - part, given_up=awaited.c.given_up + part)
        )
        order.tx.tell(row["transfer_id"], Message.GOODS_NOT_NEEDED)


async def heal(order: Goods, at: datetime) -> None:
    """Nothing is on its way any more: nobody has to ask where it is."""
    if not order.row["detail"].get("coming"):
        order.drop_dues("goods")
        await case.heal_kind(order.tx, order.id, "shipment_overdue", "nothing is on its way any more", at)
