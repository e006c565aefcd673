"""Which other stores an order is offered, and what is said of those that are not."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from domain.case import CaseOption, PassedOver
from domain.messages import Step
from ledger.bopis import steps
from ledger.bopis.sourcing import EMPTY, LOOKED_AT
from ledger.bopis.ways_out import ways_out_now
from ledger.reads.cases import case_detail
from ledger.tables import location, stock
from tests.shop import ANA, TEA, Shop


async def failed_order(shop: Shop, **more: Any) -> tuple[str, int]:
    """An order for eight packs where there are five, and the case that asks for a way out."""
    journey = await shop.order(8, **more)
    told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert told.case_id is not None
    return journey, told.case_id


async def more_stores(shop: Shop, *places: dict[str, object]) -> None:
    usual = {
        "kind": "store", "region": "R1", "entity": "DE01", "time_zone": "UTC", "longitude": 8.25, "pickup": True,
        "status": "open",
    }  # fmt: skip
    async with shop.database.engine.begin() as conn:
        for place in places:
            await conn.execute(insert(location).values(**usual | {"name": f"Store {place['code']}"} | place))
            await conn.execute(insert(stock).values(location=place["code"], sku=TEA))


async def looked(shop: Shop, journey: str) -> tuple[dict[str, CaseOption], dict[str, str]]:
    """The stores offered, and what is said of the others, by code."""
    async with shop.database.read() as conn:
        found = await ways_out_now(conn, journey)
    offered = {str(one.parameters["location"]): one for one in found.options if one.id.startswith("other_store")}
    return offered, {one.location: one.why_not for one in found.passed_over}


class TestOtherStores:
    async def test_each_place_is_offered_or_passed_over_with_its_reason(self, shop: Shop) -> None:
        await more_stores(
            shop,
            {"code": "S3", "latitude": 50.04},
            {"code": "S4", "latitude": 50.02, "status": "closed"},
            {"code": "S5", "latitude": 50.90},
            {"code": "S6", "latitude": 52.50, "region": "R1"},
        )
        await shop.put("S3", 20)
        journey, _ = await failed_order(shop)
        offered, passed_over = await looked(shop, journey)
        assert list(offered) == ["S3"]
        assert offered["S3"].because == "keeps the promise, has everything, 4 km"
        assert passed_over == {
            "S2": "Can promise 5 of 8 units of Green tea.",
            "DC": "Nobody can collect there; it only ships.",
            "S4": "Is closed.",
            "S5": "Is 100 km away; 60 km is the limit.",
            "S6": "Is 278 km away; 60 km is the limit.",
        }

    async def test_a_store_that_opens_after_the_promise_comes_behind_one_further_away(self, shop: Shop) -> None:
        now = datetime.now(UTC)
        await more_stores(shop, {"code": "S3", "latitude": 50.02}, {"code": "S4", "latitude": 50.3})
        for code in ("S3", "S4"):
            await shop.put(code, 20)
        for day in range(-1, 3):
            day_off = now.date() + timedelta(days=day)
            await shop.change("INSERT INTO closed_day (location, day) VALUES ('S3', :day)", day=day_off)
        journey, _ = await failed_order(shop, promised_at=(now + timedelta(hours=6)).isoformat())
        offered, _ = await looked(shop, journey)
        assert list(offered) == ["S4", "S3"]
        assert "keeps the promise" in offered["S4"].because
        assert "sooner than Store S3" in offered["S4"].because
        assert "misses the promise by" in offered["S3"].because

    async def test_the_hours_of_a_store_are_known_to_its_page_as_to_its_steps(self, shop: Shop) -> None:
        await more_stores(shop, {"code": "S3", "latitude": 50.04})
        await shop.put("S2", 20)
        await shop.put("S3", 20)
        for weekday in range(7):
            await shop.change("INSERT INTO opening_hours VALUES ('S2', :day, '00:00', '23:59')", day=weekday)
        await shop.change("INSERT INTO opening_hours VALUES ('S3', 0, '08:00', '20:00')")
        for days in range(20):
            day_off = (datetime.now(UTC) + timedelta(days=days)).date()
            await shop.change("INSERT INTO closed_day (location, day) VALUES ('S3', :day)", day=day_off)
        journey, case_id = await failed_order(shop, promised_at=datetime.now(UTC) + timedelta(days=2))
        stored = await shop.value("SELECT options FROM case_file")
        offered, _ = await looked(shop, journey)
        async with shop.database.read(by_key=True) as conn:
            shown = (await case_detail(conn, ANA, case_id)).options
        found = {one.id: one.because for one in shown if one.id.startswith("other_store")}
        assert list(found) == ["other_store:S2", "other_store:S3"]
        assert found["other_store:S2"].startswith("keeps the promise")
        assert not found["other_store:S3"].startswith("keeps the promise")
        assert found == {one.id: one.because for one in offered.values()}
        written = {one["id"]: one["because"] for one in stored if one["id"].startswith("other_store")}
        assert written.keys() == found.keys()

    async def test_an_item_that_is_stopped_from_sale_is_offered_nowhere(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        journey, _ = await failed_order(shop)
        assert list((await looked(shop, journey))[0]) == ["S2"]
        await shop.change("UPDATE item SET stop_sale = true")
        offered, passed_over = await looked(shop, journey)
        assert offered == {}
        assert passed_over["S2"] == "Green tea is stopped from sale."

    async def test_a_book_that_nobody_trusts_is_not_relied_on(self, shop: Shop) -> None:
        await shop.put("S2", 50)
        await shop.change("UPDATE stock SET confidence_permille = 400 WHERE location = 'S2'")
        journey, _ = await failed_order(shop)
        offered, passed_over = await looked(shop, journey)
        assert offered == {}
        assert passed_over["S2"] == "Its book is confirmed to 40 % only; 50 % is the limit."

    async def test_an_order_that_stands_ready_in_part_moves_nowhere(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        journey, _ = await failed_order(shop)
        lines = [{"line_id": "1", "quantity": 1}]
        assert (await shop.report("bopis.picked", journey_id=journey, picker="p", lines=lines)).outcome == "accepted"
        assert await looked(shop, journey) == ({}, {})

    async def test_of_places_that_have_nothing_the_nearest_are_named_and_all_that_have_anything(
        self, shop: Shop
    ) -> None:
        many = [{"code": f"T{n}", "latitude": 50.0 + n / 1000} for n in range(1, LOOKED_AT + 3)]
        await more_stores(shop, *many)
        await shop.put("T150", 20)
        await shop.put("T160", 3)
        await shop.put(f"T{LOOKED_AT + 2}", 20)
        journey, _ = await failed_order(shop)
        offered, passed_over = await looked(shop, journey)
        assert list(offered) == ["T150"]
        nearest = {f"T{n}" for n in range(1, EMPTY + 1)}
        assert passed_over == {
            **dict.fromkeys(nearest, "Can promise 0 of 8 units of Green tea."),
            "S2": "Can promise 5 of 8 units of Green tea.",
            "T160": "Can promise 3 of 8 units of Green tea.",
        }

    async def test_an_order_of_which_nothing_is_open_moves_nowhere(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        journey, _ = await failed_order(shop)
        async with shop.database.engine.connect() as conn:  # never committed: the books would not agree
            await conn.execute(text("UPDATE journey_line SET cancelled = ordered"))
            found = await ways_out_now(conn, journey)
        assert [one.id for one in found.options if one.id.startswith("other_store")] == []
        assert found.passed_over == []

    async def test_more_places_than_are_looked_at_are_cut_at_the_furthest(self, shop: Shop) -> None:
        many = [{"code": f"T{n}", "latitude": 50.0 + n / 1000} for n in range(1, LOOKED_AT + 3)]
        await more_stores(shop, *many)
        for place in many:
            await shop.put(str(place["code"]), 1)
        journey, _ = await failed_order(shop)
        _, passed_over = await looked(shop, journey)
        assert len(passed_over) == LOOKED_AT
        assert "T1" in passed_over
        assert f"T{LOOKED_AT + 2}" not in passed_over

    async def test_how_far_a_place_is_counts_across_the_date_line_and_not_where_nobody_knows(self, shop: Shop) -> None:
        await shop.change("INSERT INTO region (code, name, entity) VALUES ('R9', 'Far', 'DE01')")
        await shop.change("UPDATE location SET latitude = 0, longitude = 179.9 WHERE code = 'S1'")
        there = {"region": "R9"}
        await more_stores(
            shop,
            {"code": "S3", "latitude": 0, "longitude": -179.9, **there},
            {"code": "S4", "latitude": 0, "longitude": 178, **there},
            {"code": "S5", "latitude": 0, "longitude": 179.0, **there},
            {"code": "S6", "latitude": 0, "longitude": None, **there},
            {"code": "S7", "latitude": None, "longitude": None},
        )
        for place in ("S3", "S4", "S5", "S6", "S7"):
            await shop.put(place, 20)
        journey, _ = await failed_order(shop)
        offered, passed_over = await looked(shop, journey)
        assert list(offered) == ["S3", "S7"]
        assert offered["S3"].because == "keeps the promise, has everything, 22 km, nearer than Store S7"
        assert passed_over["S5"] == "Is 100 km away; 60 km is the limit."
        assert "S4" not in passed_over | offered, "more than twice the limit away, and of another region"
        assert "S6" not in passed_over | offered, "of another region, and nobody knows how far away"


class TestCapacity:
    async def test_a_store_with_too_many_orders_to_pick_is_not_asked(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body)"
            """ VALUES ('few', '2020-01-01', '{"sourcing": {"open_orders_limit": 1}}')"""
        )
        await shop.put("S2", 20)
        journey, _ = await failed_order(shop)
        assert list((await looked(shop, journey))[0]) == ["S2"]
        await shop.order(1, at="S2")
        offered, passed_over = await looked(shop, journey)
        assert offered == {}
        assert passed_over["S2"] == "Orders that wait there to be picked: 1; the limit is 1."


class TestCase:
    async def test_a_case_names_who_is_not_asked_until_somebody_has_decided(self, shop: Shop) -> None:
        _, case_id = await failed_order(shop)
        async with shop.database.read() as conn:
            case = await case_detail(conn, ANA, case_id)
        assert [one.location for one in case.passed_over] == ["S2", "DC"]
        assert isinstance(case.passed_over[0], PassedOver)
        await shop.change("UPDATE case_file SET state = 'deciding'")
        async with shop.database.read() as conn:
            assert (await case_detail(conn, ANA, case_id)).passed_over == []
