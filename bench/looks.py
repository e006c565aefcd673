"""A look at a promotion among a year of the demo's real sales at all of its stores: how long the first takes, which
works out what was to be expected, and how long each that follows.

What is measured is `ledger.look.looking.look`, its transaction and all. Receipts of the year are movements; the books
of the promotion's own week stand beside them, since a look reads what was taken in from there.
"""

import statistics
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import text

from bench import place
from bench.rows import Row, row
from demo.source import Sales, read_products, read_sales
from domain.promotions import NewPromotion
from ledger import rows
from ledger.engine import Database
from ledger.look.looking import Look, look
from ledger.people import Caller
from ledger.promotion import intake

PIM = Caller("bench", "bench", frozenset({"promotions:write"}), frozenset(), None, frozenset())
WEEK, HOUR = timedelta(weeks=1), timedelta(hours=1)
FOLLOWING = 5  # looks after the first, of which the median counts
_COLUMNS = (
    "kind", "sku", "quantity", "from_location", "from_account", "to_location", "to_account", "entity", "cause", "actor",
    "unit_cost_e4", "cost_minor", "at", "recorded_at",
)  # fmt: skip
_STORES = text(
    """
    INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude)
    SELECT code, code, 'store', 'R1', 'E1', 'America/New_York', 35 + (n % 21) * 0.3, -90 + (n / 21) * 0.3
    FROM unnest(CAST(:codes AS text[])) WITH ORDINALITY AS s(code, n)
    """
)
_ITEMS = text(
    "INSERT INTO item (sku, name, category, price_minor, cost_minor)"
    " SELECT sku, sku, 'PROMOTED', 200, 120 FROM unnest(CAST(:skus AS text[])) AS s(sku)"
)
_SHELVES = text(
    "INSERT INTO stock (location, sku, available) SELECT code, sku, 5"
    " FROM unnest(CAST(:codes AS text[])) AS l(code), unnest(CAST(:skus AS text[])) AS i(sku)"
)
_BOOKS = text(
    """
    WITH taken AS (
        INSERT INTO journal (entity, period, event, currency, cause, rule_version, effective_at)
        SELECT DISTINCT 'E1', to_char(at, 'YYYY-MM'), 'pos.sale', 'EUR', cause, '1', at FROM movement
        WHERE at >= CAST(:since AS timestamptz) AND kind = 'sold' RETURNING id, cause
    )
    INSERT INTO journal_line (journal_id, line_no, account, debit_minor, credit_minor, location, sku)
    SELECT t.id, 2 * row_number() OVER (PARTITION BY t.id ORDER BY m.id) - side,
        CASE side WHEN 1 THEN 'payment_clearing' ELSE 'revenue' END,
        CASE side WHEN 1 THEN 200 * m.quantity ELSE 0 END, CASE side WHEN 1 THEN 0 ELSE 200 * m.quantity END,
        m.to_location, m.sku
    FROM taken t JOIN movement m ON m.cause = t.cause CROSS JOIN (VALUES (0), (1)) AS sides(side)
    """
)
_BARE = text(
    "SELECT to_location, count(DISTINCT cause), sum(quantity) FROM movement WHERE sku = ANY(CAST(:skus AS text[]))"
    " AND recorded_at >= CAST(:since AS timestamptz) GROUP BY to_location"
)


@dataclass
class Scene:
    """A promotion of one category at every store of the year, in its last week."""

    database: Database
    id: str
    begins: datetime
    sold: dict[datetime, int]  # units by the instant until which they were sold
    skus: list[str]
    movements: int


def _records(sales: Sales, later: timedelta) -> Iterator[tuple[Any, ...]]:
    for store, product, basket, quantity, at_s in (
        zip(sales.store.tolist(), sales.product.tolist(), sales.basket.tolist(), sales.quantity.tolist(),
            sales.at_s.tolist(), strict=True)
    ):  # fmt: skip
        at = datetime.fromtimestamp(at_s, UTC) + later
        code = f"S{store:04d}"
        yield ("sold", f"P{product}", quantity, code, "available", code, "customer", "E1", f"event:pos:{basket}",
               "bench", 1_200_000, 120 * quantity, at, at)  # fmt: skip


