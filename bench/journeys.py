"""S7: collected orders a second, from intake to the end of their workflow in Temporal, beside a skeleton workflow of
the same shape that does nothing, on the same server.

Both are driven alike: groups are begun, told of a pick and then of the hand-over, each when the workflow has heard of
what was before, and so many are under way at once that nobody waits for work.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol

from temporalio.client import Client
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from bench import place, served
from bench.intake import entrance
from bench.processor import Costs, postmaster
from bench.rows import Row, row
from bench.skeleton import QUEUE
from domain.ids import journey_id
from embedded import children
from embedded.children import ROOT, Child
from embedded.ports import free_port
from embedded.process import base_environment, spawn
from embedded.temporal import EmbeddedTemporal, Pollers
from ledger import facts
from ledger.engine import Database

RUNS = 3
GROUP = 8  # begun, or told, at a time
UNDER_WAY = 120  # at most so many that have begun and not ended
LOOK_S = 0.2
DRAIN_S = 300
SAMPLE = 20
MOST_EVENTS = 20
# Events in a history that waits: start, a task's three, timer; and then signal, a task's three, timer ended, timer.
WAITING_FOR_PICK, WAITING_FOR_CUSTOMER = 5, 11


class Journeys(Protocol):
    """What is driven: journeys by number, in three moves."""

    kind: str  # the type of the workflow

    def workflow(self, number: int) -> str: ...

    async def begin(self, numbers: Sequence[int]) -> None: ...

    async def pick(self, numbers: Sequence[int]) -> None: ...

    async def hand_over(self, numbers: Sequence[int]) -> None: ...


@dataclass
class Collected:
    """Orders of one line: taken in, picked and handed over as systems report it."""

    database: Database
    put: Callable[[Any], Awaitable[object]]
    name: str
    kind: str = "bopis"
    dice: Random = field(default_factory=lambda: Random(7))  # noqa: S311  which SKU is asked for

    def key(self, number: int) -> str:
        return f"{self.name}-{number}"

    def workflow(self, number: int) -> str:
        return journey_id("bopis", place.CALLER.source, self.key(number))

    async def begin(self, numbers: Sequence[int]) -> None:
        wanted = [place.order(self.key(number), place.sku(self.dice.randrange(place.SKUS))) for number in numbers]
        await asyncio.gather(*map(self.put, wanted))

    async def pick(self, numbers: Sequence[int]) -> None:
        lines = [{"line_id": "1", "quantity": 1}]
        await self._report("bopis.picked", numbers, picker="crew", lines=lines)

    async def hand_over(self, numbers: Sequence[int]) -> None:
        await self._report("bopis.handed_over", numbers, actor="crew")

    async def _report(self, kind: str, numbers: Sequence[int], **more: Any) -> None:
        now = place.now()
        events = [
            {
                "id": f"{kind}-{self.key(number)}",
                "type": kind,
                "occurred_at": now.isoformat(),
                "data": {"order_id": self.key(number), **more},
            }
            for number in numbers
        ]
        outcomes = await facts.receive(self.database, place.CALLER, events, received_at=now)
        wrong = [one for one in outcomes if one.outcome != "accepted"]
        if wrong:
            raise RuntimeError(f"{len(wrong)} events were not accepted, first {wrong[0]}")


@dataclass
class Skeletons:
    """Workflows without a body, started and told by the bare client."""

    client: Client
    name: str
    kind: str = "skeleton"

    def workflow(self, number: int) -> str:
        return f"{self.name}-{number}"

    async def begin(self, numbers: Sequence[int]) -> None:
        await asyncio.gather(
            *(self.client.start_workflow(self.kind, id=self.workflow(n), task_queue=QUEUE) for n in numbers)
        )

    async def pick(self, numbers: Sequence[int]) -> None:
        handles = [self.client.get_workflow_handle(self.workflow(number)) for number in numbers]
        await asyncio.gather(*(handle.signal("tell") for handle in handles))

    hand_over = pick


class Driven(NamedTuple):
    """Journeys ended a second while it went on, and how many were driven to their end in all."""

    per_s: float
    journeys: int


async def drive(client: Client, journeys: Journeys, *, seconds: float, under_way: int = UNDER_WAY) -> Driven:
    """Journeys ended a second, over `seconds` from when the first of them have ended; all of them end.

    However slow the machine, it goes on until some more have ended.
    """
    before = await ended(client, journeys.kind)
    marks: list[tuple[float, int]] = []
    begun = 0
    async with asyncio.TaskGroup() as groups:
        while not marks or marks[-1][0] - marks[0][0] < seconds or marks[-1][1] == marks[0][1]:
            finished = await ended(client, journeys.kind) - before
            if marks or finished >= under_way / 2:
                marks.append((time.perf_counter(), finished))
            for first in range(begun, finished + under_way, GROUP):
                groups.create_task(_live(client, journeys, range(first, first + GROUP)))
                begun = first + GROUP
            await asyncio.sleep(LOOK_S)
    async with asyncio.timeout(DRAIN_S):
        while await ended(client, journeys.kind) - before < begun:  # noqa: ASYNC110  the server is asked, nobody tells
            await asyncio.sleep(LOOK_S)
    return Driven((marks[-1][1] - marks[0][1]) / (marks[-1][0] - marks[0][0]), begun)


async def _live(client: Client, journeys: Journeys, group: Sequence[int]) -> None:
    """A group is told the next thing when its last workflow has heard of the one before: each costs a task of its own,
    as it does where hours lie between them.
    """
    await journeys.begin(group)
    await _heard(client, journeys.workflow(group[-1]), WAITING_FOR_PICK)
    await journeys.pick(group)
    await _heard(client, journeys.workflow(group[-1]), WAITING_FOR_CUSTOMER)
    await journeys.hand_over(group)


async def _heard(client: Client, workflow: str, events: int) -> None:
    handle = client.get_workflow_handle(workflow)
    while True:
        try:
            if (await handle.describe()).history_length >= events:
                return
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # the relay has not started it yet
                raise
        await asyncio.sleep(LOOK_S)


async def ended(client: Client, kind: str) -> int:
    """How many workflows of a kind have completed. Raises RuntimeError when one has failed."""
    query = f"WorkflowType = '{kind}' AND ExecutionStatus = "
    failed = await client.count_workflows(
        f"WorkflowType = '{kind}' AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut')"
    )
    if failed.count:
        raise RuntimeError(f"{failed.count} workflows of the kind {kind} have failed")
    return (await client.count_workflows(query + "'Completed'")).count


async def events_each(client: Client, kind: str) -> list[int]:
    """The lengths of the histories of some that have completed."""
    query = f"WorkflowType = '{kind}' AND ExecutionStatus = 'Completed'"
    return [one.history_length async for one in client.list_workflows(query, limit=SAMPLE)]


@asynccontextmanager
async def temporal() -> AsyncIterator[EmbeddedTemporal]:
    """The server as `make up` starts it, on a database file of its own."""
    async with served.folder() as folder:
        server = EmbeddedTemporal(folder / "temporal.log", free_port(), database=folder / "temporal.db")
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


async def connect(server: EmbeddedTemporal) -> Client:
    return await Client.connect(server.address, namespace=server.namespace, grpc_compression=GrpcCompression.NONE)


@asynccontextmanager
async def workers(database: Database, server: EmbeddedTemporal) -> AsyncIterator[tuple[int, int]]:
    """The product's worker and the skeleton's, each a process of its own; their pids."""
    async with served.folder() as logs:
        settings = served.settings_for(database, logs, temporal_address=server.address)
        async with (
            served.running(children.worker(settings, logs)) as ours,
            served.running(_skeleton_worker(server, logs)) as bare,
        ):
            assert ours.process is not None  # both answer
            assert bare.process is not None
            yield ours.process.pid, bare.process.pid


def _skeleton_worker(server: EmbeddedTemporal, logs: Path) -> Child:
    log = logs / "skeleton.log"
    words = [sys.executable, "-m", "bench.skeleton_worker", server.address, server.namespace]

    async def launch() -> asyncio.subprocess.Process:
        return await spawn(words, log=log, env=base_environment(), cwd=ROOT)

    child = Child("skeleton worker", log, launch)
    pollers = Pollers(server.address, server.namespace, QUEUE)

    async def polls() -> bool:
        return child.process is not None and await pollers.include(child.process.pid)

    child.answers = polls
    return child


async def collected(server_url: str, *, seconds: float, under_way: int = UNDER_WAY, times: int = RUNS) -> list[Row]:
    """S7 and S7.events; one after the other, so that both meet the same machine."""
    ours: list[Driven] = []
    theirs: list[Driven] = []
    async with (
        place.database(server_url, "journeys") as database,
        temporal() as server,
        workers(database, server) as (worker, skeleton_worker),
        entrance(database) as put,
    ):
        client = await connect(server)
        assert server.process is not None  # it answers
        own = {"Temporal": server.process.pid, "PostgreSQL": await postmaster(database)}
        cost = Costs({**own, "worker and relay": worker, "intake and facts": os.getpid()})
        bare_cost = Costs({"Temporal": server.process.pid, "worker": skeleton_worker, "client": os.getpid()})
        for run in range(times):
            with bare_cost:
                theirs.append(await drive(client, Skeletons(client, f"s{run}"), seconds=seconds, under_way=under_way))
            with cost:
                ours.append(
                    await drive(client, Collected(database, put, f"j{run}"), seconds=seconds, under_way=under_way)
                )
        lengths = await events_each(client, "bopis")
    note = (
        f"{under_way} under way; ms of processor an order: {cost.each_ms(sum(one.journeys for one in ours))}; of a"
        f" skeleton: {bare_cost.each_ms(sum(one.journeys for one in theirs))}"
    )
    limit = statistics.median(one.per_s for one in theirs)
    most = [float(length) for length in lengths]
    work = "orders from intake to collected, workflow ended"
    return [
        row("S7", work, [one.per_s for one in ours], "orders/s", limit, note),
        row("S7.events", "Temporal events of a collected order", most, "events", MOST_EVENTS, f"most {max(lengths)}"),
    ]
