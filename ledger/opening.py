"""Posts opening stock: movements from the supplier, their value against the opening balance, and the average cost.

A location and item opens once per bucket. Later corrections are counts and adjustments, never another opening.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import text

from domain.masterdata import StockRow
from domain.postings import Line
from domain.stock import PHYSICAL_BUCKETS
from ledger import found
from ledger.engine import Database
from ledger.journal import Entry
from ledger.shelf import Cause
from ledger.transaction import Rank, Transaction

REASON = "opening_balance"
EVENT = "stock.opening"
E4 = 10_000  #: Average costs are kept in 1/10,000 of a minor unit.

_OPENED = text(
    "SELECT m.to_location AS location, m.sku, m.to_account AS bucket, sum(m.quantity)::int AS quantity,"
    " max(m.unit_cost_e4) AS unit_cost_e4"
    " FROM movement m JOIN unnest(CAST(:locations AS text[]), CAST(:skus AS text[]), CAST(:buckets AS text[]))"
    " AS w(location, sku, bucket) ON (m.to_location, m.sku, m.to_account) = (w.location, w.sku, w.bucket)"
    " WHERE m.kind = 'received' AND m.reason = :reason GROUP BY 1, 2, 3"
)
_PLACES = text(
    "SELECT l.code, l.entity, e.currency FROM location l JOIN entity e ON e.code = l.entity WHERE l.code = ANY(:codes)"
)
_HELD = text(
    f"SELECT l.entity, s.sku, sum({' + '.join(f's.{bucket}' for bucket in PHYSICAL_BUCKETS)})::bigint"  # noqa: S608
    " AS quantity"
    " FROM stock s JOIN location l ON l.code = s.location WHERE s.sku = ANY(:skus) GROUP BY 1, 2"
)
_COSTS = text("SELECT entity, sku, unit_cost_e4 FROM average_cost WHERE sku = ANY(:skus) ORDER BY 1, 2 FOR UPDATE")
_SET_COSTS = text(
    "INSERT INTO average_cost (entity, sku, unit_cost_e4)"
    " SELECT * FROM unnest(CAST(:entities AS text[]), CAST(:skus AS text[]), CAST(:costs AS bigint[]))"
    " ON CONFLICT (entity, sku) DO UPDATE SET unit_cost_e4 = excluded.unit_cost_e4"
)


async def post(database: Database, rows: Sequence[StockRow]) -> tuple[int, dict[int, str]]:
    """Posts the rows that were never opened; returns how many, and why others were refused, by position in `rows`.

    A row that was opened before with the same figures is passed over in silence; with others it is refused.
    """

    async def work(tx: Transaction) -> tuple[int, dict[int, str]]:
        new, refused = await _not_opened(tx, rows)
        if new:
            await _open(tx, new)
        return len(new), refused

    return await database.write(work, actor="load", via="load")


async def _not_opened(tx: Transaction, rows: Sequence[StockRow]) -> tuple[list[StockRow], dict[int, str]]:
    found = await tx.conn.execute(
        _OPENED,
        {
            "locations": [row.location for row in rows],
            "skus": [row.sku for row in rows],
            "buckets": [row.bucket for row in rows],
            "reason": REASON,
        },
    )
    opened = {(row.location, row.sku, row.bucket): (row.quantity, row.unit_cost_e4 // E4) for row in found}
    new, refused = [], {}
    for position, row in enumerate(rows):
        before = opened.get((row.location, row.sku, row.bucket))
        if before is None:
            new.append(row)
        elif before != (row.quantity, row.unit_cost_minor):
            refused[position] = f"opened before with {before[0]} at {before[1]}; correct it by a count or an adjustment"
    return new, refused


async def _open(tx: Transaction, rows: Sequence[StockRow]) -> None:
    at = await tx.now()
    places = {
        row.code: row for row in await tx.conn.execute(_PLACES, {"codes": sorted({row.location for row in rows})})
    }
    shelf = await tx.lock_stock((row.location, row.sku) for row in rows)
    by_location: dict[str, list[StockRow]] = defaultdict(list)
    for row in rows:
        by_location[row.location].append(row)
        cause = Cause("load:stock.csv", "load", at, places[row.location].entity)
        shelf.move(
            "received",
            row.sku,
            row.quantity,
            (row.location, "supplier"),
            (row.location, row.bucket),
            cause,
            reason=REASON,
            unit_cost_e4=row.unit_cost_minor * E4,
            cost_minor=row.quantity * row.unit_cost_minor,
        )
    for location, opened in sorted(by_location.items()):
        cause = Cause("load:stock.csv", "load", at, places[location].entity)
        await found.assign(tx, [(location, row.sku) for row in opened if row.bucket == "available"], cause)
    tx.enter(Rank.MONEY)
    await _average(tx, rows, {code: place.entity for code, place in places.items()})
    for location, opened in sorted(by_location.items()):
        place = places[location]
        tx.post(Entry(place.entity, EVENT, place.currency, _cause_of(location, opened), _lines(location, opened), at))
    after = {"rows": len(rows), "locations": sorted(by_location)}
    tx.record("stock_opened", "load:stock.csv", at=at, after=after)


def _lines(location: str, rows: Sequence[StockRow]) -> list[Line]:
    """One pair a location: the movements carry the value of each item, and a line each would be twice their number."""
    value_minor = sum(row.quantity * row.unit_cost_minor for row in rows)
    if not value_minor:
        return []
    return [Line("inventory", value_minor, 0, location), Line("opening_balance", 0, value_minor, location)]


def _cause_of(location: str, rows: Sequence[StockRow]) -> str:
    """Names the rows themselves, so that posting the same opening twice breaks the journal's uniqueness."""
    text_of_rows = "\n".join(sorted(f"{row.sku},{row.bucket},{row.quantity},{row.unit_cost_minor}" for row in rows))
    return f"load:opening:{location}:{hashlib.sha256(text_of_rows.encode()).hexdigest()[:16]}"


async def _average(tx: Transaction, rows: Sequence[StockRow], entity_of: dict[str, str]) -> None:
    """Moving average per entity and item: what is held at its cost so far, and what opens now at its own."""
    skus = sorted({row.sku for row in rows})
    before = {(row.entity, row.sku): row.unit_cost_e4 for row in await tx.conn.execute(_COSTS, {"skus": skus})}
    held = {(row.entity, row.sku): row.quantity for row in await tx.conn.execute(_HELD, {"skus": skus})}
    units: dict[tuple[str, str], int] = defaultdict(int)
    value_e4: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        key = (entity_of[row.location], row.sku)
        units[key] += row.quantity
        value_e4[key] += row.quantity * row.unit_cost_minor * E4
    costs = {}
    for key, quantity in units.items():
        # Below zero there is nothing left whose cost could be averaged in.
        old = max(held.get(key, 0), 0) if key in before else 0
        costs[key] = (old * before.get(key, 0) + value_e4[key] + (old + quantity) // 2) // (old + quantity)
    keys = sorted(costs)
    await tx.conn.execute(
        _SET_COSTS,
        {
            "entities": [key[0] for key in keys],
            "skus": [key[1] for key in keys],
            "costs": [costs[key] for key in keys],
        },
    )
