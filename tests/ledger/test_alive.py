"""A connection that the pool hands out stands: one that is gone is made anew, one used a moment ago is not asked."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger import alive
from ledger.engine import Database
from ledger.outages import is_outage
from ledger.prepared import Prepared
from tests.shop import Shop

PID = Prepared(text("SELECT pg_backend_pid()"))
ISOLATION = Prepared(text("SELECT current_setting('transaction_isolation')"))
DIVIDED = Prepared(text("SELECT 1 / CAST(:by AS int)"))
GOING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* given up */' AND state = 'active'"
ENDED = "SELECT pg_terminate_backend(:pid, 90000)"  # waits until it has ended


async def ask_alone(database: Database) -> Any:
    return await database.alone(PID.value)


async def driver(conn: Any) -> Any:
    await PID.value(conn)
    return conn.info["driver"]


async def read(database: Database) -> Any:
    async with database.read() as conn:
        return await PID.value(conn)


async def test_who_reads_next_notices_nothing_of_a_connection_that_was_lost(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        for ask in (ask_alone, read):
            lost = await ask(database)
            await shop.change(ENDED, pid=lost)
            assert await ask(database) != lost
    finally:
        await database.dispose()


async def test_a_connection_that_is_known_to_be_closed_is_made_anew_for_a_writer(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        lost = await database.alone(driver)
        lost.terminate()
        async with database.engine.begin() as conn:
            assert (await conn.execute(text("SELECT 1"))).scalar_one() == 1
            assert conn.info["driver"] is not lost
    finally:
        await database.dispose()


async def test_one_that_has_rested_is_asked_and_one_just_used_is_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(alive, "monotonic", lambda: now[0])
    database = Database(shop.database.url, pool_size=1)
    asked: list[str] = []
    try:
        own = await database.alone(driver)
        own.add_query_logger(lambda query: asked.append(query.query))
        now[0] += alive.TRUSTED_S / 2
        assert await database.alone(driver) is own
        now[0] += alive.TRUSTED_S
        assert await database.alone(driver) is own
    finally:
        await database.dispose()
    assert asked == ["SELECT pg_backend_pid()", "SELECT 1", "SELECT pg_backend_pid()"]


async def test_one_that_has_rested_and_does_not_answer_is_made_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(alive, "monotonic", lambda: now[0])
    database = Database(shop.database.url, pool_size=1)

    async def cut(_driver: object, _query: str) -> str:
        raise ConnectionResetError("cut")

    try:
        own = await database.alone(driver)
        monkeypatch.setattr(type(own), "execute", cut)
        assert await database.alone(driver) is own  # used a moment ago
        now[0] += alive.TRUSTED_S
        assert await database.alone(driver) is not own
    finally:
        await database.dispose()


async def test_a_server_that_lets_nobody_in_is_an_outage_and_later_reads_are_answered(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(shop.database.url, pool_size=1)

    async def cut(_driver: object, _query: str) -> str:
        raise ConnectionResetError("cut")

    try:
        kind = type(await database.alone(driver))
        with monkeypatch.context() as away:
            away.setattr(kind, "execute", cut)
            with pytest.raises(DBAPIError) as told:
                await read(database)
        assert is_outage(told.value)
        assert await read(database) > 0
    finally:
        await database.dispose()


async def test_a_server_that_does_not_answer_is_waited_for_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(shop.database.url, pool_size=1)
    asked: list[str] = []

    async def silent(_driver: object, query: str) -> str:
        asked.append(query)
        raise TimeoutError

    try:
        kind = type(await database.alone(driver))
        with monkeypatch.context() as away:
            away.setattr(kind, "execute", silent)
            with pytest.raises(TimeoutError):
                await read(database)
        assert len(asked) == 1
        assert await read(database) > 0
    finally:
        await database.dispose()


async def test_what_stands_alone_begins_nothing_and_leaves_nothing_behind(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        assert await database.alone(ISOLATION.value) == "read committed"
        assert not (await database.alone(driver)).is_in_transaction()
        with pytest.raises(DBAPIError, match="division by zero"):
            await database.alone(lambda conn: DIVIDED.value(conn, by=0))
        async with database.engine.begin() as conn:
            assert (await driver(conn)).is_in_transaction()
        async with database.read() as conn:
            assert await ISOLATION.value(conn) == "repeatable read"
    finally:
        await database.dispose()


async def test_connections_that_many_readers_needed_are_kept_for_the_next_many(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=2)
    seen: set[Any] = set()

    async def hold(all_here: asyncio.Barrier) -> None:
        async with database.read() as conn:
            seen.add(await PID.value(conn))
            await all_here.wait()

    try:
        for _ in range(3):
            all_here = asyncio.Barrier(4)
            await asyncio.gather(*(hold(all_here) for _ in range(4)))
    finally:
        await database.dispose()
    assert len(seen) == 4


async def test_what_takes_too_long_is_ended_at_the_server_as_well(shop: Shop, eventually: Callable[..., Any]) -> None:
    """Nobody waits for it any more; left alone, a thousand searches that were given up would go on."""
    database = Database(shop.database.url, pool_size=1, timeout_s=0.2)
    for_ever = text("SELECT pg_sleep(86400) /* given up */")
    try:
        with pytest.raises((DBAPIError, TimeoutError)) as told:
            async with database.read() as conn:
                await conn.execute(for_ever)
        assert is_outage(told.value)
        with pytest.raises((DBAPIError, TimeoutError)):
            await database.alone(Prepared(for_ever).value)
        patient = Database(shop.database.url, pool_size=1)
        gone = await patient.alone(driver)
        asking = asyncio.create_task(gone.execute(str(for_ever)))
        await eventually(partial(shop.value, GOING))
        gone.terminate()  # as of a process that is killed while it asks
        await asyncio.gather(asking, return_exceptions=True)
        await patient.dispose()

        async def none_goes_on() -> bool:
            return bool(await shop.value(GOING) == 0)

        await eventually(none_goes_on)
    finally:
        await database.dispose()
