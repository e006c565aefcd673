"""Connections that reads hand on: the same one while it is warm, never one that is gone, and none that others lack."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import engine, warm
from ledger.alive import TRUSTED_S
from ledger.engine import Database
from ledger.prepared import Prepared
from tests.shop import Shop

PID = Prepared(text("SELECT pg_backend_pid()"))
WRONG = Prepared(text("SELECT 1 / CAST(:by AS int)"))
ENDED = "SELECT pg_terminate_backend(:pid, 90000)"  # waits until it has ended
MOST = 2


@pytest.fixture
async def reading(shop: Shop) -> AsyncIterator[Database]:
    made = Database(shop.database.url, pool_size=2 * MOST)
    yield made
    await made.dispose()


async def read(database: Database) -> Any:
    async with database.read() as conn:
        return await PID.value(conn)


async def taken(database: Database) -> int:
    """Connections that the pool does not have, once those that were left are where they go."""
    await database._warm.arrived()
    return int(database.engine.sync_engine.pool.checkedout())  # type: ignore[attr-defined]


async def hold(database: Database, number: int) -> list[Any]:
    """So many reads at the same time; the connection of each."""
    all_here = asyncio.Barrier(number)

    async def one() -> Any:
        async with database.read() as conn:
            pid = await PID.value(conn)
            await all_here.wait()
            return pid

    return await asyncio.gather(*(one() for _ in range(number)))


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read waits for the end of the one before it, however long a busy machine takes for that."""
    monkeypatch.setattr(warm, "MOMENT_S", 60.0)


