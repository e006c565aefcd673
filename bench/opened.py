"""S11: two hundred open consoles of one web process while cases change: when each is told, and what a page of the queue
takes meanwhile.

A console is what `static/live.js` makes of a browser: it loads its queue, keeps a stream open, asks for the rows that
have changed within a second, where it shows them, and for its whole list when it is told to look, or within fifteen.
"""

import asyncio
import json
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any

import httpx2
from sqlalchemy import text

from bench import browsing, company, served
from bench.floor import Page
from bench.rows import Row, row
from ledger.engine import Database

CONSOLES = 200
CHANGES_S = 50
SHOWN_SHARE = 10  # every tenth change is of a row that some console shows
CASES = 200_000
TOLD_WITHIN_MS = 1_000.0
SOON_S, LATER_S = 1.0, 15.0
PROBES = 40
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


class Console:
    """One open page: its stream, the rows that it shows, and what it has not been told yet."""

    def __init__(self, port: int, cookie: str, region: str) -> None:
        self.port, self.cookie, self.region = port, cookie, region
        self.shown: list[int] = []
        self.untold: dict[int, list[float]] = defaultdict(list)  # by case: when it was changed
        self.told_ms: list[float] = []
        self.refreshed_ms: list[float] = []
        self.rows_ms: list[float] = []
        self._asked_at = time.perf_counter()
        self._timer: asyncio.TimerHandle | None = None
        self._changed: set[int] = set()
        self._asked_for_rows_at = 0.0
        self._rows_timer: asyncio.TimerHandle | None = None
        self._refreshing: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._writer: asyncio.StreamWriter | None = None
        self.listening = asyncio.Event()

    async def load(self, client: httpx2.AsyncClient) -> None:
        """The queue, as it is opened or refreshed."""
        began = self._asked_at = time.perf_counter()
        found = await self._ask(client, "shown", self.shown)
        if self.shown:
            self.refreshed_ms.append((time.perf_counter() - began) * 1e3)
        self.shown = found

    async def load_rows(self, client: httpx2.AsyncClient, asked: set[int]) -> None:
        """Those that have changed."""
        began = time.perf_counter()
        found = await self._ask(client, "row", sorted(asked))
        if set(found) != asked:
            raise RuntimeError(f"rows {asked} were asked for, and {found} came")
        self.rows_ms.append((time.perf_counter() - began) * 1e3)

    async def _ask(self, client: httpx2.AsyncClient, name: str, numbers: Sequence[int]) -> list[int]:
        query = "&".join(f"{name}={number}" for number in numbers)
        answer = await client.get(f"/console/queue?{query}", headers={"Cookie": self.cookie, **PARTIAL})
        if answer.status_code != 200:
            raise RuntimeError(f"the queue was answered {answer.status_code}: {answer.text[:300]}")
        return [int(found) for found in re.findall(r'name="shown" value="(\d+)"', answer.text)]

    async def listen(self, client: httpx2.AsyncClient) -> None:
        """Hear until cancelled."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            self._writer.write(
                f"GET /console/live HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAccept: text/event-stream\r\n"
                f"Cookie: {self.cookie}\r\n\r\n".encode()
            )
            async for line in reader:
                if line.startswith(b"data: {"):
                    self._heard(json.loads(line[6:]), client)
                    self.listening.set()
            raise ConnectionError("the server ended a stream in the middle")
        finally:
            for timer in (self._timer, self._rows_timer):
                if timer:
                    timer.cancel()
            self._writer.close()

    def _heard(self, told: dict[str, Any], client: httpx2.AsyncClient) -> None:
        now = time.perf_counter()
        numbers = list(self.untold) if told.get("many") else [int(number) for number in told.get("case", {})]
        for number in numbers:
            self.told_ms += [(now - at) * 1e3 for at in self.untold.pop(number, [])]
        self._changed |= set(numbers) & set(self.shown)
        if self._changed and self._rows_timer is None:
            wait_s = max(self._asked_for_rows_at + SOON_S - now, 0)
            self._rows_timer = asyncio.get_running_loop().call_later(wait_s, self._refresh_rows, client)
        later_s = SOON_S if told.get("many") else 0.0 if told.get("look") else LATER_S
        self._refresh_at(max(self._asked_at + later_s, now), now, client)

    def _refresh_at(self, at: float, now: float, client: httpx2.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + at - now
        if self._timer is not None and not self._timer.cancelled() and self._timer.when() <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._refresh, client)

    def _refresh(self, client: httpx2.AsyncClient) -> None:
        self._timer = None
        self._begin(self.load(client))

    def _refresh_rows(self, client: httpx2.AsyncClient) -> None:
        self._rows_timer, self._asked_for_rows_at = None, time.perf_counter()
        asked, self._changed = self._changed, set()
        self._begin(self.load_rows(client, asked))

    def _begin(self, asking: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(asking)
        self._refreshing.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._refreshing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)

    async def settle(self) -> None:
        """Wait for what was asked for. Raises what went wrong since the page was opened."""
        await asyncio.gather(*self._refreshing, return_exceptions=True)
        if self._failures:
            raise self._failures[0]


async def change(database: Database, consoles: Sequence[Console], *, seconds: float) -> int:
    """Cases change evenly, each in a transaction of its own; every console of the region is to hear of it."""
    dice = Random(5)  # noqa: S311  which case changes
    by_region: dict[str, list[Console]] = defaultdict(list)
    for one in consoles:
        by_region[one.region].append(one)
    async with database.read() as conn:
        rows = await conn.execute(text("SELECT id, region FROM case_file WHERE closed_at IS NULL"))
        region_of = {found.id: found.region for found in rows}
    everywhere = list(region_of)
    began, made = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + seconds:
        one = dice.choice(consoles)
        number = dice.choice(one.shown) if made % SHOWN_SHARE == 0 and one.shown else dice.choice(everywhere)
        for console in by_region[region_of[number]]:
            console.untold[number].append(now)
        async with database.engine.begin() as conn:
            await conn.execute(text("UPDATE case_file SET version = version + 1 WHERE id = :id"), {"id": number})
        made += 1
        await asyncio.sleep(max(began + made / CHANGES_S - time.perf_counter(), 0))
    return made


def p99(found: Sequence[float]) -> float:
    return statistics.quantiles(found, n=100)[98]


async def consoles(server_url: str, *, seconds: float, cases: int = CASES, number: int = CONSOLES) -> list[Row]:
    """S11: when a console is told (upper bar 1,000 ms), and a page of the queue beside it (upper bar 2 × unloaded)."""
    async with browsing.peopled(server_url, "opened", cases=cases, orders=cases) as (database, _):
        opened = [
            Console(0, await browsing.signed_in(database, f"p{at}"), f"G{1 + at % company.REGIONS}")
            for at in range(1, number + 1)
        ]
        probes = [Page("/console/queue", one.cookie) for one in opened[:8]]
        async with served.application(database) as port:
            for one in opened:
                one.port = port
            before = [ms for some in await browsing.rounds(port, probes, PROBES) for ms in some]
            limits = httpx2.Limits(max_connections=32)
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=limits) as client:
                for one in opened:
                    await one.load(client)
                streams = [asyncio.create_task(one.listen(client)) for one in opened]
                await asyncio.gather(*(one.listening.wait() for one in opened))
                await asyncio.sleep(2 * SOON_S)  # everybody has looked once
                changing = asyncio.create_task(change(database, opened, seconds=max(seconds * 4, 4)))
                during: list[float] = []
                while not changing.done():
                    during += [ms for some in await browsing.rounds(port, probes, 1) for ms in some]
                made = await changing
                await asyncio.sleep(2 * SOON_S)  # what was coalesced last
                await asyncio.gather(*(one.settle() for one in opened))
                for stream in streams:
                    stream.cancel()
                for ended in await asyncio.gather(*streams, return_exceptions=True):
                    if isinstance(ended, Exception):
                        raise ended
    lost = sum(len(times) for one in opened for times in one.untold.values())
    told = [ms for one in opened for ms in one.told_ms]
    refreshed = [ms for one in opened for ms in one.refreshed_ms]
    rows = [ms for one in opened for ms in one.rows_ms]
    if lost or not told:
        raise RuntimeError(f"{lost} changes were never told to a console, {len(told)} were")
    note = (
        f"p99 of {len(told):,} times that a console was told of one of {made} changes, p50"
        f" {statistics.median(told):.0f} ms; every tenth is of a row that somebody shows"
    )
    page_note = (
        f"p99, p50 {statistics.median(during):.0f} ms; unloaded p50 {statistics.median(before):.0f} ms;"
        f" {len(refreshed):,} lists refreshed meanwhile, p50 {statistics.median(refreshed or [0]):.0f} ms, and"
        f" {len(rows):,} times rows alone, p50 {statistics.median(rows or [0]):.0f} ms"
    )
    return [
        row("S11", f"{number} consoles told of {CHANGES_S} changes/s", [p99(told)], "ms", TOLD_WITHIN_MS, note),
        row("S11.queue", "GET /console/queue meanwhile", [p99(during)], "ms", p99(before), page_note),
    ]
