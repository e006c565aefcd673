"""Looks at a promotion, for systems and on pages: what was found, drawn and said, and what was proposed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx2
from sqlalchemy import text

from domain.looks import Course
from ledger.engine import Database
from ledger.look.looking import look
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import promotion
from web.line_chart import BASE, lines

__all__ = ["accounts", "browse", "sign_in"]
ABOUT = "promotion:web:P-1"
PAGE = f"/console/journeys/{ABOUT}"
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


async def stocked(web: httpx2.AsyncClient, location: str, units: int) -> None:
    line = {"sku": "APPLE", "quantity": units, "unit_cost_minor": 70}
    told = {"id": f"stock-{location}", "type": "stock.received", "occurred_at": (NOW - 3 * HOUR).isoformat(),
            "data": {"location": location, "document": f"D-{location}", "lines": [line]}}  # fmt: skip
    assert (await web.post("/api/v1/events", json={"events": [told]})).status_code == 200


async def that_runs(web: httpx2.AsyncClient, retailer: Database) -> None:
    """It began two hours ago at two stores, and one of them sold out of all proportion since."""
    await stocked(web, "S1", 40)
    await stocked(web, "S2", 600)
    made = await web.post("/api/v1/promotions", json=promotion(locations=["S1", "S2"]))
    assert made.status_code == 201, made.text
    async with retailer.engine.begin() as conn:
        given = {"id": ABOUT, "begins": NOW - 2 * HOUR, "ends": NOW + 70 * HOUR}
        await conn.execute(text("UPDATE journey SET state = 'active' WHERE id = :id"), {"id": ABOUT})
        await conn.execute(
            text("UPDATE promotion SET state = 'active', starts_at = :begins, ends_at = :ends WHERE journey_id = :id"),
            given,
        )
    sales = [
        {
            "id": f"sale-{number}", "type": "pos.sale", "occurred_at": (NOW - HOUR).isoformat(),
            "data": {
                "location": "S1", "receipt": f"R-{number}",
                "lines": [{"line": "1", "sku": "APPLE", "quantity": 1, "unit_price_minor": 103, "promotion_id": "P-1"}],
            },
        }
        for number in range(25)
    ]  # fmt: skip
    assert (await web.post("/api/v1/events", json={"events": sales})).status_code == 200
    assert await look(retailer, ABOUT, "one", NOW) is not None


class TestSystems:
    async def test_they_read_the_latest_look_with_its_places_and_proposals(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await that_runs(web, retailer)
        found = (await web.get("/api/v1/promotions/P-1/looks/latest")).json()
        figures = found["look"]["figures"]
        assert (figures["sold_units"], figures["forecast_units"], figures["surging"]) == (25, 50, 1)
        assert (figures["revenue_minor"], figures["cost_minor"]) == (25 * 103, 25 * 70)
        assert found["look"]["margin_permille"] == 320
        assert [one["location"] for one in found["places"]] == ["S1", "S2"]
        assert found["places"][0]["state"] == "surge"
        (proposed,) = found["proposals"]
        assert (proposed["from_location"], proposed["to_location"]) == ("S2", "S1")
        assert proposed["transfer_state"] == "ready_to_ship"
        assert "25 receipts in the last 2 hours" in proposed["because"]
        sold = [one["sold"] for one in found["course"] if one["sold"] is not None]
        assert sold[-1] == 25
        transfer = (await web.get(f"/api/v1/transfers/{proposed['transfer_id']}")).json()
        assert transfer["reason"] == "rebalance"

    async def test_looks_are_listed_the_latest_first_page_by_page(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await that_runs(web, retailer)
        await look(retailer, ABOUT, "two", NOW + HOUR)
        first = (await web.get("/api/v1/promotions/P-1/looks?limit=1")).json()
        assert [one["number"] for one in first["items"]] == [2]
        second = (await web.get(f"/api/v1/promotions/P-1/looks?limit=1&cursor={first['next']}")).json()
        assert ([one["number"] for one in second["items"]], second["next"]) == ([1], None)

    async def test_one_that_was_not_looked_at_says_so(self, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/promotions", json=promotion())
        none = await web.get("/api/v1/promotions/P-1/looks/latest")
        assert (none.status_code, none.json()["code"]) == (404, "not_found")
        assert "not looked at yet" in none.json()["detail"]
        assert (await web.get("/api/v1/promotions/P-1/looks")).json() == {"items": [], "next": None}

    async def test_another_source_and_an_unknown_parameter_are_refused(
        self, web: httpx2.AsyncClient, retailer: Database, as_key: As
    ) -> None:
        await that_runs(web, retailer)
        stranger = as_key("other")
        for path in ("looks", "looks/latest"):
            assert (await stranger.get(f"/api/v1/promotions/{ABOUT}/{path}")).status_code == 404
            refused = await web.get(f"/api/v1/promotions/P-1/{path}?colour=red")
            assert refused.status_code == 422


class TestPages:
    async def test_its_page_draws_it_and_says_the_same_in_tables(
        self, web: httpx2.AsyncClient, retailer: Database, sign_in: SignIn
    ) -> None:
        await that_runs(web, retailer)
        sam = await sign_in("sam.ortega")
        shown = (await sam.get(PAGE)).text
        assert "Sold against forecast" in shown
        assert re.search(r"<polyline class=\"sold\" points=\"[\d., ]+\"", shown)
        assert "25 units sold so far" in shown
        assert "<b>Surges</b>: 25 receipts" in shown
        assert "Proposed between places" in shown
        assert "104 Apple" in shown
        assert "Place(" not in shown
        told = re.search(r"Store S2, 22 km away,[^<]*", shown)
        assert told is not None
        assert "has 650 beyond its safety stock" in told.group()
        table = shown[shown.index('id="by-place"') :].partition("</table>")[0]
        heads = re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table)
        assert heads[:5] == ["Place", "How it sells", "Cover, days", "Items short", "Sold"]
        first = table.partition("<tbody>")[2].partition("</tr>")[0]
        cells = re.findall(r'<td class="num"[^>]*>\s*([^<]*?)\s*</td>', first)
        assert len(cells) == len(heads) - 2
        assert re.fullmatch(r"\d\.\d", cells[0])  # days
        assert cells[1:3] == ["1", "25"]

    async def test_before_the_first_look_nothing_is_drawn(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await web.post("/api/v1/promotions", json=promotion())
        sam = await sign_in("sam.ortega")
        assert "Sold against forecast" not in (await sam.get(PAGE)).text

    async def test_the_first_page_says_what_runs_to_whom_it_concerns(
        self, web: httpx2.AsyncClient, retailer: Database, sign_in: SignIn
    ) -> None:
        await that_runs(web, retailer)
        sam = await sign_in("sam.ortega")
        shown = (await sam.get("/")).text
        assert "Promotions that run" in shown
        assert "<b>1</b> of 2" in shown
        sol = await sign_in("sol.byrne")
        assert "Promotions that run" not in (await sol.get("/")).text


class TestTheChart:
    def course(self, *points: tuple[int | None, float]) -> list[Course]:
        return [
            Course(until=NOW + number * HOUR, sold=sold, forecast=forecast)
            for number, (sold, forecast) in enumerate(points, start=1)
        ]

    def test_both_lines_begin_at_nothing_and_the_past_ends_now(self) -> None:
        drawn = lines("Sold", self.course((5, 4.0), (12, 8.0), (None, 16.0)))
        assert drawn is not None
        assert drawn.sold.split()[0] == drawn.forecast.split()[0] == f"{drawn.left},{BASE}"
        assert (len(drawn.sold.split()), len(drawn.forecast.split())) == (3, 4)
        assert drawn.forecast_end == (drawn.right, 26.0)
        assert drawn.sold_end is not None
        assert drawn.now_x == drawn.sold_end[0]
        assert drawn.summary.startswith("12 units sold so far, where 8 were forecast by now.")

    def test_what_is_sold_beyond_the_forecast_stays_in_the_picture(self) -> None:
        drawn = lines("Sold", self.course((90, 4.0), (None, 16.0)))
        assert drawn is not None
        assert drawn.sold_end == (360.0, 26.0)

    def test_without_points_there_is_no_picture(self) -> None:
        assert lines("Sold", []) is None
