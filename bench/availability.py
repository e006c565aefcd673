"""AV: where a basket of ten lines can be promised among 457 locations, over HTTP, beside its SQL alone."""

from random import Random

import asyncpg
from sqlalchemy import text

from bench import load, pgbench, place, served
from bench.recorded import Recording
from bench.rows import Row, row
from ledger.engine import Database
from ledger.reads.availability import availability, parse_basket

LOCATIONS = 457
ITEMS = 2_000  # each of them on the shelf of every location
LINES = 10
CONNECTIONS = 8
RUNS = 3

_OPEN_STORES = """
    INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude, pickup)
        SELECT 'L' || g, 'Store ' || g, 'store', 'R1', 'E1', 'UTC', 48 + g % 50 * 0.1, 8 + g / 50 * 0.2, true
        FROM generate_series(2, CAST(:locations AS int)) g
"""
_FILL_SHELVES = """
    INSERT INTO stock (location, sku, available)
        SELECT 'L' || l, 'K' || lpad(k::text, 5, '0'), (l * 7 + k * 3) % 12
        FROM generate_series(2, CAST(:locations AS int)) l, generate_series(0, CAST(:items AS int) - 1) k
"""


async def stock_up(database: Database, *, locations: int, items: int) -> None:
    """So many stores around the first one, each with something or nothing of every item."""
    async with database.engine.begin() as conn:
        await conn.execute(text(_OPEN_STORES), {"locations": locations})
        await conn.execute(text(_FILL_SHELVES), {"locations": locations, "items": items})
    async with database.engine.connect() as conn:
        alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM (ANALYZE) stock, location"))


def baskets(number: int, *, items: int) -> list[list[str]]:
    """`SKU:quantity` of ten different items, by chance."""
    dice = Random(11)  # noqa: S311  what is asked for
    return [
        [f"{place.sku(sku)}:{dice.randint(1, 3)}" for sku in dice.sample(range(items), LINES)] for _ in range(number)
    ]


async def script(database: Database, basket: list[str]) -> str:
    """What one question sends to PostgreSQL once master data is in memory."""

    async def ask() -> None:
        async with database.read() as conn:
            found = await availability(conn, None, parse_basket(basket), near=place.STORE)
        if not found.locations:
            raise RuntimeError("no location was asked")

    await ask()
    conn = await asyncpg.connect(database.plain_url)
    try:
        return await (await Recording().of_database(database, ask)).script(conn, "\\set n 1")
    finally:
        await conn.close()


async def of_a_basket(server_url: str, *, seconds: float, locations: int = LOCATIONS, items: int = ITEMS) -> list[Row]:
    """Questions a second. Who asks is looked up for each, which the limit leaves out."""
    wanted = baskets(64, items=items)
    requests = [
        load.request(f"/api/v1/availability?near={place.STORE}&" + "&".join(f"sku={one}" for one in basket), None,
                     key=served.KEY)
        for basket in wanted
    ]  # fmt: skip
    async with place.database(server_url, "availability") as database:
        await served.add_key(database)
        await stock_up(database, locations=locations, items=items)
        async with served.application(database) as port:
            runs = [
                await served.drive(port, requests, connections=CONNECTIONS, seconds=seconds, first=1, status=200)
                for _ in range(RUNS)
            ]
            alone = await served.drive(port, requests, connections=1, seconds=seconds / 2, first=1, status=200)
        scripts = [await script(database, basket) for basket in wanted[:16]]
        limits = await pgbench.best(
            database.url, scripts, seconds=max(int(seconds / 2), 1), clients=(1, 2, 4, 8), planner=""
        )
    note = (
        f"{CONNECTIONS} connections, p50 {runs[-1].p50_ms:.0f} ms; one connection, p50 {alone.p50_ms:.0f} ms, p99"
        f" {alone.p99_ms:.0f} ms; pgbench, its SQL alone, {limits.clients} clients, {limits.latency_ms:.1f} ms"
    )
    work = f"GET /availability, {LINES} lines, {locations} locations"
    return [row("AV", work, [one.per_s for one in runs], "requests/s", limits.per_s, note)]
