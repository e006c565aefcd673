"""Store hours over the API: an order's clocks run on the calendar and in the zone of its store."""

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from sqlalchemy import insert, update

from ledger import tables
from ledger.engine import Database
from ledger.transaction import Transaction
from tests.web.retail import order
from tests.web.test_api_events import event, send
from tests.web.test_api_orders import ORDERS


async def open_from_nine_to_nine(database: Database, location: str, zone: str, days: Any = range(6)) -> None:
    async def work(tx: Transaction) -> None:
        await tx.conn.execute(update(tables.location).where(tables.location.c.code == location).values(time_zone=zone))
        for day in days:
            await tx.conn.execute(
                insert(tables.opening_hours).values(location=location, weekday=day, opens=time(9), closes=time(21))
            )

    await database.write(work, actor="test", via="test")


async def pick_due(web: httpx2.AsyncClient, order_id: str) -> datetime:
    body = (await web.get(f"/api/v1/journeys/bopis:web:{order_id}")).json()
    return datetime.fromisoformat(next(due["at"] for due in body["dues"] if due["name"] == "pick_nag_2"))


async def place(web: httpx2.AsyncClient, order_id: str, placed_at: str, location: str = "S1", **more: Any) -> datetime:
    answer = await web.post(ORDERS, json=order(order_id, location=location, placed_at=placed_at, **more))
    assert answer.status_code == 201, answer.text
    return await pick_due(web, order_id)


class TestHours:
    async def test_saturday_evening_at_a_store_closed_on_sunday_is_picked_on_monday(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await open_from_nine_to_nine(retailer, "S1", "America/New_York")
        due = await place(web, "W-1", "2026-03-14T20:55:00-04:00")
        assert due.astimezone(ZoneInfo("America/New_York")) == datetime(
            2026, 3, 16, 11, tzinfo=ZoneInfo("America/New_York")
        )

    @pytest.mark.parametrize(
        ("placed_at", "due"),
        [
            ("2026-03-07T23:30:00-05:00", "2026-03-08T11:00:00-04:00"),  # the night that loses an hour
            ("2026-10-31T23:30:00-04:00", "2026-11-01T11:00:00-05:00"),  # the night that gains one
        ],
    )
    async def test_opening_is_by_the_stores_clock_on_the_day_it_changes(
        self, web: httpx2.AsyncClient, retailer: Database, placed_at: str, due: str
    ) -> None:
        await open_from_nine_to_nine(retailer, "S1", "America/New_York", range(7))
        assert await place(web, "W-1", placed_at) == datetime.fromisoformat(due)

    async def test_two_stores_of_two_zones_have_clocks_of_their_own(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await open_from_nine_to_nine(retailer, "S1", "America/New_York")
        await open_from_nine_to_nine(retailer, "S2", "America/Los_Angeles")
        placed_at = "2026-03-10T08:00:00-04:00"  # before either opens
        assert await place(web, "W-1", placed_at) == datetime.fromisoformat("2026-03-10T11:00:00-04:00")
        assert await place(web, "W-2", placed_at, "S2") == datetime.fromisoformat("2026-03-10T11:00:00-07:00")

    async def test_a_promise_comes_before_two_open_hours(self, web: httpx2.AsyncClient, retailer: Database) -> None:
        await open_from_nine_to_nine(retailer, "S1", "America/New_York")
        due = await place(web, "W-1", "2026-03-10T10:00:00-04:00", promised_at="2026-03-10T11:00:00-04:00")
        assert due == datetime.fromisoformat("2026-03-10T10:45:00-04:00")


class TestClosed:
    async def test_an_order_is_refused_by_name_and_taken_again_when_the_store_opens(
        self, web: httpx2.AsyncClient
    ) -> None:
        (said,) = await send(web, event("c-1", "location.status", {"location": "S1", "status": "closed"}))
        assert said["outcome"] == "accepted"
        refused = await web.post(ORDERS, json=order("W-1"))
        assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
        here = (await web.get("/api/v1/availability?sku=APPLE:1&near=S1")).json()
        assert "S1" not in [place["location"] for place in here["locations"]]
        await send(web, event("c-2", "location.status", {"location": "S1", "status": "open"}))
        here = (await web.get("/api/v1/availability?sku=APPLE:1&near=S1")).json()
        assert "S1" in [place["location"] for place in here["locations"]]

    async def test_a_misspelt_status_says_where(self, web: httpx2.AsyncClient) -> None:
        data = {"location": "S1", "status": "closed", "until": "tomorrow"}
        (said,) = await send(web, event("c-1", "location.status", data))
        assert (said["outcome"], said["problem"]["pointer"]) == ("quarantined", "/data/until")
