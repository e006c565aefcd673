"""R1: messages that relays carry into Temporal a second, beside the same calls by a client that has nothing else to do.

Orders are placed and told of something once, and all of it becomes due at one moment, so each order costs a start and a
signal. No worker runs: what is measured is the way in.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

import wire
from bench import place, served
from bench.intake import entrance
from bench.journeys import temporal
from bench.rows import Row, row
from domain.ids import journey_id
from domain.messages import Message, Situation, Told
from embedded import children
from embedded.children import Child
from embedded.temporal import EmbeddedTemporal
from ledger.engine import Database
from ledger.transaction import Transaction
from relay import SLOTS
from settings import Settings
from starts import MEMO_ROW

RUNS = 3
ORDERS_A_SECOND = 120  # placed for each second that is asked for
TOLD_TOGETHER = 100
_LOOK_S = 0.05
_PATIENCE_S = 120.0


class Start(NamedTuple):
    """A workflow to start and what to tell it, as a relay reads them."""

    target: str
    situation: Situation
    search: dict[str, str]
    told: Told


async def fill(database: Database, name: str, orders: int) -> list[Start]:
    """Orders with two messages each, of which none is due yet."""
    async with entrance(database) as put:
        await asyncio.gather(*(put(place.order(f"{name}-{n}", place.sku(n % place.SKUS))) for n in range(orders)))
    targets = [journey_id("bopis", place.CALLER.source, f"{name}-{n}") for n in range(orders)]

    async def tell(tx: Transaction, some: Sequence[str]) -> None:
        for target in some:
            tx.tell(target, Message.TIME_SKIPPED)

    for first in range(0, orders, TOLD_TOGETHER):
        some = targets[first : first + TOLD_TOGETHER]
        await database.write(lambda tx, some=some: tell(tx, some), actor="bench", via="bench")  # type: ignore[misc]
    async with database.read() as conn:
        found = (await conn.execute(_READ, {"targets": targets})).all()
    if len(found) != orders:
        raise RuntimeError(f"{len(found)} of {orders} orders have two messages")
    return [
        Start(
            one.target,
            Situation.model_validate(one.start["situation"]),
            one.start["search"],
            Told.model_validate({"seq": 2, **one.told}),
        )
        for one in found
    ]


_READ = text(
    "SELECT s.target, s.payload AS start, t.payload AS told FROM outbox s JOIN outbox t ON t.target = s.target"
    " WHERE s.seq = 1 AND t.seq = 2 AND s.target = ANY(CAST(:targets AS text[])) ORDER BY s.id"
)
_HOLD_BACK = text("ALTER TABLE outbox ALTER COLUMN not_before SET DEFAULT 'infinity'")
_RELEASE = text("UPDATE outbox SET not_before = NULL WHERE not_before = 'infinity'")
_LEFT = text("SELECT count(*) FROM outbox WHERE done_at IS NULL AND target LIKE :named")
_LAST = text("SELECT max(done_at) AS last, count(*) FILTER (WHERE outcome = 'delivered') AS delivered"
             " FROM outbox WHERE target LIKE :named")  # fmt: skip
_LISTENING = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'endcap-relay-listen'"
                  " AND datname = current_database()")  # fmt: skip


async def carried(database: Database, settings: Settings, name: str, *, relays: int, orders: int) -> float:
    """Messages a second by so many relay processes, from when all are due until the last is recorded as delivered."""
    await fill(database, name, orders)
    named = {"named": f"%:{name}-%"}
    async with _running(database, settings, relays):
        async with database.engine.begin() as conn:
            began: datetime = (await conn.execute(text("SELECT clock_timestamp()"))).scalar_one()
            await conn.execute(_RELEASE)
        database.wake_relays()
        async with asyncio.timeout(_PATIENCE_S):
            while await _one(database, _LEFT, **named):  # noqa: ASYNC110  it is another process that we wait for
                await asyncio.sleep(_LOOK_S)
    async with database.read() as conn:
        last, delivered = (await conn.execute(_LAST, named)).one()
    if delivered != 2 * orders:
        raise RuntimeError(f"{delivered} of {2 * orders} messages were delivered")
    return float(delivered / (last - began).total_seconds())


async def _one(database: Database, statement: Any, **values: Any) -> Any:
    async with database.read() as conn:
        return (await conn.execute(statement, values)).scalar_one()


@asynccontextmanager
async def _running(database: Database, settings: Settings, relays: int) -> AsyncIterator[None]:
    """So many relay processes, all of them listening."""
    async with served.folder() as logs, AsyncExitStack() as stack:
        for number in range(1, relays + 1):
            log = logs / f"relay-{number}.log"
            child = Child(f"relay {number}", log, children.command(settings, "relay.py", log=log))

            async def listens(number: int = number) -> bool:
                return bool(await _one(database, _LISTENING) >= number)

            child.answers = listens
            await stack.enter_async_context(served.running(child))
        yield


async def called(client: Client, starts: Sequence[Start], *, in_flight: int) -> float:
    """Calls a second by the bare client: the same starts and signals, so many orders at a time."""
    left = list(reversed(starts))

    async def lane() -> None:
        while left:
            one = left.pop()
            handle = await client.start_workflow(
                "bopis",
                one.situation,
                id=f"{one.target}-bare",
                task_queue="nobody",
                memo={MEMO_ROW: "0"},
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(SearchAttributeKey.for_keyword(f"Endcap{name.capitalize()}"), value)
                        for name, value in one.search.items()
                    ]
                ),
                static_summary=one.target,
            )
            await handle.signal("tell", one.told)

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return 2 * len(starts) / (time.perf_counter() - began)


async def relays(server_url: str, *, seconds: float, orders: int | None = None, times: int = RUNS) -> list[Row]:
    """R1 and R1.2: one relay and two, in turn with the bare client."""
    orders = orders or max(int(ORDERS_A_SECOND * seconds), 20)
    runs: dict[int, list[float]] = {1: [], 2: []}
    bare: dict[int, list[float]] = {1: [], 2: []}
    async with place.database(server_url, "relay") as database, temporal() as server, served.folder() as folder:
        async with database.engine.begin() as conn:
            await conn.execute(_HOLD_BACK)
        settings = served.settings_for(database, folder, temporal_address=server.address)
        client = await _sealed(server, settings)
        for run in range(times):
            for many in (1, 2):
                starts = await fill(database, f"b{run}{many}", orders)
                async with database.engine.begin() as conn:  # only the bare client calls these
                    await conn.execute(text("UPDATE outbox SET done_at = now() WHERE done_at IS NULL"))
                bare[many].append(await called(client, starts, in_flight=many * SLOTS))
                runs[many].append(await carried(database, settings, f"r{run}{many}", relays=many, orders=orders))
    return [
        row(
            "R1" if many == 1 else "R1.2",
            f"starts and signals by {many} relay{'s' if many > 1 else ''}",
            runs[many],
            "messages/s",
            statistics.median(bare[many]),
            f"{orders} orders at once; the same calls by the bare client, {many * SLOTS} in flight",
        )
        for many in (1, 2)
    ]


async def _sealed(server: EmbeddedTemporal, settings: Settings) -> Client:
    """A client that seals payloads as the relay's does."""
    return await wire.connect(
        server.address, namespace=server.namespace, keyring=settings.payload_keyring, identity="bench"
    )
