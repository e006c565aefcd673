"""S14: very many timers that fire together, and what the API makes of it.

A few orders show how fast this machine begins journeys. The others are taken in within seconds of each other under a
policy by which the store is reminded of each pick, so far ahead that all should have begun by then; so all of them fall
due within as many seconds. While they fire, a shop goes on placing orders, one each tenth of a second, whatever comes
back. The whole ends within a budget: what has not fired by then is said, and the rate counts what has.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

import httpx2
from sqlalchemy import insert, text
from temporalio.client import Client

from bench import place, served
from bench.parked import Parked, Progress, p99, stage, worker_of
from bench.rows import Row, row
from ledger.engine import Database
from ledger.tables import policy_document

PROBE = 300  # journeys that show how fast they begin
AHEAD_S = 20
SPARE = 1.25  # later ones begin more slowly than the first
BUDGET_S = 2_250  # from the first order to the last look
EACH_S = 0.1
LOOK_S = 0.5
FEWEST = 20
NAMED = "bopis:bench:d-%"
_FIRED = text(
    "SELECT count(*) FROM journey_step WHERE step = 'on_due' AND occurrence LIKE 'pick_nag%' AND journey_id LIKE :named"
)
_DUE = text(
    "SELECT min((dues ->> 'pick_nag_1')::timestamptz) AS first, max((dues ->> 'pick_nag_1')::timestamptz) AS last"
    " FROM journey WHERE id LIKE :named"
)


def asked_for() -> int:
    """How many timers; `BENCH_TIMERS` replaces two thousand (the bar speaks of 50,000, which take half an hour)."""
    return int(os.environ.get("BENCH_TIMERS", "2000"))


def budget_s() -> float:
    """Seconds for all of it; `BENCH_BUDGET_S` replaces them."""
    return float(os.environ.get("BENCH_BUDGET_S", str(BUDGET_S)))


class Shop:
    """Places orders by the API and remembers how long each took."""

    def __init__(self, port: int, name: str) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._name = name
        self.taken_ms: list[float] = []
        self.others = 0  # answers that were none of the wished kind

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Orders go on for as long as the block runs; at least a few."""
        over = asyncio.Event()
        selling = asyncio.create_task(self._sell(over))
        try:
            yield
        finally:
            over.set()
            await selling

    async def _sell(self, over: asyncio.Event) -> None:
        headers = {"Authorization": f"Bearer {served.KEY}"}
        async with httpx2.AsyncClient(base_url=self._base, headers=headers, timeout=60) as client:
            number, began = 0, time.perf_counter()
            while number < FEWEST or not over.is_set():
                await asyncio.sleep(began + number * EACH_S - time.perf_counter())
                line = {"line_id": "1", "sku": place.sku(number % place.SKUS), "quantity": 1, "unit_price_minor": 1_500}
                at = time.perf_counter()
                answer = await client.post(
                    "/api/v1/bopis-orders", json=place.body(f"{self._name}-{number}", [line | {"tax_minor": 239}])
                )
                self.taken_ms.append((time.perf_counter() - at) * 1e3)
                self.others += answer.status_code != 201
                number += 1


async def remind_after(database: Database, seconds: int) -> None:
    """One reminder of each pick, so long after the order, and nothing else; from orders on that are taken in now."""
    body = {"bopis": {"pick_open_s": 2 * seconds, "nag_permille": [500], "confirm_placed": False}}
    async with database.engine.begin() as conn:
        values = {"version": f"due-{seconds}", "effective_from": place.now(), "body": body}
        await conn.execute(insert(policy_document).values(**values))


