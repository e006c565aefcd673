"""S14: very many timers that fire together, and what the API makes of it.

Orders are taken in within seconds of each other under a policy by which the store is reminded of each pick, so all of
them fall due within as many seconds; until then they wait. While they fire, a shop goes on placing orders, one each
tenth of a second, whatever comes back.
"""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
from sqlalchemy import insert, text

from bench import place, served
from bench.parked import Parked, p99, stage, worker_of
from bench.rows import Row, row
from ledger.engine import Database
from ledger.tables import policy_document

SLOWEST_PER_S = 20  # so many journeys at least are begun a second; the timers are set so far ahead
AHEAD_S = 60
EACH_S = 0.1
LOOK_S = 0.5
FEWEST = 20
_PATIENCE_S = 7_200.0
_FIRED = text(
    "SELECT count(*) FROM journey_step WHERE step = 'on_due' AND occurrence LIKE 'pick_nag%' AND journey_id LIKE :named"
)
_DUE = text(
    "SELECT min((dues ->> 'pick_nag_1')::timestamptz) AS first, max((dues ->> 'pick_nag_1')::timestamptz) AS last"
    " FROM journey WHERE id LIKE :named"
)


def asked_for() -> int:
    """How many timers; `BENCH_TIMERS` replaces two thousand (the bar speaks of 50,000, which take an hour)."""
    return int(os.environ.get("BENCH_TIMERS", "2000"))


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
    """One reminder of each pick, so long after the order, and nothing else."""
    body = {"bopis": {"pick_open_s": 2 * seconds, "nag_permille": [500], "confirm_placed": False}}
    async with database.engine.begin() as conn:
        values = {"version": f"due-{seconds}", "effective_from": datetime(2020, 1, 1, tzinfo=UTC), "body": body}
        await conn.execute(insert(policy_document).values(**values))


async def together(
    server_url: str,
    *,
    seconds: float,  # noqa: ARG001  it takes what it takes
    timers: int | None = None,
    ahead_s: int | None = None,
) -> list[Row]:
    """S14: timers a second until all have fired; S14.api: p99 of an order by API meanwhile beside that of before."""
    timers = asked_for() if timers is None else timers
    ahead = AHEAD_S + timers // SLOWEST_PER_S if ahead_s is None else ahead_s
    async with stage(server_url, "due") as (database, _, settings, client):
        await remind_after(database, ahead)
        await served.add_key(database)
        it, named = Parked(database, client, "d"), {"named": "bopis:bench:d-%"}
        async with served.running(worker_of(settings, 0)), served.application(database) as port:
            await it.take_in(timers)
            await it.wait_until_parked(timers)
            quiet = Shop(port, "quiet")
            async with quiet.open():
                pass
            first, last = await _one(database, _DUE, **named)
            spare_s = (first - place.now()).total_seconds()
            await asyncio.sleep(spare_s)
            busy = Shop(port, "busy")
            began = time.perf_counter()
            async with busy.open(), asyncio.timeout(_PATIENCE_S):
                while (await _one(database, _FIRED, **named))[0] < timers:  # noqa: ASYNC110  another process that we wait for
                    await asyncio.sleep(LOOK_S)
                fired_s = time.perf_counter() - began
    if quiet.others or busy.others:
        raise RuntimeError(f"{quiet.others + busy.others} orders were not taken")
    spread_s = (last - first).total_seconds()
    note = (
        f"{timers:,} timers due within {spread_s:.0f} s, all fired and recorded {fired_s:.0f} s after the first was due"
    )
    if spare_s < 0:
        note = f"the first fired {-spare_s:.0f} s before all were set, so this says little; {note}"
    api = (
        f"p50 {statistics.median(busy.taken_ms):.0f} ms of {len(busy.taken_ms)} orders; before p50"
        f" {statistics.median(quiet.taken_ms):.0f} ms; none refused"
    )
    return [
        row("S14", "timers that fire together", [timers / fired_s], "timers/s", None, note),
        row("S14.api", "an order by API meanwhile, p99", [p99(busy.taken_ms)], "ms", p99(quiet.taken_ms), api),
    ]


async def _one(database: Database, statement: Any, **values: Any) -> Any:
    async with database.read() as conn:
        return (await conn.execute(statement, values)).one()
