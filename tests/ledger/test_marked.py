"""Places that a process keeps: as long as nothing in them has changed, and never otherwise than the read sees them."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from domain.people import Person
from ledger.engine import Database
from ledger.reads.places import all_places, visible_places
from tests.shop import ADA, ANA, Shop

READ = "array_agg(location.code"
ANOTHER = (
    "INSERT INTO location (code, name, kind, region, entity)"
    " SELECT 'NEW', 'Brand new', kind, region, entity FROM location WHERE code = 'S1'"
)


@pytest.fixture
async def other(shop: Shop) -> AsyncIterator[Database]:
    """Another process on the same database, which keeps nothing yet."""
    made = Database(shop.database.url, pool_size=2)
    yield made
    await made.dispose()


async def names(database: Database) -> dict[str, str]:
    async with database.read() as conn:
        return {code: place.name for code, place in (await all_places(conn)).items()}


async def times_read(database: Database, number: int = 1) -> int:
    """How often the places themselves are asked for by so many reads."""
    asked: list[str] = []
    with database.heard(lambda words, _: asked.append(words)):
        for _ in range(number):
            await names(database)
    return sum(READ in words for words in asked)


class TestKept:
    async def test_places_are_read_once_for_many_reads(self, other: Database) -> None:
        assert await times_read(other, 3) == 1
        assert await times_read(other, 3) == 0

    async def test_who_has_the_same_grants_is_given_the_same(self, other: Database) -> None:
        async with other.read() as conn:
            atlas = await all_places(conn)
            assert atlas.visible_to(ANA) is atlas.visible_to(ANA)
            for viewer in (ANA, ADA, Person("nobody", "Nobody", "", ())):
                seen = atlas.visible_to(viewer)
                assert list(seen.places) == await visible_places(conn, viewer)
                assert set(seen.regions) == {one.region for one in seen.places}

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE location SET status = 'no_pickup', latitude = 51 WHERE code = 'S1'",
            "UPDATE item SET name = 'Other'",
        ],
    )
    async def test_what_nobody_calls_a_place_by_changes_nothing(self, other: Database, shop: Shop, change: str) -> None:
        await names(other)
        await shop.change(change)
        assert await times_read(other) == 0


class TestChanged:
    @pytest.mark.parametrize(
        ("change", "found"),
        [
            ("UPDATE location SET name = 'Renamed' WHERE code = 'S1'", "Renamed"),
            ("UPDATE location SET time_zone = 'Asia/Tokyo' WHERE code = 'S1'", None),
            (ANOTHER, "Brand new"),
        ],
    )
    async def test_every_process_reads_anew_what_has_changed(
        self, other: Database, shop: Shop, change: str, found: str | None
    ) -> None:
        for database in (other, shop.database):
            await names(database)
        await shop.change(change)
        for database in (other, shop.database):
            assert await times_read(database) == 1
            assert found is None or found in (await names(database)).values()

    async def test_a_place_that_is_gone_is_gone(self, other: Database, shop: Shop) -> None:
        await shop.change(ANOTHER)
        assert "NEW" in await names(other)
        await shop.change("DELETE FROM location WHERE code = 'NEW'")
        assert "NEW" not in await names(other)

    async def test_a_read_that_began_before_sees_what_was_and_spoils_it_for_nobody(
        self, other: Database, shop: Shop
    ) -> None:
        was = (await names(other))["S1"]
        async with other.read() as conn:
            await conn.execute(text("SELECT 1"))  # what it sees is fixed
            await shop.change("UPDATE location SET name = 'Later' WHERE code = 'S1'")
            assert (await names(other))["S1"] == "Later"
            assert (await all_places(conn))["S1"].name == was
        assert (await names(other))["S1"] == "Later"


class TestNotKept:
    async def test_what_a_transaction_has_written_and_taken_back_was_never_there(self, shop: Shop) -> None:
        database = shop.database
        was = await names(database)
        async with database.engine.connect() as conn:
            await conn.execute(text("UPDATE location SET name = 'Never' WHERE code = 'S1'"))
            assert (await all_places(conn))["S1"].name == "Never"
            await conn.rollback()
        assert await names(database) == was

    async def test_a_list_without_a_mark_is_read_each_time(self, other: Database, shop: Shop) -> None:
        await shop.change("DELETE FROM list_mark")
        assert await times_read(other, 2) == 2
        await shop.change("UPDATE location SET name = 'Marked' WHERE code = 'S1'")
        assert await times_read(other, 2) == 1
        assert (await names(other))["S1"] == "Marked"
