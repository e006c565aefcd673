"""`python -m bench.endurance SECONDS`: orders and queue pages at a steady pace, however long the answers take, and
whether the last tenth is as quick as the first.

An open loop: each request has its moment, and its time counts from then, so that a server that falls behind is seen to.
One web process among `--cases` cases; without a worker, as for every row about the web alone.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2
from sqlalchemy import text

from bench import browsing, over_http, place, served
from bench.load import FEWEST, KEY
from ledger.engine import Database

PARTS = 10
CONNECTIONS = 64
QUEUE = "/console/queue"
_LOCK_WAIT = text(
    "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
_DEAD = text(
    "SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables ORDER BY n_dead_tup DESC, relname LIMIT 3"
)


class Part(NamedTuple):
    """One tenth of the time: percentiles in milliseconds from the moment that a request was due."""

    orders: int
    order_p50: float
    order_p99: float
    pages: int
    page_p50: float
    page_p99: float


@dataclass
class Run:
    """What came back. `statuses` of everything that was sent, `longest_wait_s` for a lock, as seen once a second."""

    seconds: float
    orders: list[tuple[float, float]] = field(default_factory=list)  # due after s, taken ms
    pages: list[tuple[float, float]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    longest_wait_s: float = 0.0
    dead: list[str] = field(default_factory=list)

    def parts(self) -> list[Part]:
        """The tenths in their order."""
        cut = self.seconds / PARTS
        return [
            Part(*_figures(self.orders, number, cut), *_figures(self.pages, number, cut)) for number in range(PARTS)
        ]


def _figures(taken: list[tuple[float, float]], part: int, length: float) -> tuple[int, float, float]:
    found = [ms for due, ms in taken if int(due / length + 1e-6) == part]
    if len(found) < FEWEST:
        return len(found), sum(found), sum(found)
    hundredths = statistics.quantiles(found, n=100, method="inclusive")
    return len(found), hundredths[49], hundredths[98]


async def _pace(per_s: float, seconds: float, send: Callable[[int], Coroutine[Any, Any, None]], began: float) -> None:
    """Send at each moment, whether or not what was sent before has been answered."""
    async with asyncio.TaskGroup() as group:
        for number in range(int(per_s * seconds)):
            if (early := began + number / per_s - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(send(number))


async def drive(database: Database, port: int, seconds: float, *, orders_per_s: float, pages_per_s: float) -> Run:
    """Load one web process for so long."""
    run, limits = Run(seconds), httpx2.Limits(max_connections=CONNECTIONS)
    cookie = await browsing.signed_in(database, "six")
    bodies = over_http.bodies(500, seed="endurance")
    requests = [json.dumps(body) for body in bodies]
    key = {"Authorization": f"Bearer {served.KEY}", "Content-Type": "application/json"}
    began = time.perf_counter()

    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=120) as client:

        async def order(number: int) -> None:
            body = requests[number % len(requests)].replace(KEY, f"{number:0{len(KEY)}d}")
            answer = await client.post("/api/v1/bopis-orders", content=body, headers=key)
            count(answer.status_code, run.orders, number / orders_per_s)

        async def page(number: int) -> None:
            answer = await client.get(QUEUE, headers={"Cookie": cookie})
            count(answer.status_code, run.pages, number / pages_per_s)

        def count(status: int, taken: list[tuple[float, float]], due: float) -> None:
            run.statuses[status] += 1
            taken.append((due, (time.perf_counter() - began - due) * 1000))

        watching = asyncio.create_task(_watch(database, run))
        try:
            await asyncio.gather(_pace(orders_per_s, seconds, order, began), _pace(pages_per_s, seconds, page, began))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    async with database.read() as conn:
        run.dead = [f"{row.relname} {row.n_dead_tup} of {row.n_live_tup}" for row in await conn.execute(_DEAD)]
    return run


async def _watch(database: Database, run: Run) -> None:
    while True:
        async with database.read() as conn:
            waited = float((await conn.execute(_LOCK_WAIT)).scalar_one())
        run.longest_wait_s = max(run.longest_wait_s, waited)
        await asyncio.sleep(1)


def told(run: Run) -> str:
    """The tenths as a table, and what else was seen."""
    lines = [f"{'':>4} {'orders':>8} {'p50 ms':>8} {'p99 ms':>8} {'pages':>8} {'p50 ms':>8} {'p99 ms':>8}"]
    lines += [
        f"{number:>4} {one.orders:>8} {one.order_p50:>8.1f} {one.order_p99:>8.1f}"
        f" {one.pages:>8} {one.page_p50:>8.1f} {one.page_p99:>8.1f}"
        for number, one in enumerate(run.parts(), start=1)
    ]
    statuses = ", ".join(f"{times} × {status}" for status, times in sorted(run.statuses.items()))
    lines.append(f"answers: {statuses}; longest wait for a lock {run.longest_wait_s:.2f} s; dead rows: {run.dead}")
    return "\n".join(lines)


async def measure(seconds: float, *, orders_per_s: float, pages_per_s: float, cases: int) -> Run:
    """On a PostgreSQL of its own, as durable as the product's."""
    async with (
        place.server() as url,
        browsing.peopled(url, "endurance", cases=cases, orders=cases) as (database, _),
    ):
        await served.add_key(database)
        async with served.application(database) as port:
            return await drive(database, port, seconds, orders_per_s=orders_per_s, pages_per_s=pages_per_s)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--orders", type=float, default=100, help="orders a second")
    parser.add_argument("--pages", type=float, default=5, help="pages of the queue a second")
    parser.add_argument("--cases", type=int, default=100_000)
    asked = parser.parse_args()
    run = asyncio.run(measure(asked.seconds, orders_per_s=asked.orders, pages_per_s=asked.pages, cases=asked.cases))
    sys.stdout.write(told(run) + "\n")


if __name__ == "__main__":
    main()
