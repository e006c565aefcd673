"""Promotions by API: defined once, refused by name, changed until their prices go out, read by whom they concern."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert

import ledger.engine
from ledger import tables
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import definition, promotion
from tests.web.retail import rows

__all__ = ["accounts", "browse", "sign_in"]


class TestDefining:
    async def test_it_is_agreed_to_at_once_and_answered_the_same_twice(self, web: httpx2.AsyncClient) -> None:
        body = promotion()
        made = await web.post("/api/v1/promotions", json=body)
        assert made.status_code == 201, made.text
        answer = made.json()
        assert (answer["journey_id"], answer["state"]) == ("promotion:web:P-1", "approved")
        assert (answer["items"], answer["places"], answer["margin_permille"]) == (1, 2, 320)
        assert answer["discount_minor"] == 50 * (129 - 103)
        assert made.headers["location"] == answer["links"]["self"]
        again = await web.post("/api/v1/promotions", json=body)
        assert (again.status_code, again.json()) == (200, answer)
        other = await web.post("/api/v1/promotions", json=body | {"name": "Pear days"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")

    @pytest.mark.parametrize(
        ("change", "code", "pointer"),
        [
            ({"channels": ["web", "kiosk"]}, "unknown_channel", "/channels/1"),
            ({"locations": ["S1", "S7"]}, "unknown_location", "/locations/1"),
            ({"lines": [{"sku": "PEAR", "forecast_units": 5}]}, "unknown_sku", "/lines/0/sku"),
            ({"lines": [{"category": "Fish", "forecast_units": 5}]}, "unknown_category", "/lines/0/category"),
            ({"offer": {"kind": "price", "price_minor": 500}}, "malformed", "/offer"),
            ({"starts_at": "2020-01-01T00:00:00Z"}, "malformed", "/starts_at"),
            ({"entity": "US02"}, "malformed", "/entity"),
            ({"offer": {"kind": "percent", "off_permille": 2000}}, "malformed", "/offer/percent/off_permille"),
            ({"lines": []}, "malformed", "/lines"),
        ],
    )
    async def test_what_cannot_be_is_refused_by_name_and_nothing_is_written(
        self, web: httpx2.AsyncClient, retailer: ledger.engine.Database, change: dict[str, Any], code: str, pointer: str
    ) -> None:
        refused = await web.post("/api/v1/promotions", json=promotion(**change))
        assert refused.status_code == 422, refused.text
        assert refused.json()["code"] == code
        assert refused.json()["errors"][0]["pointer"] == pointer
        assert await rows(retailer, tables.promotion) == []

    async def test_all_places_of_the_only_entity(self, web: httpx2.AsyncClient) -> None:
        made = await web.post("/api/v1/promotions", json=promotion(locations="all"))
        assert made.json()["places"] == 6

    async def test_what_is_asked_about_a_thin_one_can_be_read(self, web: httpx2.AsyncClient) -> None:
        made = (await web.post("/api/v1/promotions", json=promotion(margin_floor_permille=900))).json()
        assert made["state"] == "pending_approval"
        asked = await web.get(f"/api/v1/approvals/{made['approval_id']}")
        assert asked.status_code == 200, asked.text
        assert (asked.json()["kind"], asked.json()["facts"]["asked_for"]) == ("promotion", "merchandising")

    async def test_one_that_would_meet_an_exclusive_one_is_refused(self, web: httpx2.AsyncClient) -> None:
        assert (await web.post("/api/v1/promotions", json=promotion())).status_code == 201
        refused = await web.post("/api/v1/promotions", json=promotion("P-2", stacking="stack", channels=["pos"]))
        assert (refused.status_code, refused.json()["code"]) == (409, "promotion_overlap")
        assert "P-1 (Apple days)" in refused.json()["detail"]
        draft = await web.post("/api/v1/promotions", json=promotion("P-3", submit=False))
        assert draft.json()["state"] == "draft"
        refused = await web.post("/api/v1/promotions/P-3:submit")
        assert (refused.status_code, refused.json()["code"]) == (409, "promotion_overlap")
        apart = definition(locations=["S2"])
        changed = await web.post("/api/v1/promotions/P-3:amend", json=apart)
        assert (changed.status_code, changed.json()["state"]) == (200, "approved")


class TestChanging:
    async def test_it_is_read_called_off_and_not_changed_any_more(self, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/promotions", json=promotion())
        found = (await web.get("/api/v1/promotions/P-1")).json()
        assert [(one["channel"], one["location"]) for one in found["places"]] == [("pos", "S1"), ("web", "S1")]
        assert (found["state"], found["publications"], set(found["dues"])) == ("approved", [], {"publish"})
        over = await web.post("/api/v1/promotions/P-1:cancel", json={"reason": "supplier"})
        assert over.json()["state"] == "cancelled"
        for path, body in ((":cancel", {}), (":amend", definition()), (":submit", {}), (":end", {})):
            refused = await web.post(f"/api/v1/promotions/P-1{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict"), path

    async def test_it_is_ended_later_and_refused_what_is_no_later_end(self, web: httpx2.AsyncClient) -> None:
        made = await web.post("/api/v1/promotions", json=promotion())
        assert made.status_code == 201
        ends_at = datetime.fromisoformat((await web.get("/api/v1/promotions/P-1")).json()["ends_at"])
        later = {"ends_at": (ends_at + timedelta(days=1)).isoformat()}
        extended = await web.post("/api/v1/promotions/P-1:extend", json=later)
        assert datetime.fromisoformat(extended.json()["ends_at"]) == ends_at + timedelta(days=1)
        refused = await web.post("/api/v1/promotions/P-1:extend", json={"ends_at": ends_at.isoformat()})
        assert (refused.status_code, refused.json()["code"]) == (422, "malformed")

    async def test_a_list_is_narrowed_and_a_cursor_stays_with_its_filters(self, web: httpx2.AsyncClient) -> None:
        for number in (1, 2, 3):
            body = promotion(f"P-{number}", stacking="best", name=f"Week {number}")
            assert (await web.post("/api/v1/promotions", json=body)).status_code == 201
        first = (await web.get("/api/v1/promotions?limit=2&state=open")).json()
        rest = (await web.get(f"/api/v1/promotions?limit=2&state=open&cursor={first['next']}")).json()
        assert len(first["items"]) == 2
        assert {one["promotion_id"] for one in first["items"] + rest["items"]} == {"P-1", "P-2", "P-3"}
        assert rest["next"] is None
        for query, found in (("text=week%202", 1), ("sku=APPLE", 3), ("sku=BREAD", 0), ("channel=web", 3),
                             ("location=S2", 0), ("state=closed", 0), ("state=approved,draft", 3)):  # fmt: skip
            assert len((await web.get(f"/api/v1/promotions?{query}")).json()["items"]) == found, query
        wrong = await web.get(f"/api/v1/promotions?limit=2&state=closed&cursor={first['next']}")
        assert wrong.status_code == 422

    async def test_a_key_needs_the_scope(self, as_key: As) -> None:
        refused = await as_key("pos").post("/api/v1/promotions", json=promotion())
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        assert "promotions:write" in refused.json()["detail"]


class TestPages:
    async def test_whoever_runs_one_of_its_places_sees_it_and_nobody_else(
        self, web: httpx2.AsyncClient, sign_in: SignIn
    ) -> None:
        await web.post("/api/v1/promotions", json=promotion(locations=["S1"]))
        await web.post("/api/v1/promotions", json=promotion("P-2", locations=["S2", "S9"]))
        sol = await sign_in("sol.byrne")
        page = (await sol.get("/console/promotions")).text
        assert ">P-2</a>" in page
        assert ">P-1</a>" not in page
        assert (await sol.get("/console/journeys/promotion:web:P-1")).status_code == 404
        shown = (await sol.get("/console/journeys/promotion:web:P-2")).text
        assert "<h1>Promotion P-2</h1>" in shown
        assert "20 % off" in shown
        assert "Prices go out" in shown

    async def test_the_list_says_what_it_did_not_understand_and_keeps_its_filters(
        self, web: httpx2.AsyncClient, sign_in: SignIn
    ) -> None:
        await web.post("/api/v1/promotions", json=promotion())
        sam = await sign_in("sam.ortega")
        assert "Nothing matches" in (await sam.get("/console/promotions?state=active")).text
        assert "Nothing matches" in (await sam.get("/console/promotions?now=on")).text
        page = (await sam.get("/console/promotions?channel=web&colour=red")).text
        assert "Not understood and left out: <code>colour=red</code>" in page
        assert "<option selected>web</option>" in page
        assert ">P-1</a>" in page

    async def test_whoever_may_calls_it_off_with_a_reason_and_others_look(
        self, web: httpx2.AsyncClient, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        await web.post("/api/v1/promotions", json=promotion(submit=False))
        async with retailer.engine.begin() as conn:
            await conn.execute(insert(tables.person_role).values(person_id="ida.noor", role="merchandiser"))
        sam, ida = await sign_in("sam.ortega"), await sign_in("ida.noor")
        where = "/console/promotions/promotion:web:P-1"
        assert "Call it off" not in (await sam.get("/console/journeys/promotion:web:P-1")).text
        refused = await sam.post(f"{where}/cancel", data={"reason": "supplier"})
        assert refused.status_code == 403
        assert "that is the merchandiser&#39;s" in refused.text
        assert "Submit it" in (await ida.get("/console/journeys/promotion:web:P-1")).text
        assert (await ida.post(f"{where}/submit")).status_code == 303
        assert "Say why." in (await ida.post(f"{where}/cancel", data={"reason": " "})).text
        early = await ida.post(f"{where}/end", data={"reason": "x"})
        assert early.status_code == 409
        assert "only one that has begun is ended" in early.text
        assert (await ida.post(f"{where}/cancel", data={"reason": "supplier"})).status_code == 303
        found = (await web.get("/api/v1/promotions/P-1")).json()
        assert found["state"] == "cancelled"
        assert (await ida.post("/console/promotions/P-9/cancel", data={"reason": "x"})).status_code == 404

    async def test_a_channel_that_is_not_right_stands_on_the_page(
        self, web: httpx2.AsyncClient, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        await web.post("/api/v1/promotions", json=promotion())
        await _told(retailer)
        page = (await (await sign_in("sam.ortega")).get("/console/journeys/promotion:web:P-1")).text
        assert "Prices at the channels" in page
        assert "shows another price" in page
        assert "1.29 USD" in page
        found = (await web.get("/api/v1/promotions/P-1")).json()
        (one,) = found["publications"]
        assert (one["channel"], one["prices"], one["right"], one["pending"]) == ("web", 2, 1, 1)


async def _told(retailer: ledger.engine.Database) -> None:
    """As if a channel had been told of two prices and showed one."""
    at = datetime.now(UTC)
    async with retailer.engine.begin() as conn:
        made = await conn.execute(
            insert(tables.publication)
            .values(journey_id="promotion:web:P-1", phase="publish", channel="web", prices=2, began_at=at)
            .returning(tables.publication.c.id)
        )
        number = made.scalar_one()
        for sku, state, seen in (("APPLE", "pending", 129), ("BREAD", "right", 103)):
            error = "shows another price" if state == "pending" else ""
            await conn.execute(
                insert(tables.price_publication).values(
                    publication_id=number, location="S1", sku=sku, valid_from=at, state=state, wanted_minor=103,
                    seen_minor=seen, attempts=1, error=error,
                )
            )  # fmt: skip


class TestPrices:
    async def test_the_narrowest_that_holds_counts_and_promotions_are_taken_off(self, web: httpx2.AsyncClient) -> None:
        past, later = "2020-01-01T00:00:00Z", "2098-01-01T00:00:00Z"
        rows_sent = [
            {"sku": "APPLE", "location": "S1", "effective_from": past, "price_minor": 200},
            {"sku": "APPLE", "location": "S1", "channel": "web", "effective_from": past, "price_minor": 100},
            {"sku": "APPLE", "location": "S1", "channel": "web", "effective_from": later, "price_minor": 90},
        ]
        for kept in ({"written": 3, "unchanged": 0}, {"written": 0, "unchanged": 3}):
            assert (await web.put("/api/v1/prices", json={"prices": rows_sent})).json() == kept
        for query, minor in (("channel=web", 100), ("channel=pos", 200), ("channel=web&at=2098-02-01T00:00:00Z", 90)):
            found = (await web.get(f"/api/v1/prices?location=S1&sku=APPLE&{query}")).json()
            assert (found["regular_minor"], found["price_minor"], found["currency"]) == (minor, minor, "USD"), query
        assert (await web.get("/api/v1/prices?location=S2&sku=APPLE&channel=web")).json()["price_minor"] == 129
        made = await web.post("/api/v1/promotions", json=promotion())
        assert made.status_code == 201, made.text
        at = (await web.get("/api/v1/promotions/P-1")).json()["starts_at"]
        found = (
            await web.get("/api/v1/prices", params={"location": "S1", "sku": "APPLE", "channel": "web", "at": at})
        ).json()
        assert (found["regular_minor"], found["price_minor"]) == (100, 80)

    @pytest.mark.parametrize(
        ("change", "code", "pointer"),
        [
            ({"sku": "PEAR"}, "unknown_sku", "/prices/1/sku"),
            ({"location": "S7"}, "unknown_location", "/prices/1/location"),
            ({"price_minor": -1}, "malformed", "/prices/1/price_minor"),
            ({"effective_from": "2020-01-01"}, "malformed", "/prices/1/effective_from"),
            ({}, "malformed", ""),
        ],
    )
    async def test_one_that_is_wrong_keeps_all_of_them_out(
        self, web: httpx2.AsyncClient, retailer: ledger.engine.Database, change: dict[str, Any], code: str, pointer: str
    ) -> None:
        good = {"sku": "APPLE", "location": "S1", "effective_from": "2020-01-01T00:00:00Z", "price_minor": 200}
        refused = await web.put("/api/v1/prices", json={"prices": [good, good | change]})
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
        assert refused.json()["errors"][0]["pointer"] == pointer
        assert await rows(retailer, tables.item_price) == []

    async def test_of_a_place_that_is_not_seen_nothing_is_said(self, as_key: As) -> None:
        query = "channel=web&sku=APPLE"
        assert (await as_key("sol").get(f"/api/v1/prices?{query}&location=S1")).status_code == 404
        assert (await as_key("sol").get(f"/api/v1/prices?{query}&location=S9")).status_code == 200
        assert (await as_key("web").get("/api/v1/prices?channel=web&sku=PEAR&location=S1")).status_code == 404
