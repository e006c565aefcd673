"""What an order waits for: units that could not be promised, and units that turned up and are held for it.

Rows of waiting demand are covered by the lock of their stock row; only the order's own transactions begin, cut or end
them, others give to them (`ledger.found`).
"""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text, update

from ledger.bopis.holding import Goods
from ledger.tables import waiting_demand


async def wait_for(order: Goods, line: dict[str, Any], quantity: int, at: datetime) -> None:
    """Have units that turn up given to this order."""
    await order.tx.conn.execute(
        insert(waiting_demand).values(
            location=order.location,
            sku=line["sku"],
            journey_id=order.id,
            line_id=line["line_id"],
            quantity=quantity,
            promised_at=order.row["promised_at"],
            at=at,
        )
    )


async def take_up_found(order: Goods) -> int:
    """Units that others found and held for this order become its own; what it has no use for is let go.

    Returns the units that the order can use. Its goods are locked and its rows loaded.
    """
    rows = await order.tx.conn.execute(
        select(waiting_demand)
        .where(waiting_demand.c.journey_id == order.id, waiting_demand.c.found > 0)
        .order_by(waiting_demand.c.id)
        .with_for_update()
    )
    used = 0
    for row in rows.mappings().all():
        line = order.lines[row["line_id"]]
        usable = 0 if order.is_final else min(row["found"], max(order.missing(line), 0))
        line["reserved"] += usable
        used += usable
        let_go(order, row["line_id"], row["found"] - usable, f"found:{row['id']}", row["at"])
        await order.tx.conn.execute(
            update(waiting_demand)
            .where(waiting_demand.c.id == row["id"])
            .values(found=0, ended_at=text("CASE WHEN quantity = 0 THEN now() ELSE ended_at END"))
        )
    return used


def let_go(order: Goods, line_id: str, quantity: int, cause: str, at: datetime) -> None:
    """Units that are held for a line beyond what it needs may be promised again."""
    why = order.cause(cause, at)
    for held, part in order.shift(line_id, "reserved", "released", quantity):
        place = held["location"]
        order.tx.shelf.move(
            "released", held["sku"], part, (place, "reserved"), (place, "available"), why, hold_id=held["id"]
        )
        order.free(place, held["sku"])


async def cut(order: Goods) -> None:
    """No line waits for more than it misses; what is too much ends, the latest first."""
    rows = await order.tx.conn.execute(
        select(waiting_demand.c.id, waiting_demand.c.line_id, waiting_demand.c.quantity)
        .where(waiting_demand.c.journey_id == order.id, waiting_demand.c.ended_at.is_(None))
        .order_by(waiting_demand.c.id.desc())
    )
    waiting = rows.all()
    over = {key: -max(order.missing(line), 0) for key, line in order.lines.items()}
    for row in waiting:
        over[row.line_id] += row.quantity
    for row in waiting:
        less = min(row.quantity, over[row.line_id])
        if less > 0:
            over[row.line_id] -= less
            await order.tx.conn.execute(
                update(waiting_demand)
                .where(waiting_demand.c.id == row.id)
                .values(quantity=waiting_demand.c.quantity - less)
            )


async def wait_again(order: Goods, at: datetime) -> None:
    """Wait for what is missing now. What came while somebody decided is given to it when the order is saved."""
    await end(order)
    for line in order.shorts():
        await wait_for(order, line, order.missing(line), at)
        order.free(order.location, line["sku"])


async def end(order: Goods) -> None:
    """The order waits for no more stock. What was found for it was taken up when its goods were locked."""
    await order.tx.conn.execute(
        update(waiting_demand)
        .where(waiting_demand.c.journey_id == order.id, waiting_demand.c.ended_at.is_(None))
        .values(ended_at=text("now()"))
    )
