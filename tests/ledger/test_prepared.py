"""Prepared queries: the driver's own rows, in the transaction of whoever asks, and refusals as everywhere else."""

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import ARRAY, Integer, Text, any_, bindparam, func, select, text
from sqlalchemy.exc import DBAPIError

from domain.errors import UnknownLocation
from ledger import reference
from ledger.engine import Database
from ledger.outages import is_outage, sqlstate
from ledger.prepared import Prepared, Several, ahead, along, as_dict
from ledger.tables import item, policy_document
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


async def test_an_array_within_a_row_is_refused_and_alone_it_is_read(shop: Shop) -> None:
    prices = select(func.array_agg(item.c.price_minor).label("prices"))
    with pytest.raises(ValueError, match="prices"):
        Several({"all": prices})
    made = Prepared(prices, once=True)
    async with shop.database.read() as conn:
        with pytest.raises(ValueError, match="prices"):
            await ahead(conn, made.of())
        assert len(await made.value(conn)) > 0


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


SEVERAL = Several(
    {
        "items": select(item.c.sku, item.c.price_minor).where(item.c.sku == bindparam("sku")).order_by(item.c.sku),
        "others": select(item.c.sku.label("other")).where(item.c.sku != bindparam("sku")).order_by(item.c.sku.desc()),
        "documents": select(policy_document.c.body, policy_document.c.effective_from).where(
            policy_document.c.version == bindparam("version", type_=Text)
        ),
    }
)
PRICE = select(item.c.price_minor).where(item.c.sku == bindparam("sku", type_=Text))
PRICE_ONCE = Prepared(PRICE, once=True)


async def test_several_lists_are_one_statement_each_in_its_own_order_with_its_types(shop: Shop) -> None:
    since = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    keep = "INSERT INTO policy_document (version, effective_from, body) VALUES ('v-17', :since, CAST(:body AS jsonb))"
    await shop.change(keep, since=since, body='{"bopis": {"a": [1]}}')
    price = await shop.value("SELECT price_minor FROM item WHERE sku = :sku", sku=TEA)
    sent: list[str] = []
    with shop.database.heard(lambda statement, _: sent.append(statement)):
        async with shop.database.read() as conn:
            found = await SEVERAL.lists(conn, {"sku": TEA}, version="v-17")
            none = await SEVERAL.lists(conn, {"sku": "no such"}, version="no such")
    assert len(sent) == 2
    assert found["items"] == [{"sku": TEA, "price_minor": price}]
    others = [row["other"] for row in found["others"]]
    assert others == sorted(others, reverse=True)
    assert found["documents"] == [{"body": {"bopis": {"a": [1]}}, "effective_from": since}]
    assert (none["items"], none["documents"]) == ([], [])


async def test_what_is_asked_once_is_not_asked_again_in_one_read_and_is_in_the_next(shop: Shop) -> None:
    sent: list[str] = []
    with shop.database.heard(lambda statement, _: sent.append(statement)):
        async with shop.database.read() as conn:
            before = await PRICE_ONCE.value(conn, sku=TEA)
            await shop.change("UPDATE item SET price_minor = price_minor + 1 WHERE sku = :sku", sku=TEA)
            assert await PRICE_ONCE.value(conn, sku=TEA) == before
            assert await PRICE_ONCE.value(conn, sku="another") is None
        async with shop.database.read() as conn:
            assert await PRICE_ONCE.value(conn, sku=TEA) == before + 1
    assert len([one for one in sent if one.startswith("SELECT item.price_minor")]) == 3


async def test_rows_that_were_asked_once_are_a_list_of_whoever_asks(shop: Shop) -> None:
    async with shop.database.read() as conn:
        (await PRICE_ONCE.rows(conn, sku=TEA)).clear()
        assert len(await PRICE_ONCE.rows(conn, sku=TEA)) == 1


