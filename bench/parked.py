"""S12: many journeys that wait. What a waiting journey costs the worker and Temporal, and how soon another worker
answers for those that one held when it stops, and when it is killed.

Orders are taken in as ever and wait for their pick. Each is told of something that changes nothing, at a steady rate
whatever comes back, and has answered when its workflow has taken that up: from the commit in PostgreSQL, through the
relay, to the end of its workflow task.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

import wire
from bench import place, served
from bench.intake import entrance
from bench.journeys import temporal
from bench.rows import Row, row
from domain.ids import journey_id
from domain.messages import Message
from embedded import children
from embedded.children import Child
from embedded.temporal import EmbeddedTemporal
from ledger.engine import Database
from ledger.transaction import Transaction
from settings import Settings

PER_S = 50
LEAST = 20
TOGETHER = 1_000  # orders at a time; twice as many would be refused as too many
WAITING = 5  # events of a history that waits: start, a task's three, timer
CACHED = 1_000  # of one worker, as the library ships
LOOK_S = 0.5
SAY_EACH_S = 15.0
PORTION = 1_000
LONGEST_S = 600.0  # then no more journeys are begun for S12


def asked_for() -> int:
    """How many journeys; `BENCH_PARKED` replaces the ten thousand of the bar."""
    return int(os.environ.get("BENCH_PARKED", "10000"))


@dataclass
class Parked:
    """Journeys by number on one Temporal server."""

    database: Database
    client: Client
    name: str

    def workflow(self, number: int) -> str:
        return journey_id("bopis", place.CALLER.source, f"{self.name}-{number}")

    async def take_in(self, journeys: int, *, first: int = 0) -> None:
        """Orders of one unit, so many at a time, numbered from `first`."""
        async with entrance(self.database) as put:
            for at in range(first, first + journeys, TOGETHER):
                wanted = range(at, min(at + TOGETHER, first + journeys))
                orders = [place.order(f"{self.name}-{n}", place.sku(n % place.SKUS)) for n in wanted]
                await asyncio.gather(*map(put, orders))

    async def wait_until_parked(self, journeys: int, *, first: int = 0, by: float | None = None) -> int:
        """Wait until each has been begun and waits, or until the instant `by` of `time.perf_counter`; how many wait."""
        began = time.perf_counter()
        progress = Progress("waiting", journeys)
        try:
            async with asyncio.timeout(None if by is None else max(by - began, 0)):
                for number in range(first, first + journeys):
                    await self._waits(self.workflow(number))
                    progress.tell(number - first + 1)
        except TimeoutError:
            return progress.done
        return journeys

    async def park(self, journeys: int, longest_s: float) -> tuple[float, float, int]:
        """Take orders in and wait for them, a portion after the other, until all wait or `longest_s` are over; the
        seconds of taking in, the seconds of all, and how many wait.
        """
        began, taken_s, waiting = time.perf_counter(), 0.0, 0
        progress = Progress("waiting", journeys)
        while waiting < journeys and time.perf_counter() - began < longest_s:
            portion, at = min(PORTION, journeys - waiting), time.perf_counter()
            await self.take_in(portion, first=waiting)
            taken_s += time.perf_counter() - at
            await self.wait_until_parked(portion, first=waiting)
            waiting += portion
            progress.tell(waiting)
        return taken_s, time.perf_counter() - began, waiting

    async def _waits(self, workflow: str) -> None:
        handle = self.client.get_workflow_handle(workflow)
        while True:
            found = await _length(handle)
            if found >= WAITING:
                return
            await asyncio.sleep(LOOK_S)

    async def update(self, numbers: Sequence[int]) -> list[float]:
        """Tell each of something, `PER_S` a second; milliseconds until it has taken that up, in this order."""
        began = time.perf_counter()
        return list(await asyncio.gather(*(self._update(n, began + at / PER_S) for at, n in enumerate(numbers))))

    async def _update(self, number: int, at: float) -> float:
        await asyncio.sleep(at - time.perf_counter())
        workflow = self.workflow(number)
        before = await _length(self.client.get_workflow_handle(workflow))

        async def work(tx: Transaction) -> None:
            tx.tell(workflow, Message.TIME_SKIPPED)

        began = time.perf_counter()
        await self.database.write(work, actor="bench", via="bench")
        await self._taken_up(workflow, before)
        return (time.perf_counter() - began) * 1e3

    async def _taken_up(self, workflow: str, before: int) -> None:
        """Wait for the end of a task after what was told, without asking again and again: Temporal answers then."""
        told = False
        events = self.client.get_workflow_handle(workflow).fetch_history_events(wait_new_event=True)
        async for event in events:
            if event.event_id <= before:
                continue
            told = told or event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
            if told and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return
        raise RuntimeError(f"{workflow} ended")


class Progress:
    """Says now and then, on standard error, how far something that takes minutes has come."""

    def __init__(self, what: str, of: int) -> None:
        self._what, self._of = what, of
        self._began = self._told = time.perf_counter()
        self.done = 0

    def tell(self, done: int) -> None:
        """So many are done; a line when the last one is long ago."""
        self.done = done
        now = time.perf_counter()
        if now - self._told >= SAY_EACH_S:
            self._told = now
            taken_s = now - self._began
            print(
                f"  {done:,} of {self._of:,} {self._what} after {taken_s:.0f} s, {done / taken_s:.0f} a second",
                file=sys.stderr, flush=True,
            )  # fmt: skip


async def _length(handle: "WorkflowHandle[Any, Any]") -> int:
    try:
        return (await handle.describe()).history_length
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # the relay has not started it yet
            raise
        return 0


@dataclass
class Sizes:
    """Bytes: resident memory of the worker and of Temporal, and Temporal's file with its log."""

    worker: int
    temporal: int
    disk: int