@pytest.mark.usefixtures("unhurried")
class TestHandedOn:
    async def test_a_read_uses_what_the_one_before_has_left_without_asking_the_pool(self, reading: Database) -> None:
        first = await reading.alone(PID.value)
        assert await taken(reading) == 1
        assert [await read(reading), await reading.alone(PID.value), await read(reading)] == [first] * 3
        assert await taken(reading) == 1

    async def test_each_of_two_reads_at_a_time_has_its_own(self, reading: Database) -> None:
        assert len(set(await hold(reading, MOST))) == MOST
        assert await taken(reading) == MOST

    async def test_more_than_are_kept_go_back_to_the_pool(self, reading: Database) -> None:
        assert len(set(await hold(reading, MOST + 2))) == MOST + 2
        assert await taken(reading) == MOST

    async def test_one_that_has_rested_goes_back_to_the_pool_which_asks_whether_it_stands(
        self, reading: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [100.0]
        monkeypatch.setattr(warm, "monotonic", lambda: now[0])
        first = await read(reading)
        assert await taken(reading) == 1
        back: list[AsyncConnection] = []
        close = AsyncConnection.close

        async def seen(conn: AsyncConnection) -> None:
            back.append(conn)
            await close(conn)

        monkeypatch.setattr(AsyncConnection, "close", seen)
        now[0] += TRUSTED_S / 2
        assert (await read(reading), back) == (first, [])
        assert await taken(reading) == 1
        now[0] += TRUSTED_S
        assert await read(reading) == first
        assert len(back) == 1


class TestLeaving:
    async def test_whoever_has_read_does_not_wait_for_the_end_of_it(
        self, reading: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        may_end = hold_ends_back(monkeypatch)
        first = await read(reading)
        second = await read(reading)  # which waits a moment for the first, and then takes another
        assert second != first
        may_end.set()
        assert await taken(reading) == MOST
        assert {await read(reading), await read(reading)} <= {first, second}

    async def test_none_rests_while_somebody_waits_for_one_of_the_pool(self, reading: Database) -> None:
        everybody = 4 * MOST  # as many as there are connections
        all_here, may_go = asyncio.Barrier(everybody + 1), [asyncio.Event() for _ in range(everybody)]

        async def one(goes: asyncio.Event) -> None:
            async with reading.read():
                await all_here.wait()
                await goes.wait()

        holding = [asyncio.create_task(one(goes)) for goes in may_go]
        await all_here.wait()
        waiting = asyncio.create_task(read(reading))
        await asyncio.sleep(0)  # it runs until it waits
        may_go[0].set()
        assert await waiting > 0
        for goes in may_go:
            goes.set()
        await asyncio.gather(*holding)
        assert await taken(reading) == MOST

    async def test_one_that_comes_after_all_were_given_back_is_given_back_too(
        self, reading: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        may_end = hold_ends_back(monkeypatch)
        await read(reading)
        await reading.let_one_go()
        may_end.set()
        assert await taken(reading) == 0

    async def test_a_database_is_closed_when_the_last_has_come(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = Database(shop.database.url, pool_size=2 * MOST)
        may_end = hold_ends_back(monkeypatch)
        await read(made)
        closing = asyncio.create_task(made.dispose())
        done, _ = await asyncio.wait([closing], timeout=0.05)
        assert not done
        may_end.set()
        await closing
        assert await taken(made) == 0

    async def test_one_that_never_comes_does_not_keep_a_process_from_ending(
        self, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(warm, "LAST_S", 0.05)
        made = Database(shop.database.url, pool_size=2 * MOST)
        may_end = hold_ends_back(monkeypatch)
        await read(made)
        await made.dispose()
        may_end.set()
        await made._warm.arrived()

    async def test_one_whose_end_fails_is_closed_and_the_next_reader_has_another(
        self, reading: Database, shop: Shop
    ) -> None:
        async with reading.read() as conn:
            pid = await PID.value(conn)
            await shop.change(ENDED, pid=pid)
        assert await read(reading) != pid


def hold_ends_back(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """No transaction of a read ends before the event is set."""
    may_end, leave = asyncio.Event(), engine._leave

    async def late(driver: Any) -> None:
        await may_end.wait()
        await leave(driver)

    monkeypatch.setattr(engine, "_leave", late)
    return may_end


@pytest.mark.usefixtures("unhurried")
class TestLost:
    async def test_what_the_server_has_ended_is_nobodys_and_the_others_are_not_trusted(
        self, reading: Database, shop: Shop
    ) -> None:
        for pid in await hold(reading, MOST):
            await shop.change(ENDED, pid=pid)
        assert await read(reading) > 0
        assert await reading.alone(PID.value) > 0
        assert await taken(reading) == 1

    async def test_a_statement_that_fails_costs_nobody_the_connection(self, reading: Database) -> None:
        first = await read(reading)
        with pytest.raises(DBAPIError, match="division by zero"):
            await reading.alone(lambda conn: WRONG.value(conn, by=0))
        with pytest.raises(DBAPIError, match="division by zero"):
            async with reading.read() as conn:
                await WRONG.value(conn, by=0)
        assert await read(reading) == first

    async def test_a_read_that_is_given_up_leaves_no_transaction(self, reading: Database) -> None:
        asked = asyncio.Event()

        async def waiting() -> None:
            async with reading.read() as conn:
                await PID.value(conn)
                asked.set()
                await asyncio.Event().wait()

        given_up = asyncio.create_task(waiting())
        await asked.wait()
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        async with reading.read() as conn:
            assert await PID.value(conn) > 0
        assert not (await reading.alone(_driver)).is_in_transaction()


async def _driver(conn: AsyncConnection) -> Any:
    await PID.value(conn)
    return conn.info["driver"]


class TestOthers:
    async def test_what_sqlalchemy_has_begun_is_over_before_the_next_read(self, reading: Database) -> None:
        async with reading.read() as conn:
            await conn.execute(text("SELECT 1"))
            assert conn.in_transaction()
        async with reading.read() as conn:
            assert not conn.in_transaction()

    async def test_writers_have_what_is_left_and_a_lane_the_one_that_is_let_go(self, reading: Database) -> None:
        pids = await hold(reading, MOST)
        async with reading.engine.begin() as conn:
            assert (await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one() not in pids
        assert await reading.let_one_go()
        assert await taken(reading) == 0

    async def test_none_is_kept_where_there_are_few(self, shop: Shop) -> None:
        small = Database(shop.database.url, pool_size=1)
        try:
            assert await read(small) > 0
            assert await taken(small) == 0
        finally:
            await small.dispose()

    async def test_all_are_closed_with_the_database(self, shop: Shop) -> None:
        made = Database(shop.database.url, pool_size=2 * MOST, application="warm-and-gone")
        await hold(made, MOST)
        await made.dispose()
        assert await taken(made) == 0
