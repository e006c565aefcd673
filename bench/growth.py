"""S8: orders beside the rows of millions that were taken before.

Two databases stand side by side, one with few orders' rows and one with many, and are loaded in turn: what else the
machine does meets both.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Sequence

from sqlalchemy import text

from bench import place
from bench.intake import rate
from bench.rows import Row, row
from ledger.engine import Database

FEW = 10_000
RUNS = 3
STEP = 500_000

# By table; two are filled at a time, by two connections.
_FILLINGS = {
    "movement": """
        INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity, cause,
                actor, at)
            SELECT 'reserved', 'K' || lpad((g % 10000)::text, 5, '0'), 1, 'L1', 'available', 'L1', 'reserved', 'E1',
                'intake:old-' || g, 'grown', now()
                FROM generate_series($1::int, $2::int) g""",
    "journey_step": """
        INSERT INTO journey_step (journey_id, step, occurrence, input_hash, detail, actor, at)
            SELECT 'bopis:old:' || g, 'placed', '1', '', 'grown', 'grown', now()
                FROM generate_series($1::int, $2::int) g""",
    "idempotency": """
        INSERT INTO idempotency (source, key, body_hash, status)
            SELECT 'old', 'order:' || g, '\\x00', 201
                FROM generate_series($1::int, $2::int) g""",
    "event_inbox": """
        INSERT INTO event_inbox (source, event_id, type, body_hash, occurred_at, outcome)
            SELECT 'old', g::text, 'pos.sale', '\\x00', now(), 'accepted'
                FROM generate_series($1::int, $2::int) g""",
    "outbox": """
        INSERT INTO outbox (target, seq, kind, payload, done_at, outcome)
            SELECT 'bopis:old:' || g, 1, 'start', '{}', now(), 'delivered'
                FROM generate_series($1::int, $2::int) g""",
    "outbox_counter": """
        INSERT INTO outbox_counter (target, last_seq)
            SELECT 'bopis:old:' || g, 1
                FROM generate_series($1::int, $2::int) g""",
}


async def fill(database: Database, orders: int) -> float:
    """Rows of so many orders, by statements over whole sets; returns the seconds that it took."""
    began = time.perf_counter()
    await set_while_filling(database, "max_wal_size = '8GB'")
    tables = list(_FILLINGS)
    await asyncio.gather(*(_fill(database, tables[part::2], orders) for part in range(2)))
    async with database.engine.connect() as conn:
        alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM (ANALYZE)"))
        await alone.execute(text("CHECKPOINT"))
    await set_while_filling(database, None)
    return time.perf_counter() - began


async def set_while_filling(database: Database, setting: str | None) -> None:
    """Fewer checkpoints while rows are put in place; what is measured runs with the server's own setting again."""
    async with database.engine.connect() as conn:
        alone = await conn.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text(f"ALTER SYSTEM SET {setting}" if setting else "ALTER SYSTEM RESET ALL"))
        await alone.execute(text("SELECT pg_reload_conf()"))


async def _fill(database: Database, tables: Sequence[str], orders: int) -> None:
    for table in tables:
        for first in range(1, orders + 1, STEP):
            async with database.engine.begin() as conn:
                await conn.execute(text("SET LOCAL synchronous_commit = off"))
                last = min(first + STEP - 1, orders)
                raw = (await conn.get_raw_connection()).driver_connection
                assert raw is not None  # the connection is open
                statement = _FILLINGS[table]
                await raw.execute(statement, first, last, timeout=600)


def asked_for() -> int:
    """How many orders' rows; `BENCH_GROWTH` replaces the five million of the bar."""
    return int(os.environ.get("BENCH_GROWTH", "5000000"))


async def growth(server_url: str, *, seconds: float, orders: int | None = None) -> list[Row]:
    """S8: the ratio is how many times slower an order is with many rows in place; its bar is an upper one."""
    orders = asked_for() if orders is None else orders
    async with place.database(server_url, "few") as few, place.database(server_url, "many") as many:
        await fill(few, FEW)
        filled_s = await fill(many, orders)
        before, after = [], []
        for run in range(RUNS):
            before.append(await rate(few, hot=False, seconds=seconds, name=f"g{run}"))
            after.append(await rate(many, hot=False, seconds=seconds, name=f"g{run}"))
        async with many.read() as conn:
            size = (await conn.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
    limit = statistics.median(before)
    note = (
        f"{limit / statistics.median(after):.2f} × slower than with {FEW:,} orders' rows; {orders:,} orders' rows are"
        f" {size / 2**30:.1f} GB, put in place in {filled_s:.0f} s"
    )
    return [row("S8", f"S1 with {orders:,} orders' rows in place", after, "orders/s", limit, note)]