async def prepare(database: Database, sales: Sales, category: str) -> Scene:
    """The year, moved so that it ends now."""
    products = read_products()
    promoted = np.array(sorted(number for number, one in products.items() if one.category == category))
    of_it = np.isin(sales.product, promoted)
    later = timedelta(seconds=int(place.now().timestamp()) - int(sales.at_s.max()))
    last = datetime.fromtimestamp(int(sales.at_s.max()), UTC)
    begins = (last - WEEK).replace(minute=0, second=0)
    codes = [f"S{number:04d}" for number in np.unique(sales.store).tolist()]
    skus = [f"P{number}" for number in np.unique(sales.product[of_it]).tolist()]
    before = of_it & (sales.at_s < begins.timestamp()) & (sales.at_s >= (begins - 8 * WEEK).timestamp())
    async with database.engine.begin() as conn:
        await conn.execute(_STORES, {"codes": codes})
        await conn.execute(_ITEMS, {"skus": skus})
        await conn.execute(_SHELVES, {"codes": codes, "skus": skus})
        await rows.copy(conn, "movement", _COLUMNS, _records(sales, later))
        await conn.execute(_BOOKS, {"since": begins + later})
    async with database.engine.connect() as conn:
        await (await conn.execution_options(isolation_level="AUTOCOMMIT")).execute(text("ANALYZE"))
    starts_at = place.now() + 2 * WEEK
    wanted = NewPromotion.model_validate(
        {
            "promotion_id": f"P-{uuid.uuid4().hex[:8]}",
            "name": "Bench",
            "offer": {"kind": "percent", "off_permille": 200},
            "lines": [{"category": "PROMOTED", "forecast_units": max(int(sales.quantity[before].sum()) // 8, 1)}],
            "channels": ["pos"],
            "locations": codes,
            "starts_at": starts_at,
            "ends_at": starts_at + WEEK,
            "stacking": "best",
            "margin_floor_permille": -1000,
        }
    )
    answer = (await intake.define(database, PIM, wanted, channels=("pos",), via="bench"))[1]
    given = {"id": answer.journey_id, "begins": begins + later, "ends": begins + later + WEEK}
    async with database.engine.begin() as conn:
        await conn.execute(text("UPDATE journey SET state = 'active' WHERE id = :id"), given)
        await conn.execute(
            text("UPDATE promotion SET state = 'active', starts_at = :begins, ends_at = :ends WHERE journey_id = :id"),
            given,
        )
    sold = {}
    for number in range(FOLLOWING + 1):
        until = begins + (50 + number) * HOUR
        within = of_it & (sales.at_s >= begins.timestamp()) & (sales.at_s < until.timestamp())
        sold[until + later] = int(sales.quantity[within].sum())
    return Scene(database, answer.journey_id, begins + later, sold, skus, len(sales))


async def timed(scene: Scene, number: int, at: datetime) -> tuple[float, Look]:
    """Milliseconds of a look. Raises RuntimeError where it counts otherwise than the data itself."""
    began = time.perf_counter()
    found = await look(scene.database, scene.id, str(number), at)
    took = (time.perf_counter() - began) * 1000
    if found is None or found.figures.sold_units != scene.sold[at]:
        raise RuntimeError(f"{found and found.figures.sold_units} units, not {scene.sold[at]}")
    return took, found


async def bare(scene: Scene) -> float:
    """Milliseconds in which PostgreSQL counts the promotion's receipts and units by store, and nothing else."""
    began = time.perf_counter()
    async with scene.database.read() as conn:
        await conn.execute(_BARE, {"skus": scene.skus, "since": scene.begins})
    return (time.perf_counter() - began) * 1000


async def looked(
    server_url: str,
    *,
    seconds: float,  # noqa: ARG001  a look takes as long as it takes
    stores: int | None = None,
    category: str = "SOFT DRINKS",
) -> list[Row]:
    """The first look and those that follow, each beside a bare count of the same receipts."""
    sales = read_sales()
    if stores is not None:
        busy = np.argsort(-np.bincount(sales.store), kind="stable")[:stores]
        sales = sales.where(np.isin(sales.store, busy))
    async with place.database(server_url, "looks") as database:
        scene = await prepare(database, sales, category)
        times, found = [], None
        for number, at in enumerate(sorted(scene.sold)):
            took, found = await timed(scene, number, at)
            times.append(took)
        limit = statistics.median([await bare(scene) for _ in range(3)])
    places = found.figures.places if found else 0
    work = f"a look at a promotion of {len(scene.skus)} items at {places} stores, {scene.movements:,} movements"
    note = f"{found.figures.sold_units:,} units as the data has them, {found.figures.surging} surge" if found else ""
    return [
        row("L1.first", f"first {work}", times[:1], "ms", limit, "works out what was to be expected"),
        row("L1", work, times[1:], "ms", limit, note),
    ]