async def test_a_transaction_that_writes_asks_every_time(shop: Shop) -> None:
    async with shop.database.engine.connect() as conn:
        before = await PRICE_ONCE.value(conn, sku=TEA)
        await conn.execute(text("UPDATE item SET price_minor = price_minor + 1 WHERE sku = :sku"), {"sku": TEA})
        assert await PRICE_ONCE.value(conn, sku=TEA) == before + 1
        await conn.rollback()


async def test_a_read_that_fails_remembers_nothing_for_the_next(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        async with database.read() as conn:
            before = await PRICE_ONCE.value(conn, sku=TEA)
            with pytest.raises(DBAPIError):
                await DIVIDED.value(conn, by=0)
        await shop.change("UPDATE item SET price_minor = price_minor + 1 WHERE sku = :sku", sku=TEA)
        async with database.read() as conn:
            assert await PRICE_ONCE.value(conn, sku=TEA) == before + 1
    finally:
        await database.dispose()


THIS = (item.c.sku == bindparam("sku", type_=Text)).label("this")
NAMES = Prepared(
    select(item.c.sku, item.c.name)
    .where(item.c.sku == any_(bindparam("skus", type_=ARRAY(Text))))
    .order_by(item.c.sku),
    once=True,
)
BOTH = Several(
    {"price": PRICE, "same": select(item.c.sku).where(item.c.sku == bindparam("sku", type_=Text))}, once=True
)


async def test_what_is_asked_ahead_is_one_statement_and_found_where_it_is_asked_for(shop: Shop) -> None:
    async with shop.database.read() as conn:
        alone = await NAMES.rows(conn, skus=[TEA, "none"]), await PRICE_ONCE.rows(conn, sku=TEA)
        lists = await BOTH.lists(conn, sku=TEA)
    sent: list[str] = []
    with shop.database.heard(lambda statement, _: sent.append(statement)):
        async with shop.database.read() as conn:
            asks = NAMES.of(skus=[TEA, "none"]), PRICE_ONCE.of(sku=TEA), PRICE_ONCE.of(sku="none"), BOTH.of(sku=TEA)
            await ahead(conn, *asks, *asks)
            await ahead(conn, *asks)
            found = await NAMES.rows(conn, skus=[TEA, "none"]), await PRICE_ONCE.rows(conn, sku=TEA)
            assert await PRICE_ONCE.row(conn, sku="none") is None
            assert await BOTH.lists(conn, sku=TEA) == lists
            assert len(sent) == 1
            assert await NAMES.value(conn, skus=[TEA]) == TEA  # other values: it is asked for
    assert len(sent) == 2
    assert [[tuple(row) for row in rows] for rows in found] == [[tuple(row) for row in rows] for rows in alone]
    assert [[dict(row) for row in rows] for rows in found] == [[dict(row) for row in rows] for rows in alone]
    assert [[as_dict(row) for row in rows] for rows in found] == [[as_dict(row) for row in rows] for rows in alone]
    assert (found[0][0]["name"], found[0][0][1]) == (alone[0][0]["name"], alone[0][0][1])
    with pytest.raises(KeyError, match="no_such"):
        found[0][0]["no_such"]


async def test_what_goes_along_is_asked_with_the_next_question_whoever_asks_it(shop: Shop) -> None:
    sent: list[str] = []
    with shop.database.heard(lambda statement, _: sent.append(statement)):
        async with shop.database.read() as conn:
            along(conn, NAMES.of(skus=[TEA]), PRICE_ONCE.of(sku="none"))
            assert sent == []
            await ahead(conn, PRICE_ONCE.of(sku=TEA))
            assert await NAMES.value(conn, skus=[TEA]) == TEA
            assert await PRICE_ONCE.row(conn, sku="none") is None
            assert await PRICE_ONCE.value(conn, sku=TEA) > 0
            await ahead(conn)
    assert len(sent) == 1


async def test_what_nobody_has_taken_along_is_asked_when_it_is_wanted_or_by_the_last(shop: Shop) -> None:
    sent: list[str] = []
    with shop.database.heard(lambda statement, _: sent.append(statement)):
        async with shop.database.read() as conn:
            along(conn, NAMES.of(skus=[TEA]))
            assert await NAMES.value(conn, skus=[TEA]) == TEA
            await ahead(conn)  # it is known by now
            assert len(sent) == 1
            along(conn, PRICE_ONCE.of(sku=TEA), PRICE_ONCE.of(sku="none"))
            await ahead(conn)
            assert await PRICE_ONCE.row(conn, sku="none") is None
        assert len(sent) == 2
        async with shop.database.read() as conn:
            along(conn, NAMES.of(skus=[TEA]))
        async with shop.database.read() as conn:
            await ahead(conn)  # of the read before nothing is left
    assert len(sent) == 2


async def test_a_transaction_that_writes_takes_nothing_along(shop: Shop) -> None:
    async with shop.database.engine.connect() as conn:
        along(conn, PRICE_ONCE.of(sku=TEA))
        assert await PRICE_ONCE.value(conn, sku=TEA) > 0


async def test_what_is_said_of_a_place_is_the_same_ahead_and_alone(shop: Shop) -> None:
    await shop.change("INSERT INTO opening_hours VALUES ('S1', 0, '08:00', '20:00'), ('S1', 2, '09:00', '12:00')")
    await shop.change("INSERT INTO closed_day (location, day) VALUES ('S1', '2026-12-25')")
    await shop.change(
        "INSERT INTO location_status (location, status, starts_at, ends_at, reason, cause)"
        " VALUES ('S1', 'closed', now() + interval '2 days', NULL, 'flood', 'b')"
    )
    async with shop.database.read() as conn:
        alone = (
            await reference.place(conn, "S1"),
            await reference.policy_at(conn, await reference.place(conn, "S1"), None),
        )
    async with shop.database.read() as conn:
        scope = reference.Scope(alone[0].code, alone[0].region, alone[0].entity)
        await ahead(conn, reference.place_asked("S1"), reference.place_asked("none"), reference.policies_asked([scope]))
        assert (await reference.place(conn, "S1"), await reference.policy_at(conn, alone[0], None)) == alone
        with pytest.raises(UnknownLocation):
            await reference.place(conn, "none")
    assert (len(alone[0].hours.weekdays), len(alone[0].hours.closed_days), len(alone[0].periods)) == (2, 1, 1)


async def test_the_longest_statement_of_a_page_stays_prepared(shop: Shop) -> None:
    several = [Prepared(select(THIS, (item.c.price_minor + at).label("more")), once=True) for at in range(150)]
    kept = Prepared(text("SELECT count(*) FROM pg_prepared_statements WHERE length(statement) > 15 * 1024"))
    async with shop.database.read() as conn:
        await ahead(conn, *(one.of(sku=TEA) for one in several))
        assert await kept.value(conn) > 0


async def test_a_transaction_that_writes_asks_nothing_ahead(shop: Shop) -> None:
    sent: list[str] = []
    async with shop.database.engine.connect() as conn:
        with shop.database.heard(lambda statement, _: sent.append(statement)):
            await ahead(conn, PRICE_ONCE.of(sku=TEA))
            assert sent == []
            assert await PRICE_ONCE.value(conn, sku=TEA) > 0


async def test_what_would_not_be_found_again_is_not_asked_ahead(shop: Shop) -> None:
    async with shop.database.read() as conn:
        for ask in (ITEMS.of(skus=[TEA]), Prepared(text("SELECT 1"), once=True).of()):
            with pytest.raises(ValueError, match="once"):
                await ahead(conn, ask)
        await ahead(conn)


async def test_a_failure_of_what_is_asked_ahead_is_one_of_the_database(shop: Shop) -> None:
    divided = Prepared(select((1 / bindparam("by", type_=Integer)).label("part")), once=True)
    with pytest.raises(DBAPIError) as told:
        async with shop.database.read() as conn:
            await ahead(conn, divided.of(by=0), PRICE_ONCE.of(sku=TEA))
    assert sqlstate(told.value) == "22012"
