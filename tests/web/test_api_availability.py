"""Where a basket can be promised: places in their rank, with what each keeps back; what is refused by name."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from ledger.engine import Database
from ledger.reads.stock import nearby_stock
from ledger.tables import location
from tests.web.retail import order, rows
from tests.web.test_api_orders import ORDERS, problem

As = Callable[[str], httpx2.AsyncClient]
AVAILABILITY = "/api/v1/availability"


async def ask(client: httpx2.AsyncClient, *pairs: str, **more: Any) -> dict[str, Any]:
    response = await client.get(AVAILABILITY, params={"sku": list(pairs), **more})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def codes(body: dict[str, Any]) -> list[str]:
    return [one["location"] for one in body["locations"]]


class TestRank:
    async def test_places_that_cover_the_basket_come_first_the_nearest_of_them_before(
        self, standing: httpx2.AsyncClient
    ) -> None:
        assert codes(await ask(standing, "APPLE:5", near="S9")) == ["S9", "S1", "S2"]
        assert codes(await ask(standing, "APPLE:5", near="S2")) == ["S2", "S1", "S9"]
        assert codes(await ask(standing, "APPLE:8", near="S9")) == ["S1", "S2", "S9"]
        assert codes(await ask(standing, "APPLE:5", "BREAD:3", near="S9")) == ["S1", "S9", "S2"]

    async def test_distance_is_the_straight_line_and_nothing_without_a_place_to_be_near_to(
        self, standing: httpx2.AsyncClient
    ) -> None:
        near = (await ask(standing, "APPLE:1", near="S1"))["locations"]
        assert [round(one["distance_km"], 1) for one in near] == [0.0, 22.2, 778.4]
        assert {one["distance_km"] for one in (await ask(standing, "APPLE:1"))["locations"]} == {None}

    async def test_a_place_without_coordinates_has_no_distance_and_comes_last_among_equals(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(location.update().where(location.c.code == "S2").values(latitude=None))
        body = await ask(web, "APPLE:1", near="S1")
        assert codes(body) == ["S1", "S9", "S2"]
        assert body["locations"][2]["distance_km"] is None
        async with retailer.read() as conn:
            found = await nearby_stock(conn, None, "S1", "APPLE")
        assert [(one.stock.location, one.distance_km is None) for one in found] == [("S9", False), ("S2", True)]

    async def test_the_limit_cuts_the_answer_and_not_what_was_asked(self, standing: httpx2.AsyncClient) -> None:
        body = await ask(standing, "APPLE:1", limit=1)
        assert (len(body["locations"]), body["locations_asked"]) == (1, 3)


class TestWhy:
    async def test_each_line_says_what_is_there_and_what_is_kept_back(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(text("UPDATE stock SET safety_stock = 2, confidence_permille = 900 WHERE sku = 'APPLE'"))
            await conn.execute(
                text(
                    "INSERT INTO policy_document (version, effective_from, body)"
                    """ VALUES ('2', '2020-01-01', '{"stock": {"channel_threshold": {"market": 4}}}')"""
                )
            )
        body = await ask(web, "APPLE:8", "BREAD:1", channel="market")
        here = next(one for one in body["locations"] if one["location"] == "S1")
        assert here["lines"][0] == {
            "sku": "APPLE", "quantity": 8, "promise": 3, "short": 5, "available": 10, "safety_stock": 2,
            "channel_threshold": 4, "confidence_buffer": 1,
        }  # fmt: skip
        assert (
            here["why"]
            == "Short: 3 of 8 APPLE (10 on the shelf, 7 kept back); 0 of 1 BREAD (3 on the shelf, 3 kept back)."
        )
        stock = (await web.get("/api/v1/stock?location=S1&sku=APPLE&channel=market")).json()["items"][0]
        assert stock["atp"]["market"] == 3

    async def test_what_was_promised_meanwhile_is_not_promised_again(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1", quantity=9))
        here = next(one for one in (await ask(web, "APPLE:2"))["locations"] if one["location"] == "S1")
        assert (here["covers"], here["promised_units"]) == (False, 1)

    async def test_an_item_that_is_stopped_from_sale_is_promised_nowhere(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(text("UPDATE item SET stop_sale = true WHERE sku = 'APPLE'"))
        body = await ask(web, "APPLE:1")
        assert {one["promised_units"] for one in body["locations"]} == {0}
        assert body["locations"][0]["why"] == "Short: APPLE is stopped from sale."

    async def test_a_closed_place_is_left_out_and_one_without_pickup_says_so(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(location.update().where(location.c.code == "S2").values(status="closed"))
            await conn.execute(location.update().where(location.c.code == "S9").values(status="no_pickup"))
        body = await ask(web, "APPLE:1")
        assert {one["location"]: one["pickup"] for one in body["locations"]} == {"S1": True, "S9": False}
        assert len(await rows(retailer, location)) == 3

    async def test_repeats_of_an_item_add_up(self, standing: httpx2.AsyncClient) -> None:
        body = await ask(standing, "APPLE:6", "APPLE:5")
        assert body["units"] == 11
        assert [one["location"] for one in body["locations"] if one["covers"]] == ["S2"]


class TestRefusals:
    @pytest.mark.parametrize(
        "pairs",
        [["APPLE"], ["APPLE:"], [":1"], ["APPLE:0"], ["APPLE:-1"], ["APPLE:1.5"], ["APPLE:2000000"], ["AP PLE:1"],
         ["APPLE:1", ""], ["APPLE:٣"], [f"A{n}:1" for n in range(101)]],
    )  # fmt: skip
    async def test_what_is_no_basket_is_422(self, standing: httpx2.AsyncClient, pairs: list[str]) -> None:
        problem(await standing.get(AVAILABILITY, params={"sku": pairs}), 422, "malformed")

    async def test_without_any_item_it_is_422(self, standing: httpx2.AsyncClient) -> None:
        problem(await standing.get(AVAILABILITY), 422, "malformed")

    async def test_an_unknown_item_is_named_with_its_place_in_the_basket(self, standing: httpx2.AsyncClient) -> None:
        response = await standing.get(AVAILABILITY, params={"sku": ["APPLE:1", "GHOST:1"]})
        problem(response, 422, "unknown_sku")
        assert "GHOST" in response.json()["detail"]

    async def test_an_unknown_place_is_refused(self, standing: httpx2.AsyncClient) -> None:
        problem(await standing.get(AVAILABILITY, params={"sku": "APPLE:1", "near": "S0"}), 422, "unknown_location")

    async def test_a_person_is_told_of_the_own_region_only(self, standing_key: As) -> None:
        ana = standing_key("ana")
        assert set(codes(await ask(ana, "APPLE:1"))) == {"S1", "S2"}
        problem(await ana.get(AVAILABILITY, params={"sku": "APPLE:1", "near": "S9"}), 422, "unknown_location")

    async def test_asking_needs_its_scope(self, standing_key: As) -> None:
        problem(await standing_key("mute").get(AVAILABILITY, params={"sku": "APPLE:1"}), 403, "insufficient_scope")
        problem(await standing_key("").get(AVAILABILITY, params={"sku": "APPLE:1"}), 401, "missing_key")
