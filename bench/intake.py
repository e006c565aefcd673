"""S1, S2, S3, S6: orders taken in this process, beside what PostgreSQL does with the same statements."""

import asyncio
import importlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from random import Random

import asyncpg
from sqlalchemy import text

from bench import pgbench, place
from bench.recorded import KEY, SKU, Recording, counts
from bench.rows import Row, row
from domain.orders import BopisOrder
from ledger import intake
from ledger.engine import Database

CALLERS = 256
BATCH = 200
RUNS = 3
SCRIPTS = 16  # batches that are recorded for pgbench: each client sends its own
FEWEST = 2  # however slow the machine: of one wait there are no percentiles
WRITTEN = (
    "customer", "hold", "idempotency", "journal", "journal_line", "journey", "journey_line", "journey_step", "movement",
    "outbox", "outbox_counter", "payment", "sale_line",
)  # fmt: skip
_NO_LIMIT = "the intake sends statements that need each other's answers: no limit by pgbench"
_VARIABLES = f"{pgbench.NEXT_NUMBER}\n\\set sku random(0, {place.SKUS - 1})"
_ANY_SKU = "'K' || lpad(:sku::text, 5, '0')"
Place = Callable[[BopisOrder], Awaitable[object]]


@asynccontextmanager
async def entrance(database: Database) -> AsyncIterator[Place]:
    """The way in that a web process uses: its batches where there are batches, else one transaction each."""
    if not hasattr(intake, "Intake"):

        async def one(order: BopisOrder) -> object:
            return await intake.place_order(
                database, place.CALLER, order, idempotency_key=None, received_at=place.now()
            )

        yield one
        return
    gathering = intake.Intake(database)

    async def gathered(order: BopisOrder) -> object:
        return await gathering.place(place.CALLER, order, idempotency_key=None, received_at=place.now())

    try:
        yield gathered
    finally:
        await gathering.close()


async def rate(database: Database, *, hot: bool, seconds: float, name: str, callers: int = CALLERS) -> float:
    """Orders a second with so many callers, each waiting for its answer before it sends the next."""
    _, per_s = await _load(database, hot=hot, seconds=seconds, name=name, callers=callers)
    return per_s


async def _load(database: Database, *, hot: bool, seconds: float, name: str, callers: int) -> tuple[list[float], float]:
    """Latencies in milliseconds, and orders a second. The first fifth of the time warms up and is not counted."""
    waits: list[float] = []
    async with entrance(database) as put:
        began = time.perf_counter()
        counted, ends = began + seconds / 5, began + seconds * 1.2

        async def caller(number: int) -> None:
            made = 0
            ahead: list[BopisOrder] = []  # made in one go, so that making them is not measured with each
            while (sent := time.perf_counter()) < ends or len(waits) < FEWEST:
                if not ahead:
                    ahead = place.orders(20, hot=hot, seed=f"{name}-{number}-{made}")
                    made += 1
                    continue
                await put(ahead.pop())
                done = time.perf_counter()
                if sent >= counted:
                    waits.append((done - sent) * 1_000)

        await asyncio.gather(*(caller(number) for number in range(callers)))
        spent = time.perf_counter() - counted
    return waits, len(waits) / spent


