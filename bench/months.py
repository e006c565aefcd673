"""M1: five years of movements, each month a partition of its own, beside two months with as many rows: an order taken
in, an order's movements, and the newest movements of a shelf.
"""

import statistics
import time
from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bench import place
from bench.intake import rate
from bench.rows import Row, row
from ledger.engine import Database
from ledger.reads.records import movements_of
from ledger.reads.stock import newest_movements

FEW, MANY = 2, 60
MOVEMENTS = 600_000
LOOKS = 60
RUNS = 3
SKUS = 1_000
SHOWN = 100
_MONTH = text(
    "SELECT movement_partition((date_trunc('month', now()) - make_interval(months => CAST(:ago AS int)))::date)"
)
_MOVED = text(
    """
    INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity, cause,
            actor, at, recorded_at, journey_id)
        SELECT 'reserved', 'K' || lpad((g % :skus)::text, 5, '0'), 1, 'L1', 'available', 'L1', 'reserved', 'E1',
            'intake:old-' || g, 'grown', moved.at, moved.at, 'bopis:old:' || g / 4
        FROM generate_series(1, :number) g,
            LATERAL (SELECT now() - make_interval(months => g / 4 % :months, secs => g % 86400) AS at) moved
    """
)


async def fill(database: Database, months: int, movements: int) -> None:
    """So many movements, evenly over so many months, four of each order."""
    async with database.engine.begin() as conn:
        await conn.execute(text("SET LOCAL TIME ZONE 'UTC'"))
        for ago in range(1, months + 1):
            await conn.execute(_MONTH, {"ago": ago})
        await conn.execute(_MOVED, {"number": movements, "months": months, "skus": SKUS})
    async with database.engine.connect() as conn:
        alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM (ANALYZE) movement"))


async def movements_of_an_order(conn: AsyncConnection, number: int) -> int:
    return len(await movements_of(conn, f"bopis:old:{number + 1}"))


async def movements_of_a_shelf(conn: AsyncConnection, number: int) -> int:
    return len((await conn.execute(newest_movements("L1", place.sku(number), SHOWN))).all())


_READS: dict[str, tuple[str, Callable[[AsyncConnection, int], Awaitable[int]]]] = {
    "M1.order": ("the four movements of an order", movements_of_an_order),
    "M1.shelf": (f"the newest {SHOWN} movements of a shelf", movements_of_a_shelf),
}


async def looks(database: Database, read: Callable[[AsyncConnection, int], Awaitable[int]], expected: int) -> float:
    """Milliseconds of one look, the median of many at different rows. Raises RuntimeError where fewer are found than
    there are.
    """
    taken = []
    async with database.read() as conn:
        for number in range(LOOKS):
            began = time.perf_counter()
            found = await read(conn, number)
            taken.append((time.perf_counter() - began) * 1e3)
            if found < expected:
                raise RuntimeError(f"{found} movements were found where there are {expected} or more")
    return statistics.median(taken)


async def months(server_url: str, *, seconds: float, movements: int = MOVEMENTS) -> list[Row]:
    """M1, M1.order, M1.shelf: in turn with the few months, so that both meet the same machine."""
    runs: dict[str, list[float]] = {name: [] for name in ("M1", *_READS)}
    limits: dict[str, list[float]] = {name: [] for name in runs}
    expected = {"M1.order": 4, "M1.shelf": min(SHOWN, movements // SKUS)}
    async with place.database(server_url, "few") as few, place.database(server_url, "many") as many:
        for database, number in ((few, FEW), (many, MANY)):
            await fill(database, number, movements)
        for run in range(RUNS):
            for database, figures in ((few, limits), (many, runs)):
                figures["M1"].append(await rate(database, hot=False, seconds=seconds, name=f"m{run}"))
                for name, (_, read) in _READS.items():
                    figures[name].append(await looks(database, read, expected[name]))
    note = f"{movements:,} movements in {MANY} months, beside as many in {FEW}"
    median = {name: statistics.median(taken) for name, taken in limits.items()}
    return [
        row("M1", f"an order taken in with {MANY} months of movements", runs["M1"], "orders/s", median["M1"], note),
        *(row(name, what, runs[name], "ms", median[name], note) for name, (what, _) in _READS.items()),
    ]
