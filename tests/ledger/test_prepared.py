"""Prepared queries: the driver's own rows, in the transaction of whoever asks, and refusals as everywhere else."""

import asyncio

import pytest
from sqlalchemy import ARRAY, Text, any_, bindparam, select, text
from sqlalchemy.exc import DBAPIError

from ledger.engine import Database
from ledger.outages import is_outage, sqlstate
from ledger.prepared import Prepared
from ledger.tables import item
from tests.shop import TEA, Shop

ITEMS = Prepared(
    select(item.c.sku, item.c.name)
    .where(item.c.sku == any_(bindparam("skus", type_=ARRAY(Text))), item.c.price_minor >= bindparam("least", 0))
    .order_by(item.c.sku)
)
DIVIDED = Prepared(text("SELECT 1 / CAST(:by AS int)"))
PID = Prepared(text("SELECT pg_backend_pid()"))
TRANSACTION = Prepared(text("SELECT txid_current_if_assigned(), current_setting('transaction_isolation')"))


async def test_rows_one_row_and_one_value_come_by_name_and_by_place(shop: Shop) -> None:
    async with shop.database.read() as conn:
        rows = await ITEMS.rows(conn, {"skus": [TEA, "no such"]})
        assert [(row["sku"], row[0]) for row in rows] == [(TEA, TEA)]
        assert await ITEMS.value(conn, skus=[TEA]) == TEA
        assert await ITEMS.row(conn, skus=[]) is None
        assert await ITEMS.value(conn, skus=[]) is None


async def test_a_value_that_is_given_counts_before_the_one_it_was_built_with(shop: Shop) -> None:
    async with shop.database.read() as conn:
        assert await ITEMS.rows(conn, skus=[TEA], least=1_000_000, another="is left out") == []


async def test_a_value_that_is_missing_is_named(shop: Shop) -> None:
    async with shop.database.read() as conn:
        with pytest.raises(KeyError, match="skus"):
            await ITEMS.rows(conn)


def test_a_query_whose_words_change_with_its_lists_is_refused() -> None:
    with pytest.raises(ValueError, match="any_"):
        Prepared(select(item.c.sku).where(item.c.sku.in_(["one", "two"])))


async def test_it_sees_what_its_own_transaction_has_written_and_is_rolled_back_with_it(shop: Shop) -> None:
    async with shop.database.engine.connect() as conn:
        assert await ITEMS.value(conn, skus=["made"]) is None  # the first statement of all begins the transaction
        await conn.execute(text("INSERT INTO item (sku, name, price_minor, cost_minor) VALUES ('made', 'M', 1, 1)"))
        assert await ITEMS.value(conn, skus=["made"]) == "made"
        await conn.rollback()
    async with shop.database.read() as conn:
        assert await ITEMS.value(conn, skus=["made"]) is None


async def test_a_failure_is_one_of_the_database_and_spoils_no_later_read(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        for _ in range(2):
            with pytest.raises(DBAPIError) as told:
                async with database.read() as conn:
                    await DIVIDED.value(conn, by=0)
            assert sqlstate(told.value) == "22012"
            assert not is_outage(told.value)
        async with database.read() as conn:
            assert tuple((await TRANSACTION.rows(conn))[0]) == (None, "repeatable read")
    finally:
        await database.dispose()


async def test_a_lost_connection_is_an_outage_and_the_next_read_has_another(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        async with database.read() as conn:
            lost = await PID.value(conn)
            await shop.change("SELECT pg_terminate_backend(:pid)", pid=lost)
            with pytest.raises(DBAPIError) as told:
                await DIVIDED.value(conn, by=1)
        assert is_outage(told.value)
        async with database.read() as conn:
            assert await PID.value(conn) != lost
    finally:
        await database.dispose()


async def test_a_reader_who_goes_away_leaves_no_transaction_behind(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    asked = asyncio.Event()

    async def look() -> None:
        async with database.read() as conn:
            asked.set()
            await Prepared(text("SELECT pg_sleep(600)")).rows(conn)

    try:
        looking = asyncio.create_task(look())
        await asked.wait()
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        before = await shop.value("SELECT count(*) FROM item")
        async with database.read() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM item"))).scalar_one() == before
        left = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND query LIKE '%pg_sleep%'"
        assert await shop.value(left) == 0
    finally:
        await database.dispose()


async def test_prepared_queries_and_all_others_are_heard_in_their_order(shop: Shop) -> None:
    heard: list[tuple[str, tuple[object, ...]]] = []
    with shop.database.heard(lambda statement, values: heard.append((statement, tuple(values)))):
        async with shop.database.read() as conn:
            await conn.execute(text("SELECT CAST(:n AS int)"), {"n": 7})
            await DIVIDED.value(conn, by=3)
    async with shop.database.read() as conn:
        await DIVIDED.value(conn, by=4)
    assert [values for _, values in heard] == [(7,), (3,)]