async def _script(database: Database, wanted: Sequence[BopisOrder], *, sku: str | None) -> str | None:
    """The statements of one batch of these orders; None where they cannot be sent by pgbench."""
    if not hasattr(intake, "Intake"):
        return None
    batches, catalogue = (importlib.import_module(f"ledger.intake.{name}") for name in ("batch", "catalogue"))
    submission = batches.submission
    conn = await asyncpg.connect(database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        batch = batches.Batch(conn, catalogue.Catalogue())
        skus = sorted({line.sku for one in wanted for line in one.lines})
        for first in range(0, len(skus), 400):  # an order has at most 500 lines
            warm = place.order(f"warm-{time.monotonic_ns()}", *skus[first : first + 400])
            await batch.take(
                [submission(place.CALLER, warm, None, place.now())]
            )  # master data is in memory from now on
        submitted = [submission(place.CALLER, one, None, place.now()) for one in wanted]
        before = await counts(conn, WRITTEN)
        recording = await Recording().of(conn, lambda: batch.take(submitted))
        by_product = await counts(conn, WRITTEN)
        script = await recording.script(conn, _VARIABLES, sku=sku)
        await pgbench.once(database.url, script)
        by_pgbench = await counts(conn, WRITTEN)
    finally:
        await conn.close()
    for table, rows in by_product.items():
        if rows - before[table] != by_pgbench[table] - rows:
            raise RuntimeError(
                f"the script writes {by_pgbench[table] - rows} rows of {table}, not {rows - before[table]}"
            )
    return script


async def _one_order(database: Database, *, hot: bool) -> str | None:
    """One order in one transaction, for any SKU or for the hot one."""
    async with database.engine.begin() as conn:
        await conn.execute(
            text(
                "INSERT INTO item (sku, name, price_minor, cost_minor) VALUES (:s, 'x', 1500, 600)"
                " ON CONFLICT DO NOTHING"
            ),
            {"s": SKU},
        )
        await conn.execute(
            text("INSERT INTO stock (location, sku, available) VALUES ('L1', :s, 100000000) ON CONFLICT DO NOTHING"),
            {"s": SKU},
        )
    key = f"{KEY}-{'h' if hot else 'u'}"
    return await _script(database, [place.order(key, SKU)], sku=f"'{place.sku(0)}'" if hot else _ANY_SKU)


async def batches(database: Database, *, lines: int = 1) -> list[str]:
    """Several batches of orders, each a script of its own; empty where there can be none.

    Each draws from SKUs of its own, as the lanes of one process never want the same row: with rows in common, clients
    of pgbench would wait for each other where the product does not.
    """
    made = []
    share = place.SKUS // SCRIPTS
    for number in range(SCRIPTS):
        dice = Random(f"batch{number}")  # noqa: S311  which SKU is asked for
        wanted = [
            place.order(
                f"{KEY}-{number}-{n}", *(place.sku(number * share + one) for one in dice.sample(range(share), lines))
            )
            for n in range(BATCH)
        ]
        script = await _script(database, wanted, sku=None)
        if script is not None:
            made.append(script)
    return made


async def reserve(server_url: str, *, seconds: float, wanted: Collection[str]) -> list[Row]:
    """S1, S2, S3: uniform, one hot row, and the share of the same set-based statements."""
    rows: list[Row] = []
    async with place.database(server_url, "reserve") as database:
        pg = max(int(seconds / 2), 2)
        uniform = [await rate(database, hot=False, seconds=seconds, name=f"u{n}") for n in range(RUNS)]
        if "S1" in wanted:
            script = await _one_order(database, hot=False)
            load = await pgbench.best(database.url, [script], seconds=pg) if script else None
            note = f"pgbench, one order per transaction, {load.clients} clients" if load else _NO_LIMIT
            rows.append(
                row("S1", "reserve, uniform over 10,000 SKU × location", uniform, "orders/s", load and load.per_s, note)
            )
        if "S2" in wanted:
            hot = [await rate(database, hot=True, seconds=seconds, name=f"h{n}") for n in range(RUNS)]
            script = await _one_order(database, hot=True)
            load = await pgbench.best(database.url, [script], seconds=pg) if script else None
            share = statistics.median(hot) / statistics.median(uniform)
            note = f"{share:.2f} of S1; " + (f"pgbench on one hot row, {load.clients} clients" if load else _NO_LIMIT)
            rows.append(row("S2", "reserve, one hot SKU", hot, "orders/s", load and load.per_s, note))
        if "S3" in wanted:
            scripts = await batches(database)
            load = await pgbench.best_apart(database.url, scripts, seconds=pg) if scripts else None
            note = f"pgbench, {BATCH}-order batches, {load.clients} clients" if load else _NO_LIMIT
            rows.append(
                row(
                    "S3",
                    "S1 beside its own set-based statements",
                    uniform,
                    "orders/s",
                    load and load.per_s * BATCH,
                    note,
                )
            )
    return rows


async def latency(server_url: str, *, seconds: float) -> list[Row]:
    """S6: p50 and p99 of one order at 1, 32 and 256 callers; the limit is one transaction by one pgbench client."""
    rows = []
    async with place.database(server_url, "latency") as database:
        script = await _one_order(database, hot=False)
        load = await pgbench.run(database.url, [script], clients=1, seconds=max(int(seconds), 1)) if script else None
        for callers in (1, 32, 256):
            waits, per_s = await _load(database, hot=False, seconds=seconds, name=f"l{callers}", callers=callers)
            cuts = statistics.quantiles(waits, n=100)
            p50, p99 = cuts[49], cuts[98]
            rows.append(
                row(
                    f"S6.{callers}",
                    f"latency of one order, {callers} callers, p50",
                    [p50],
                    "ms",
                    load.latency_ms if load else None,
                    f"p99 {p99:.1f} ms = {p99 / p50:.1f} × p50; {per_s:,.0f} orders/s",
                )
            )
    return rows
