"""The server of PostgreSQL itself is short of connections, ends every session, or is replaced by its standby: callers
are told to come again, and what was acknowledged is there once.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from embedded.postgres import EmbeddedPostgres
from ledger.engine import Database
from tests.faults.proxy import proxy_to
from tests.faults.servers import (
    NAME,
    Orders,
    bring_forward,
    copy_of,
    open_shop,
    own_server,
    recorded,
    standby_of,
    tell,
    through,
)
from tests.ledger.support.books import assert_books_agree
from tests.web.conftest import open_app, open_clients, settings_for
from web.keys import Limits

pytestmark = pytest.mark.slow
CALLERS = 6
CONNECTIONS = 30
ENDED = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'shop'"
LEFT_OPEN = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND state LIKE 'idle in %'"


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[EmbeddedPostgres]:
    async with own_server(max_connections=CONNECTIONS) as made:
        await open_shop(made)
        yield made


@pytest.fixture
async def app(server: EmbeddedPostgres) -> AsyncIterator[FastAPI]:
    async with open_app(settings_for(server.url(NAME))) as made:
        made.state.limits = Limits(1_000_000)
        yield made


async def agreed(url: str, orders: Orders) -> None:
    """Each order once, stock and books agree; the orders of earlier tests are there as well."""
    database = Database(url)
    assert orders.taken <= await recorded(database)
    assert orders.put_off & await recorded(database) == set()
    await assert_books_agree(database)
    await database.dispose()


@asynccontextmanager
async def all_taken(url: str) -> AsyncIterator[list[asyncpg.Connection[Any]]]:
    """Every connection that the server had left, for as long as the block runs or until it closes them."""
    taken: list[asyncpg.Connection[Any]] = []
    try:
        with suppress(asyncpg.TooManyConnectionsError):
            while len(taken) <= CONNECTIONS:
                taken.append(await asyncpg.connect(url))
        assert len(taken) <= CONNECTIONS, "the server has no limit"
        yield taken
    finally:
        for one in taken:
            await one.close()


class TestConnections:
    async def test_without_one_left_everything_is_told_to_come_again_and_nothing_is_half_done(
        self, server: EmbeddedPostgres, app: FastAPI, eventually: Callable[..., Any]
    ) -> None:
        async with all_taken(server.url("postgres")) as others, open_clients(app) as as_key:
            orders = Orders(as_key("web"))
            assert not any(await asyncio.gather(*(orders.place(f"W-none-{number}") for number in range(8))))
            listed = await orders.web.get("/api/v1/stock")
            assert (listed.status_code, listed.json()["code"]) == (503, "unavailable")
            ready = await as_key("").get("/readyz")
            assert (ready.status_code, (await as_key("").get("/healthz")).status_code) == (503, 200)
            several = {"orders": [{"order_id": "W-none-9"}]}
            assert (await orders.web.post("/api/v1/bopis-orders:batch", json=several)).status_code == 503
            for one in others:
                await one.close()
            await orders.place_again(eventually)
        assert len(orders.taken) == 8
        await agreed(server.url(NAME), orders)

    async def test_with_a_few_left_requests_take_turns_or_come_again(
        self, server: EmbeddedPostgres, app: FastAPI, eventually: Callable[..., Any]
    ) -> None:
        async with all_taken(server.url("postgres")) as others:
            for one in others[:5]:
                await one.close()
            async with open_clients(app) as as_key:
                orders = Orders(as_key("web"))
                placing = [orders.place(f"W-few-{number}") for number in range(40)]
                reading = [orders.web.get("/api/v1/stock") for _ in range(40)]
                answers = (await asyncio.gather(asyncio.gather(*placing), asyncio.gather(*reading)))[1]
                assert {answer.status_code for answer in answers} <= {200, 503}
                await orders.place_again(eventually)
        assert len(orders.taken) == 40
        await agreed(server.url(NAME), orders)


class TestSessions:
    async def test_every_session_is_ended_again_and_again_while_orders_come(
        self, server: EmbeddedPostgres, app: FastAPI, eventually: Callable[..., Any]
    ) -> None:
        async with open_clients(app) as as_key:
            orders, stop = Orders(as_key("web")), asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for number in range(CALLERS):
                    group.create_task(orders.keep_placing(f"ended-{number}", stop))
                for _ in range(8):
                    so_far = len(orders.taken)
                    await eventually(lambda so_far=so_far: len(orders.taken) >= so_far + 2 * CALLERS)
                    assert await tell(server, ENDED)
                stop.set()
            await orders.place_again(eventually)

            async def none_left_open() -> bool:
                return await tell(server, LEFT_OPEN) == 0

            await eventually(none_left_open)
        await agreed(server.url(NAME), orders)


class TestStandby:
    async def test_it_reads_until_it_is_promoted_and_then_has_all_that_was_acknowledged(
        self, eventually: Callable[..., Any]
    ) -> None:
        async with (
            own_server() as server,
            standby_of(server) as standby,
            proxy_to("127.0.0.1", server.port) as proxy,
        ):
            url = through(await open_shop(server), proxy.address)
            async with open_app(settings_for(url)) as app, open_clients(app) as as_key:
                app.state.limits = Limits(1_000_000)
                orders, stop = Orders(as_key("web")), asyncio.Event()
                async with asyncio.TaskGroup() as group:
                    for number in range(CALLERS):
                        group.create_task(orders.keep_placing(f"over-{number}", stop))
                    await eventually(lambda: len(orders.taken) >= 4 * CALLERS)
                    assert server.process is not None
                    server.process.send_signal(signal.SIGQUIT)  # its immediate stop: sessions are cut where they are
                    await server.process.wait()
                    await eventually(lambda: len(orders.put_off) > 0)
                    proxy.target = "127.0.0.1", standby.port
                    proxy.cut()
                    await self.only_reads(orders.web, eventually)
                    await tell(standby, "SELECT pg_promote()")
                    so_far = len(orders.taken)
                    await eventually(lambda: len(orders.taken) >= so_far + 2 * CALLERS)
                    stop.set()
                await orders.place_again(eventually)
            await agreed(standby.url(NAME), orders)

    async def only_reads(self, web: httpx2.AsyncClient, eventually: Callable[..., Any]) -> None:
        """A standby answers who reads; who writes is told to come again (SQLSTATE 25006)."""

        async def reads() -> bool:
            return (await web.get("/api/v1/stock")).status_code == 200

        await eventually(reads)
        event = {"id": "over", "type": "stock.received", "occurred_at": "2026-03-02T08:00:00Z"}
        data = {"location": "S1", "document": "d", "lines": [{"sku": "APPLE", "quantity": 1}]}
        told = await web.post("/api/v1/events", json={"events": [event | {"data": data}]})
        assert (told.status_code, told.json()["code"]) == (503, "unavailable")
        ready = await web.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["storage"]["status"]) == (503, "fail")


class TestBackup:
    async def test_a_copy_is_brought_forward_to_an_instant_and_goes_on_from_there(
        self, eventually: Callable[..., Any]
    ) -> None:
        async with own_server() as server:
            url = await open_shop(server)
            async with copy_of(server) as copy:
                async with open_app(settings_for(url)) as app, open_clients(app) as as_key:
                    orders = Orders(as_key("web"))
                    early = {f"W-early-{number}" for number in range(8)}
                    assert all([await orders.place(order_id) for order_id in sorted(early)])
                    until = await tell(server, "SELECT clock_timestamp()")
                    assert isinstance(until, datetime)
                    late = {f"W-late-{number}" for number in range(8)}
                    assert all([await orders.place(order_id) for order_id in sorted(late)])
                assert server.process is not None
                server.process.kill()
                await server.process.wait()
                await bring_forward(copy, server, until)

                async def is_there() -> bool:
                    return await tell(copy, "SELECT NOT pg_is_in_recovery()") is True

                await eventually(is_there)
                there = Database(copy.url(NAME))
                assert await recorded(there) == early
                await assert_books_agree(there)
                async with open_app(settings_for(copy.url(NAME))) as app, open_clients(app) as as_key:
                    again = Orders(as_key("web"))
                    assert all([await again.place(order_id) for order_id in sorted(early | late)])
                assert await recorded(there) == early | late
                await assert_books_agree(there)
                await there.dispose()