async def together(
    server_url: str,
    *,
    seconds: float,  # noqa: ARG001  it takes what it takes
    timers: int | None = None,
    ahead_s: int | None = None,
    budget: float | None = None,
) -> list[Row]:
    """S14: timers a second until all have fired; S14.api: p99 of an order by API meanwhile beside that of before."""
    timers = asked_for() if timers is None else timers
    until = time.perf_counter() + (budget_s() if budget is None else budget)
    async with stage(server_url, "due") as (database, _, settings, client):
        await served.add_key(database)
        it = Parked(database, client, "d")
        async with served.running(worker_of(settings, 0)), served.application(database) as port:
            ahead = await _ahead_s(database, client, timers) if ahead_s is None else ahead_s
            await remind_after(database, ahead)
            quiet, busy = Shop(port, "quiet"), Shop(port, "busy")
            async with quiet.open():
                pass
            first, last = await _set(it, timers)
            left_s = (first - place.now()).total_seconds()
            waiting = await it.wait_until_parked(timers, by=time.perf_counter() + left_s)
            await asyncio.sleep((first - place.now()).total_seconds())
            async with busy.open():
                fired = await _fire(database, timers, until)
    if quiet.others or busy.others:
        raise RuntimeError(f"{quiet.others + busy.others} orders were not taken")
    return rows_of(fired, timers, waiting, (last - first).total_seconds(), quiet, busy)


async def _ahead_s(database: Database, client: Client, timers: int) -> int:
    """How far ahead timers have to be set for all of their journeys to have begun: as a few journeys show."""
    await remind_after(database, 86_400)
    probe, began = Parked(database, client, "probe"), time.perf_counter()
    few = min(PROBE, timers)
    await probe.take_in(few)
    await probe.wait_until_parked(few)
    each_s = (time.perf_counter() - began) / few
    ahead = int(AHEAD_S + SPARE * timers * each_s)
    print(f"  {1 / each_s:.0f} journeys begin a second; timers are set {ahead} s ahead", file=sys.stderr, flush=True)
    return ahead


async def _set(it: Parked, timers: int) -> tuple[datetime, datetime]:
    """Take the orders in; when the first and the last of their timers fall due."""
    await it.take_in(timers)
    first, last = await _one(it.database, _DUE, named=NAMED)
    if first is None:
        raise RuntimeError("no order has a timer")
    return first, last


class Fired(NamedTuple):
    """So many timers fired and were recorded within so many seconds."""

    timers: int
    seconds: float


async def _fire(database: Database, timers: int, until: float) -> Fired:
    """Look until all have fired, or the budget is spent."""
    began, progress = time.perf_counter(), Progress("timers fired", timers)
    while True:
        (fired,) = await _one(database, _FIRED, named=NAMED)
        now = time.perf_counter()
        progress.tell(fired)
        if fired >= timers or (fired and now >= until):
            return Fired(fired, now - began)
        await asyncio.sleep(max(LOOK_S, timers / 25_000))  # counting reads all their steps


def rows_of(fired: Fired, timers: int, waiting: int, spread_s: float, quiet: Shop, busy: Shop) -> list[Row]:
    """The two rows; what has not fired, or not begun, is said."""
    rate = fired.timers / fired.seconds
    how_many = "all fired and recorded" if fired.timers >= timers else f"{fired.timers:,} of them fired and recorded"
    note = f"{timers:,} timers due within {spread_s:.0f} s, {how_many} {fired.seconds:.0f} s after the first was due"
    if waiting < timers:
        note += f"; {timers - waiting:,} of their journeys had not begun by then"
    api = (
        f"p50 {statistics.median(busy.taken_ms):.0f} ms of {len(busy.taken_ms)} orders; before p50"
        f" {statistics.median(quiet.taken_ms):.0f} ms; none refused"
    )
    return [
        row("S14", "timers that fire together", [rate], "timers/s", None, note),
        row("S14.api", "an order by API meanwhile, p99", [p99(busy.taken_ms)], "ms", p99(quiet.taken_ms), api),
    ]


async def _one(database: Database, statement: Any, **values: Any) -> Any:
    async with database.read() as conn:
        return (await conn.execute(statement, values)).one()
