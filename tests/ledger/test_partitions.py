"""Movements of a month lie in a partition of their own that was made before the month began."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.engine import Database
from ledger.partitions import MONTHS_AHEAD, make_ahead
from tests.conftest import Database as OneDatabase

BOUNDS = r"""
    SELECT (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz,
           (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'movement'::regclass AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' ORDER BY 1
"""
INSERT = (
    "INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity, cause,"
    " actor, at, recorded_at) VALUES ('received', 'TEA-1', 1, 'S1', 'supplier', 'S1', 'available', 'DE01', 'test',"
    " 'test', :at, :at) RETURNING tableoid::regclass::text"
)


@pytest.fixture
async def opened(database: OneDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url)
    yield opened
    await opened.dispose()


async def bounds(database: Database) -> list[tuple[datetime, datetime]]:
    async with database.read() as conn:
        return [(row[0].astimezone(UTC), row[1].astimezone(UTC)) for row in await conn.execute(text(BOUNDS))]


async def put(database: Database, at: datetime) -> str:
    """Record a movement at an instant; returns the partition that took it."""
    async with database.engine.begin() as conn:
        return str((await conn.execute(text(INSERT), {"at": at})).scalar_one())


async def end(database: Database) -> datetime:
    return (await bounds(database))[-1][1]


class TestAhead:
    async def test_before_and_after_a_turn_of_the_month_the_next_three_are_there(self, opened: Database) -> None:
        midnight = await end(opened)
        await make_ahead(opened, midnight - timedelta(microseconds=1))
        assert len([one for one in await bounds(opened) if one[0] >= midnight]) == MONTHS_AHEAD
        assert await make_ahead(opened, midnight) == 1
        assert await make_ahead(opened, midnight + timedelta(days=20)) == 0

    async def test_years_of_turns_leave_no_gap_and_each_begins_a_month_of_utc(self, opened: Database) -> None:
        now = await end(opened)
        for _ in range(26):  # over two turns of the year and a February
            await make_ahead(opened, now)
            now += timedelta(days=30)
        made = await bounds(opened)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(made))
        assert {(one.day, one.hour) for pair in made for one in pair} == {(1, 0)}
        assert len({(one[0].year, one[0].month) for one in made}) == len(made)

    async def test_the_last_instant_and_the_first_go_to_their_months_and_not_to_the_default(
        self, opened: Database
    ) -> None:
        midnight = await end(opened)
        await make_ahead(opened, midnight)
        after = await put(opened, midnight)
        before = await put(opened, midnight - timedelta(microseconds=1))
        assert (after, before) == (f"movement_{midnight:%Y%m}", f"movement_{midnight - timedelta(days=1):%Y%m}")

    async def test_a_month_that_was_made_ahead_is_append_only_and_indexed_as_the_others(self, opened: Database) -> None:
        midnight = await end(opened)
        await make_ahead(opened, midnight)
        name = await put(opened, midnight)
        with pytest.raises(DBAPIError, match="append-only"):
            async with opened.engine.begin() as conn:
                await conn.execute(text(f"UPDATE {name} SET quantity = 2"))  # noqa: S608  a partition of ours
        async with opened.read() as conn:
            counts = await conn.execute(
                text("SELECT tablename, count(*) FROM pg_indexes WHERE tablename LIKE 'movement%' GROUP BY 1")
            )
            assert len({row.count for row in counts}) == 1

    async def test_two_workers_at_once_make_each_once(self, opened: Database) -> None:
        now = await end(opened)
        await make_ahead(opened, now)
        made = await asyncio.gather(*(make_ahead(opened, now + timedelta(days=40)) for _ in range(4)))
        assert sorted(made) == [0, 0, 0, 1]


class TestLate:
    async def test_a_month_that_nobody_made_stays_in_the_default_and_the_next_are_made(self, opened: Database) -> None:
        late = await end(opened) + timedelta(days=10)
        assert await put(opened, late) == "movement_default"
        assert await make_ahead(opened, late) == MONTHS_AHEAD
        async with opened.read() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM movement"))).scalar_one() == 1
        assert await put(opened, late + timedelta(days=1)) == "movement_default"
        assert await put(opened, late + timedelta(days=31)) != "movement_default"

    async def test_a_table_that_is_in_use_is_not_waited_for_long_and_nothing_is_made(self, opened: Database) -> None:
        now = await end(opened)
        before = await bounds(opened)
        async with opened.engine.begin() as reader:
            await reader.execute(text("LOCK TABLE movement_default IN ACCESS SHARE MODE"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                await make_ahead(opened, now)
        assert await bounds(opened) == before
        assert await make_ahead(opened, now) > 0

    async def test_a_database_made_in_another_time_zone_goes_on_without_a_gap(self, opened: Database) -> None:
        async with opened.engine.begin() as conn:
            for (name,) in await conn.execute(
                text(
                    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'movement'::regclass"
                    " AND inhrelid::regclass::text <> 'movement_default'"
                )
            ):
                await conn.execute(text(f"DROP TABLE {name}"))
            await conn.execute(text("SET LOCAL TIME ZONE 'Europe/Berlin'"))
            await conn.execute(text("SELECT movement_partition('2027-01-01')"))
        assert await make_ahead(opened, datetime(2027, 1, 31, 23, 30, tzinfo=UTC)) == MONTHS_AHEAD
        made = await bounds(opened)
        assert made[0][1] == datetime(2027, 1, 31, 23, tzinfo=UTC)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(made))
        assert await put(opened, datetime(2027, 1, 31, 23, 30, tzinfo=UTC)) == "movement_202702"