def sizes(worker: Child, server: EmbeddedTemporal) -> Sizes:
    assert worker.process is not None  # both run
    assert server.process is not None
    assert server.database is not None
    disk = sum(file.stat().st_size for file in server.database.parent.glob(f"{server.database.name}*"))
    return Sizes(_resident(worker.process.pid), _resident(server.process.pid), disk)


def _resident(pid: int) -> int:
    one = psutil.Process(pid)
    return int(sum(each.memory_info().rss for each in (one, *one.children(recursive=True))))


@asynccontextmanager
async def stage(server_url: str, name: str) -> AsyncIterator[tuple[Database, EmbeddedTemporal, Settings, Client]]:
    """A database, a Temporal server on a file, settings of workers on both, and a client that reads what they seal."""
    async with place.database(server_url, name) as database, temporal() as server, served.folder() as folder:
        settings = served.settings_for(database, folder, temporal_address=server.address)
        client = await wire.connect(
            server.address, namespace=server.namespace, keyring=settings.payload_keyring, identity="bench"
        )
        yield database, server, settings, client


def worker_of(settings: Settings, number: int) -> Child:
    """A worker process with a log of its own."""
    folder = settings.home / f"worker-{number}"
    folder.mkdir()
    return children.worker(settings.model_copy(update={"home": folder}), folder)


async def parked(server_url: str, *, seconds: float, journeys: int | None = None) -> list[Row]:
    """S12: memory and disk of each, and the p99 of the first answers after a stop and after a kill."""
    journeys = asked_for() if journeys is None else journeys
    async with stage(server_url, "parked") as (database, server, settings, client):
        workers = [worker_of(settings, number) for number in range(3)]
        it = Parked(database, client, "p")
        async with served.running(workers[0]):
            empty = sizes(workers[0], server)
            taken_s, parked_s, journeys = await it.park(journeys, LONGEST_S)
            full = sizes(workers[0], server)
            updates = range(journeys)[-max(min(int(PER_S * seconds), CACHED), LEAST) :]
            held = await it.update(updates)
            async with served.running(workers[1]):
                await workers[0].stop()
                stopped = await it.update(updates)
                async with served.running(workers[2]):
                    victim = workers[1].process
                    assert victim is not None  # it answers
                    victim.kill()
                    killed = await it.update(updates)
    sticky_ms = settings.sticky_queue_schedule_to_start_timeout_s * 1e3
    cached = min(journeys, CACHED)
    mb, kb = 2**20, 2**10
    note = (
        f"{empty.worker / mb:.0f} MB before; {(full.worker - empty.worker) / kb / cached:.0f} kB for each of the"
        f" {cached:,} that are cached; taken in in {taken_s:.0f} s, all waiting after {parked_s:.0f} s"
    )
    temporal_note = f"{empty.temporal / mb:.0f} MB before, {full.temporal / mb:.0f} MB after"
    return [
        row("S12", f"worker memory with {journeys:,} journeys parked", [full.worker / mb], "MB", None, note),
        row("S12.mem", "Temporal's memory of each", [(full.temporal - empty.temporal) / kb / journeys], "kB", None,
            temporal_note),
        row("S12.disk", "Temporal's file of each", [(full.disk - empty.disk) / kb / journeys], "kB", None),
        _answers("S12.stop", "first answers after a clean stop, p99", stopped, 1_000, held),
        _answers("S12.kill", "first answers after kill -9, p99", killed, sticky_ms + 1_000, held),
    ]  # fmt: skip


def _answers(name: str, work: str, taken_ms: Sequence[float], limit_ms: float, held_ms: Sequence[float]) -> Row:
    note = (
        f"p50 {statistics.median(taken_ms):.0f} ms, longest {max(taken_ms):.0f} ms, {len(taken_ms)} journeys at"
        f" {PER_S}/s; by the worker that held them p50 {statistics.median(held_ms):.0f} ms, p99 {p99(held_ms):.0f} ms"
    )
    return row(name, work, [p99(taken_ms)], "ms", limit_ms, note)


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]
