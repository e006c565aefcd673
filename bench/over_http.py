"""S4 and S5: orders over HTTP, one by one and a thousand at a time, by one web process.

S4's limit is what no arrangement of the same work in one process and one database could beat: the time of a bare
endpoint that parses and validates the same body, and the time that PostgreSQL needs for the same lines by the product's
own set-based statements.
"""

import statistics
from random import Random
from typing import Any

from bench import load, pgbench, place, served
from bench.intake import BATCH, batches
from bench.processor import Costs, postmaster
from bench.rows import Row, row
from ledger.engine import Database

LINES = 3
CONNECTIONS = 64
BATCH_CONNECTIONS = 3
RUNS = 3
_PATH = "/api/v1/bopis-orders"


def bodies(number: int, *, seed: str, mark: str = "") -> list[dict[str, Any]]:
    """Orders of three lines each, SKUs by chance; the place of the key is in their ids."""
    dice = Random(seed)  # noqa: S311  which SKU is asked for
    return [
        place.body(
            f"o{load.KEY}{mark}-{order}",
            [
                {
                    "line_id": str(line),
                    "sku": place.sku(sku),
                    "quantity": 1,
                    "unit_price_minor": place.PRICE_MINOR,
                    "tax_minor": 239,
                }
                for line, sku in enumerate(dice.sample(range(place.SKUS), LINES), start=1)
            ],
        )
        for order in range(number)
    ]


async def statements(database: Database, *, seconds: float) -> pgbench.Load:
    """What PostgreSQL does of batches of three-line orders; `per_s` counts batches."""
    scripts = await batches(database, lines=LINES)
    return await pgbench.best_apart(database.url, scripts, seconds=max(int(seconds / 2), 1))


async def one_by_one(server_url: str, *, seconds: float) -> list[Row]:
    """S4: orders a second by `POST /bopis-orders`."""
    requests = [load.request(_PATH, body, key=served.KEY) for body in bodies(256, seed="s4")]
    runs: list[load.Told] = []
    bare_runs: list[float] = []
    async with place.database(server_url, "http") as database:
        await served.add_key(database)
        async with served.web_process(database) as (port, pid), served.bare() as bare_port:
            cost = Costs({"web": pid, "PostgreSQL": await postmaster(database)})
            for run in range(RUNS):  # one after the other, so that both meet the same machine
                first = (run + 1) * 10**9
                bare = await served.drive(
                    bare_port, requests, connections=CONNECTIONS, seconds=seconds / 2, first=first, status=201
                )
                bare_runs.append(bare.per_s)
                with cost:
                    runs.append(
                        await served.drive(
                            port, requests, connections=CONNECTIONS, seconds=seconds, first=first, status=201
                        )
                    )
        by_statements = (await statements(database, seconds=seconds)).per_s * BATCH
    bare_per_s = statistics.median(bare_runs)
    limit = 1 / (1 / bare_per_s + 1 / by_statements)
    told = runs[-1]
    client_us = told.cpu_s / told.sent * 1e6
    note = (
        f"bare endpoint {bare_per_s:,.0f}/s, statements {by_statements:,.0f} orders/s; {CONNECTIONS} connections, p50"
        f" {told.p50_ms:.1f} ms, p99 {told.p99_ms:.1f} ms; the client costs {client_us:.0f} µs a request; ms of"
        f" processor an order: {cost.each_ms(sum(one.sent for one in runs))}"
    )
    return [
        row("S4", "POST /bopis-orders, 3 lines, one web process", [one.per_s for one in runs], "orders/s", limit, note)
    ]


async def in_batches(server_url: str, *, seconds: float, request_orders: int = 1_000) -> list[Row]:
    """S5: lines a second by `POST /bopis-orders:batch`."""
    requests = [
        load.request(f"{_PATH}:batch", {"orders": bodies(request_orders, seed=f"b{n}", mark=f"-{n}")}, key=served.KEY)
        for n in range(4)
    ]
    runs: list[load.Told] = []
    async with place.database(server_url, "batches") as database:
        await served.add_key(database)
        async with served.application(database) as port:
            for run in range(RUNS):
                first = (run + 1) * 10**9
                runs.append(
                    await served.drive(
                        port, requests, connections=BATCH_CONNECTIONS, seconds=seconds, first=first, status=200
                    )
                )
        await _all_placed(database)
        found = await statements(database, seconds=seconds)
    limit = found.per_s * BATCH * LINES
    note = (
        f"requests of {request_orders} orders over {BATCH_CONNECTIONS} connections, p50 {runs[-1].p50_ms:,.0f} ms;"
        f" pgbench, {BATCH}-order batches, {found.clients} clients"
    )
    lines_s = [one.per_s * request_orders * LINES for one in runs]
    return [row("S5", "POST /bopis-orders:batch, 3 lines an order", lines_s, "lines/s", limit, note)]


async def _all_placed(database: Database) -> None:
    """A batch answers 200 whatever became of its orders: none may have been left short or refused."""
    async with database.read() as conn:
        short = (await conn.exec_driver_sql("SELECT count(*) FROM journey WHERE state <> 'reserved'")).scalar_one()
        lines = (await conn.exec_driver_sql("SELECT count(*) FROM journey_line")).scalar_one()
        orders = (await conn.exec_driver_sql("SELECT count(*) FROM journey")).scalar_one()
    if short or not orders or lines != orders * LINES:
        raise RuntimeError(f"{short} of {orders} orders were not reserved; {lines} lines")
