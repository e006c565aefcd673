"""What may be read over HTTP, by whom, page by page."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from ledger.engine import Database
from tests.web.retail import a_case, an_approval, order
from tests.web.test_api_orders import ORDERS, problem

As = Callable[[str], httpx2.AsyncClient]
LISTS = ["/api/v1/journeys", "/api/v1/stock", "/api/v1/cases", "/api/v1/approvals"]


async def walk(client: httpx2.AsyncClient, path: str, name: str, limit: int = 2) -> list[object]:
    """Every item of a list, page by page."""
    found: list[object] = []
    cursor: str | None = None
    while True:
        query = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        response = await client.get(path, params=query)
        assert response.status_code == 200, response.text
        items = response.json()["items"]
        assert len(items) <= limit
        found += [item[name] for item in items]
        cursor = response.json()["next"]
        if cursor is None:
            return found


class TestJourney:
    async def test_one_order_with_everything_recorded(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        body = (await web.get("/api/v1/journeys/bopis:web:W-1")).json()
        assert {"id", "kind", "key", "state", "location", "region", "entity", "channel"} <= body.keys()
        assert (body["state"], body["region"], body["entity"], body["closed_at"]) == ("reserved", "NORTH", "US01", None)
        assert [(line["sku"], line["ordered"], line["reserved"]) for line in body["lines"]] == [("APPLE", 2, 2)]
        assert [(move["from_account"], move["to_account"], move["quantity"]) for move in body["movements"]] == [
            ("available", "reserved", 2)
        ]
        assert sum(line["debit_minor"] for line in body["postings"]) == 268
        assert sum(line["credit_minor"] for line in body["postings"]) == 268
        assert [(paid["tender"], paid["captured_minor"]) for paid in body["payments"]] == [("card", 268)]
        assert "2 of 2 units reserved" in body["timeline"][0]["detail"]
        assert (body["cases"], body["approvals"]) == ([], [])

    async def test_no_personal_data_goes_to_systems(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        for path in ("/api/v1/journeys/bopis:web:W-1", "/api/v1/journeys"):
            assert "noor" not in (await web.get(path)).text.lower()

    async def test_an_order_that_is_not_there_is_404(self, web: httpx2.AsyncClient) -> None:
        problem(await web.get("/api/v1/journeys/bopis:web:W-404"), 404, "not_found")

    @pytest.mark.parametrize(
        ("query", "keys"),
        [
            ("key=W-2", ["W-2"]),
            ("state=reservation_failed", ["W-3"]),
            ("state=reserved,collected&location=S1", ["W-1"]),
            ("state=open", ["W-3", "W-2", "W-1"]),
            ("state=closed", []),
            ("location=S2", ["W-2"]),
            ("region=SOUTH", []),
            ("sku=BREAD", ["W-3"]),
            ("kind=transfer", []),
            ("opened_from=2100-01-01T00:00:00Z", []),
        ],
    )
    async def test_filters(self, web: httpx2.AsyncClient, query: str, keys: list[str]) -> None:
        for body in (order("W-1"), order("W-2", location="S2"), order("W-3", sku="BREAD", quantity=9)):
            await web.post(ORDERS, json=body)
        items = (await web.get(f"/api/v1/journeys?{query}")).json()["items"]
        assert [item["key"] for item in items] == keys

    async def test_pages_hold_each_order_once(self, web: httpx2.AsyncClient) -> None:
        placed_at = "2026-01-05T12:00:00Z"  # the same instant for all: the id tells them apart
        await asyncio.gather(
            *(web.post(ORDERS, json=order(f"W-{n}", quantity=1, placed_at=placed_at)) for n in range(7))
        )
        found = await walk(web, "/api/v1/journeys", "key")
        assert sorted(map(str, found)) == [f"W-{n}" for n in range(7)]


class TestWhoSeesWhat:
    async def test_a_system_sees_its_own_sources_journeys(self, as_key: As) -> None:
        await as_key("web").post(ORDERS, json=order("W-1"))
        path = "/api/v1/journeys/bopis:web:W-1"
        assert (await as_key("pos").get(path)).status_code == 200  # its key lists the source web
        problem(await as_key("other").get(path), 404, "not_found")
        assert (await as_key("other").get("/api/v1/journeys")).json()["items"] == []

    async def test_a_person_sees_their_region(self, as_key: As) -> None:
        web = as_key("web")
        await web.post(ORDERS, json=order("W-1"))
        await web.post(ORDERS, json=order("W-9", location="S9"))

        async def seen(name: str) -> list[str]:
            return [item["key"] for item in (await as_key(name).get("/api/v1/journeys")).json()["items"]]

        assert await seen("sam") == ["W-1"]
        assert await seen("sol") == ["W-9"]
        assert sorted(await seen("ida")) == ["W-1", "W-9"]
        problem(await as_key("sol").get("/api/v1/journeys/bopis:web:W-1"), 404, "not_found")

    async def test_stock_of_another_region_is_not_listed(self, as_key: As) -> None:
        items = (await as_key("sol").get("/api/v1/stock")).json()["items"]
        assert {item["location"] for item in items} == {"S9"}

    async def test_a_case_of_another_region_does_not_exist(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        assert (await as_key("sam").get(f"/api/v1/cases/{case_id}")).status_code == 200
        problem(await as_key("sol").get(f"/api/v1/cases/{case_id}"), 404, "not_found")
        assert (await as_key("sol").get("/api/v1/cases")).json()["items"] == []

    async def test_an_approval_of_another_region_does_not_exist(self, as_key: As, retailer: Database) -> None:
        approval_id = await an_approval(retailer)
        assert (await as_key("ana").get(f"/api/v1/approvals/{approval_id}")).status_code == 200
        problem(await as_key("sol").get(f"/api/v1/approvals/{approval_id}"), 404, "not_found")
        assert (await as_key("sol").get("/api/v1/approvals")).json()["items"] == []

    @pytest.mark.parametrize("path", [*LISTS, "/api/v1/cases/1", "/api/v1/journeys/x", "/api/v1/decisions/1"])
    async def test_reading_needs_its_scope(self, standing_key: As, path: str) -> None:
        problem(await standing_key("mute").get(path), 403, "insufficient_scope")


class TestStock:
    async def test_buckets_and_the_way_to_the_promise(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        item = (await web.get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert set(item["buckets"]) == {
            "available", "reserved", "staged", "in_transit", "damaged", "quarantined", "customer_returned",
            "vendor_return_pending", "count_pending",
        }  # fmt: skip
        assert (item["location_kind"], item["on_hand"], item["confidence"]) == ("store", 10, 1.0)
        assert item["atp"] == {"web": 8, "store": 8}
        assert [step["step"] for step in item["atp_steps"]] == [
            "available", "safety_stock", "channel_threshold", "confidence_buffer", "atp",
        ]  # fmt: skip
        assert sum(step["quantity"] for step in item["atp_steps"][:-1]) == item["atp_steps"][-1]["quantity"] == 8

    async def test_pages_hold_each_row_once(self, web: httpx2.AsyncClient) -> None:
        assert await walk(web, "/api/v1/stock", "location", limit=1) == ["S1", "S1", "S2", "S9"]


class TestCase:
    async def test_one_case_in_the_shape_that_is_promised(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        body = (await as_key("sam").get(f"/api/v1/cases/{case_id}")).json()
        assert (body["id"], body["kind"], body["state"], body["severity"]) == (
            case_id, "negative_inventory", "open", "medium",
        )  # fmt: skip
        assert body["priority"]["score"] == sum(term["points"] for term in body["priority"]["terms"])
        assert [clock["name"] for clock in body["clocks"]] == ["unclaimed", "unstarted", "unresolved"]
        assert body["facts"] == {"available": -2}
        assert [(option["id"], option["allowed"]) for option in body["options"]] == [
            ("dismiss", True),
            ("never", False),
        ]
        assert body["owner"] == "regional_ops"
        assert body["claimed_by"] is None

    async def test_who_may_only_look_is_told_so_at_each_option(self, as_key: As, retailer: Database) -> None:
        case_id = await a_case(retailer, "S1|APPLE")
        body = (await as_key("ida").get(f"/api/v1/cases/{case_id}")).json()
        assert [option["allowed"] for option in body["options"]] == [False, False]
        assert "look at this case" in body["options"][0]["why_not"]
        assert body["options"][1]["why_not"] == "Policy forbids it."

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("state=open", 2), ("state=claimed", 0), ("kind=negative_inventory", 2), ("kind=pick_short", 0),
            ("severity=medium,high", 2), ("severity=critical", 0), ("region=SOUTH", 1), ("location=S1", 1),
            ("owner=regional_ops", 2), ("owner=sam.ortega", 0), ("sku=APPLE", 2), ("entity=US02", 0),
            ("journey_id=bopis:web:W-1", 0), ("order=priority", 2), ("order=closed", 0),
        ],
    )  # fmt: skip
    async def test_filters(self, web: httpx2.AsyncClient, retailer: Database, query: str, count: int) -> None:
        await a_case(retailer, "S1|APPLE")
        await a_case(retailer, "S9|APPLE", location="S9")
        assert len((await web.get(f"/api/v1/cases?{query}")).json()["items"]) == count

    @pytest.mark.parametrize("query", ["", "state=open&", "order=priority&"])
    async def test_pages_hold_each_case_once(self, web: httpx2.AsyncClient, retailer: Database, query: str) -> None:
        made = [await a_case(retailer, f"S1|{number}") for number in range(5)]
        found = await walk(web, f"/api/v1/cases?{query}".rstrip("?&"), "id")
        assert sorted(map(str, found)) == sorted(map(str, made))


class TestParameters:
    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "1.5", ""])
    async def test_a_limit_out_of_bounds_is_refused(self, standing: httpx2.AsyncClient, path: str, limit: str) -> None:
        body = problem(await standing.get(path, params={"limit": limit}), 422, "malformed")
        assert body["errors"][0]["pointer"] == "/query/limit"

    @pytest.mark.parametrize("path", LISTS)
    @pytest.mark.parametrize("cursor", ["x", "!!!", "e30", "W10", "bnVsbA", "é", "A" * 400])
    async def test_a_cursor_that_is_none_is_refused(self, standing: httpx2.AsyncClient, path: str, cursor: str) -> None:
        problem(await standing.get(path, params={"cursor": cursor}), 422, "malformed")

    async def test_a_cursor_of_other_filters_is_refused(self, standing: httpx2.AsyncClient) -> None:
        cursor = (await standing.get("/api/v1/stock?limit=1&sku=APPLE")).json()["next"]
        assert cursor
        assert (await standing.get("/api/v1/stock", params={"cursor": cursor, "sku": "APPLE"})).status_code == 200
        problem(await standing.get("/api/v1/stock", params={"cursor": cursor}), 422, "malformed")
        problem(await standing.get("/api/v1/journeys", params={"cursor": cursor}), 422, "malformed")

    @pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "x"])
    async def test_a_number_that_is_none_is_refused(self, standing: httpx2.AsyncClient, number: str) -> None:
        for noun in ("cases", "approvals", "decisions"):
            assert (await standing.get(f"/api/v1/{noun}/{number}")).status_code == 422

    @pytest.mark.parametrize("query", ["text=%00", "key=%00", "sku=%ff", "location=a%0d%0ab"])
    async def test_what_postgresql_cannot_hold_is_refused(self, standing: httpx2.AsyncClient, query: str) -> None:
        problem(await standing.get(f"/api/v1/journeys?{query}"), 422, "bad_character")

    @pytest.mark.parametrize("value", ["'", "' OR 1=1 --", "%", "_", "\\", "%27%3B drop table journey"])
    async def test_what_sql_would_read_is_only_text(self, standing: httpx2.AsyncClient, value: str) -> None:
        response = await standing.get("/api/v1/journeys", params={"key": value, "location": value})
        assert (response.status_code, response.json()) == (200, {"items": [], "next": None})

    @pytest.mark.parametrize("moment", ["yesterday", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"])
    async def test_an_instant_without_its_zone_is_refused(self, standing: httpx2.AsyncClient, moment: str) -> None:
        problem(await standing.get("/api/v1/journeys", params={"opened_from": moment}), 422, "malformed")
