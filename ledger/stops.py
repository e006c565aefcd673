"""Items that must not be sold: at once nothing of them is promised, picked or handed out, and who was promised some is
told by a way out. Lifted, what was set aside is sold again, first to those who wait.

Goods that come back to the shelf of a stopped item later are set aside by the sweep.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from domain.bopis import BopisState
from domain.errors import Malformed
from domain.events import ItemSaleResumed, ItemStopSale
from domain.messages import Message
from domain.words import units
from ledger import found, reference, steps
from ledger.bopis import offered, waiting
from ledger.bopis.order import Order
from ledger.engine import Database
from ledger.prepared import Record
from ledger.shelf import Cause
from ledger.tables import hold, item, item_stop, journey, stock
from ledger.transaction import Rank, Transaction
from ledger.transfer import yielding
from ledger.transfer.document import Transfer
from ledger.transfer.goods import Moment

REASON, LIFTED = "stop_sale", "sale_resumed"
Place = tuple[str, str]  # (location, SKU)


async def stopped(tx: Transaction, data: ItemStopSale, cause: str, at: datetime) -> None:
    """Stop an item at some places, or everywhere. Raises `UnknownSku`, `UnknownLocation`."""
    await _check(tx, data.sku, data.locations)
    if data.locations == "all":
        await tx.conn.execute(update(item).where(item.c.sku == data.sku).values(stop_sale=True))
    else:
        rows = [
            {"sku": data.sku, "location": code, "reason": data.reason, "cause": cause} for code in set(data.locations)
        ]
        await tx.conn.execute(upsert(item_stop).values(rows).on_conflict_do_nothing())
    tx.record("item.stopped", f"item:{data.sku}", at, after={"locations": data.locations}, reason=data.reason)
    await _set_aside(tx, [(code, data.sku) for code in await _where_it_is(tx, data.sku, data.locations)], cause, at)


async def resumed(tx: Transaction, data: ItemSaleResumed, cause: str, at: datetime) -> None:
    """Sell it again. Raises `UnknownSku`, `UnknownLocation`, and `Malformed` for places of an item that is stopped
    everywhere.
    """
    row = await _check(tx, data.sku, data.locations)
    if data.locations == "all":
        await tx.conn.execute(update(item).where(item.c.sku == data.sku).values(stop_sale=False))
        await tx.conn.execute(delete(item_stop).where(item_stop.c.sku == data.sku))
    elif row["stop_sale"]:
        raise Malformed(f'SKU {data.sku} is stopped everywhere; lift that with "all".', pointer="/data/locations")
    else:
        wanted = item_stop.c.location.in_(sorted(set(data.locations)))
        await tx.conn.execute(delete(item_stop).where(item_stop.c.sku == data.sku, wanted))
    tx.record("item.resumed", f"item:{data.sku}", at, after={"locations": data.locations}, reason=data.reason)
    await _take_back(tx, data.sku, await _where_it_is(tx, data.sku, data.locations), cause, at)


async def _check(tx: Transaction, sku: str, locations: Sequence[str] | str) -> Record:
    known = await reference.items(tx.conn, [sku])
    if sku not in known:
        raise reference.unknown_skus([sku], "/data/sku")
    if not isinstance(locations, str):
        places = await reference.entities_of(tx.conn, locations)
        for code in locations:
            if code not in places:
                raise reference.unknown_location(code, "/data/locations")
    return known[sku]


async def _where_it_is(tx: Transaction, sku: str, locations: Sequence[str] | str) -> list[str]:
    query = select(stock.c.location).where(stock.c.sku == sku).order_by(stock.c.location)
    if not isinstance(locations, str):
        query = query.where(stock.c.location.in_(sorted(set(locations))))
    return list((await tx.conn.execute(query)).scalars())


async def _set_aside(tx: Transaction, places: Iterable[Place], cause: str, at: datetime) -> int:
    """Take what is for sale, promised or staged there out of sale; returns the units.

    Every journey that was promised some is locked first, then all stock, so that each can be changed in turn.
    """
    wanted = sorted(set(places))
    arrays = {"locations": [place[0] for place in wanted], "skus": [place[1] for place in wanted]}
    ids = sorted({row.journey_id for row in await tx.conn.execute(_PROMISED, arrays) if row.journey_id})
    tx.enter(Rank.JOURNEY)
    rows = await tx.conn.execute(select(journey).where(journey.c.id.in_(ids)).order_by(journey.c.id).with_for_update())
    found_rows = rows.mappings().all()
    orders = [await Order.load(tx, row) for row in found_rows if row["kind"] != "transfer"]
    transfers = [await Transfer.load(tx, row) for row in found_rows if row["kind"] == "transfer"]
    for row in found_rows:
        await tx.lock_asks(dict(row))
    touched = set(wanted)
    for order in orders:
        touched.update((order.location, line["sku"]) for line in order.lines.values())
        held = await tx.conn.execute(select(hold.c.location, hold.c.sku).where(hold.c.journey_id == order.id))
        touched.update((row.location, row.sku) for row in held)
    for it in transfers:
        touched.update(it.shelves())
    await tx.lock_stock(touched)
    moved = 0
    for it in transfers:
        moved += await yielding.lose_stopped(it, set(wanted), REASON, Moment(cause, it.clock(at)))
    for order in orders:
        moved += await _lose(order, set(wanted), cause, at)
    moved += await _lose_baskets(tx, wanted, cause, at)
    entities = await reference.entities_of(tx.conn, arrays["locations"])
    for location, sku in wanted:
        left = tx.shelf.quantity(location, sku, "available")
        if left > 0:
            why = Cause(cause, tx.actor, at, entities[location])
            tx.shelf.move(
                "quarantined", sku, left, (location, "available"), (location, "quarantined"), why, reason=REASON
            )
            moved += left
    return moved


_PROMISED = text(
    "SELECT DISTINCT h.journey_id FROM hold h"
    " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku) USING (location, sku)"
    " WHERE h.reserved + h.staged > 0"
)


async def _lose(order: Order, places: set[Place], cause: str, at: datetime) -> int:
    """The order loses what it was promised of stopped items, and somebody looks for a way out."""
    await order.lock_goods()
    why = order.cause(cause, order.clock(at))
    lost = 0
    for line_id, line in order.lines.items():
        for part in ("reserved", "staged"):
            for held in order.holds_of(line_id, part):
                place = held["location"], str(held["sku"])
                if place not in places:
                    continue
                quantity = held[part]
                held[part] = 0
                held["lost"] += quantity
                line[part] -= quantity
                order.tx.shelf.move(
                    "lost", place[1], quantity, (place[0], part), (place[0], "quarantined"), why, reason=REASON,
                    hold_id=held["id"],
                )  # fmt: skip
                await waiting.wait_for(order, line, quantity, why.at)
                lost += quantity
    lost += await _lose_what_is_offered(order, places, why)
    if not lost:
        return 0
    if not order.is_final:
        if order.row["state"] != BopisState.PLACED:
            order.row["detail"]["failure"] = "sale_stopped"
        await order.settle(why.at)
    detail = f"An item was stopped from sale: {units(lost)} of the order are set aside."
    await steps.note(order.tx, order.id, "sale_stopped", cause, detail, why.at)
    await order.save(why.at)
    order.tx.tell(order.id, Message.SALE_STOPPED)
    return lost


async def _lose_what_is_offered(order: Order, places: set[Place], why: Cause) -> int:
    """A customer who was offered a stopped item is told that the question is taken back."""
    gone = [row for row in offered.held(order) if (row["location"], str(row["sku"])) in places]
    for row in gone:
        place, sku, quantity = row["location"], str(row["sku"]), row["reserved"]
        row["reserved"] = 0
        row["lost"] += quantity
        sides = (place, "reserved"), (place, "quarantined")
        order.tx.shelf.move("lost", sku, quantity, *sides, why, reason=REASON, hold_id=row["id"])
    asked = await offered.asked(order) if gone else None
    if asked is not None:
        await offered.withdraw(order, asked, "what we offered may not be sold any more", why.at)
    return sum(row["lost"] for row in gone)


async def _lose_baskets(tx: Transaction, places: Sequence[Place], cause: str, at: datetime) -> int:
    """Holds of channels without an order lose theirs; committing them later is refused by name."""
    arrays = {"locations": [place[0] for place in places], "skus": [place[1] for place in places]}
    tx.enter(Rank.HOLD)
    rows = (await tx.conn.execute(_BASKETS, arrays)).mappings().all()
    entities = await reference.entities_of(tx.conn, arrays["locations"])
    for row in rows:
        place, sku = row["location"], row["sku"]
        why = Cause(cause, tx.actor, at, entities[place])
        sides = (place, "reserved"), (place, "quarantined")
        tx.shelf.move("lost", sku, row["reserved"], *sides, why, reason=REASON, hold_id=row["id"])
        gone = hold.c.lost + row["reserved"]
        await tx.conn.execute(update(hold).where(hold.c.id == row["id"]).values(reserved=0, lost=gone))
    return sum(row["reserved"] for row in rows)


_BASKETS = text(
    "SELECT h.* FROM hold h"
    " JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[])) AS w(location, sku) USING (location, sku)"
    " WHERE h.journey_id IS NULL AND h.reserved > 0 ORDER BY h.id FOR UPDATE OF h"
)
_SET_ASIDE = text(
    "SELECT coalesce(sum(CASE WHEN to_account = 'quarantined' THEN quantity ELSE -quantity END), 0)::int FROM movement"
    " WHERE sku = :sku AND to_location = :location AND reason IN ('stop_sale', 'sale_resumed')"
    " AND 'quarantined' IN (from_account, to_account)"
)


async def _take_back(tx: Transaction, sku: str, locations: Sequence[str], cause: str, at: datetime) -> None:
    """Sell again what the stop has set aside, and nothing that is quarantined for another reason."""
    await tx.lock_stock((code, sku) for code in locations)
    entities = await reference.entities_of(tx.conn, locations)
    for code in locations:
        set_aside = (await tx.conn.execute(_SET_ASIDE, {"sku": sku, "location": code})).scalar_one()
        back = min(int(set_aside), tx.shelf.quantity(code, sku, "quarantined"))
        if back > 0:
            why = Cause(cause, tx.actor, at, entities[code])
            tx.shelf.move("cleared", sku, back, (code, "quarantined"), (code, "available"), why, reason=LIFTED)
            await found.assign(tx, [(code, sku)], why)


_FOR_SALE = text(
    """
    SELECT s.location, s.sku FROM (
        SELECT sku, NULL AS location FROM item WHERE stop_sale
        UNION ALL SELECT sku, location FROM item_stop
    ) w JOIN location l ON w.location IS NULL OR w.location = l.code
    JOIN stock s ON s.location = l.code AND s.sku = w.sku
    WHERE s.available > 0 OR s.reserved > 0 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 200
    """
)


async def sweep(database: Database, now: datetime) -> int:
    """Set aside what has come back to the shelf of a stopped item, or was promised in the moment in which it was
    stopped. Returns the units.
    """

    async def work(tx: Transaction) -> int:
        rows = (await tx.conn.execute(_FOR_SALE)).all()
        places: list[Any] = [(row.location, row.sku) for row in rows]
        return await _set_aside(tx, places, f"stopped:{now.isoformat()}", now) if places else 0

    return await database.write(work, actor="endcap", via="system")
