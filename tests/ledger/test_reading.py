"""A connection for reading: one state throughout, nothing written, and the pool gets it back as it was."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.people import Grant, Person
from ledger import sessions
from ledger.engine import Database
from ledger.reads.case_filter import CaseFilter, named
from ledger.reads.case_lists import count_cases, count_several
from ledger.reads.places import all_places, visible_among, visible_places, zone_of
from tests.shop import ADA, ANA, Shop

HOW = text("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")


async def test_a_read_sees_one_state_and_the_next_writer_of_the_connection_may_write(shop: Shop) -> None:
    database = Database(shop.database.url, pool_size=1)
    try:
        async with database.read() as conn:
            assert tuple((await conn.execute(HOW)).one()) == ("repeatable read", "on")
            before = (await conn.execute(text("SELECT count(*) FROM item"))).scalar_one()
            await shop.change("INSERT INTO item (sku, name, price_minor, cost_minor) VALUES ('late', 'Late', 1, 1)")
            assert (await conn.execute(text("SELECT count(*) FROM item"))).scalar_one() == before
            with pytest.raises(DBAPIError, match="read-only transaction"):
                await conn.execute(text("DELETE FROM item WHERE sku = 'late'"))
        async with database.engine.begin() as conn:
            assert tuple((await conn.execute(HOW)).one()) == ("read committed", "off")
            assert (await conn.execute(text("DELETE FROM item WHERE sku = 'late'"))).rowcount == 1
    finally:
        await database.dispose()


async def test_counts_in_one_statement_are_those_of_each(shop: Shop) -> None:
    filters = [CaseFilter(state="open"), CaseFilter(text="Kim Lee"), CaseFilter(claimed_by="none"), CaseFilter()]
    await shop.order(8)
    async with shop.database.read() as conn:
        each = [await count_cases(conn, ADA, one) for one in filters]
        assert await count_several(conn, ADA, [(one, 100) for one in filters], await named(conn, filters[1])) == each


NOBODY = Person("nobody", "Nobody", "", ())
TWO = Person(
    "two", "Two", "", (Grant("store_associate", location="S1"), Grant("store_associate", region="R2", entity="E9"))
)


@pytest.mark.parametrize("viewer", [ADA, ANA, NOBODY, TWO], ids=lambda one: str(one.id))
async def test_places_that_were_read_are_narrowed_as_the_ledger_narrows_them(shop: Shop, viewer: Person) -> None:
    async with shop.database.read() as conn:
        assert visible_among(await all_places(conn), viewer) == await visible_places(conn, viewer)


async def test_who_sees_no_place_reads_in_utc_and_a_home_comes_before_the_most(shop: Shop) -> None:
    async with shop.database.read() as conn:
        assert await zone_of(conn, NOBODY) == "UTC"
        usual = await zone_of(conn, ANA)
    await shop.change(
        "INSERT INTO location (code, name, kind, region, entity, time_zone, latitude, longitude)"
        " SELECT 'FAR', 'Far', 'store', region, entity, 'Asia/Tokyo', 0, 0 FROM location WHERE code = 'S1'"
    )
    await shop.change("UPDATE person SET home_location = 'FAR' WHERE id = :id", id=ANA.id)
    async with shop.database.read() as conn:
        assert (usual != "Asia/Tokyo", await zone_of(conn, ANA)) == (True, "Asia/Tokyo")


async def test_a_session_brings_its_person_with_every_grant_in_order(shop: Shop) -> None:
    token = "token-of-a-reader"
    await sessions.begin(shop.database, ANA.id, token, replaces=None)
    await shop.change(
        "INSERT INTO person_role (person_id, role, location) VALUES (:id, 'store_associate', 'S1')", id=ANA.id
    )
    async with shop.database.read() as conn:
        held = await sessions.session_of(conn, token)
        assert held is not None
        assert held.person.grants[-1] == Grant("store_associate", location="S1")
        assert (held.person.id, held.person.name, len(held.person.grants)) == (ANA.id, ANA.name, len(ANA.grants) + 1)
        assert await sessions.session_of(conn, "another") is None
    await shop.change("DELETE FROM person_role WHERE person_id = :id", id=ANA.id)
    async with shop.database.read() as conn:
        held = await sessions.session_of(conn, token)
        assert held is not None
        assert held.person.grants == ()
