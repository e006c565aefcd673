"""Cases of one cause at the console: one row in the queue, a page of their own, decided together or one by one."""

import re
from datetime import UTC, datetime

import httpx2
import pytest

from ledger.engine import Database
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import order

__all__ = ["accounts", "browse", "sign_in"]
ROW = re.compile(r'id="case-(\d+)"')


async def three(web: httpx2.AsyncClient, retailer: Database) -> list[int]:
    return [await failed_order(web, retailer, f"W-{number}") for number in range(3)]


class TestQueue:
    async def test_one_row_stands_for_all_and_unfolds(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        cases = await three(web, retailer)
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/console/queue")).text
        assert ROW.findall(page) == [str(cases[0])]
        assert f'<details class="cause" id="cause-{cases[0]}"><summary class="small">3 cases of one cause' in page
        for number in cases:
            assert f'href="/console/cases/{number}?tab=all' in page
            assert f'<input type="hidden" name="case" value="{number}">' in page
        assert "Decide the 3 together" in page
        assert "3 cases<span data-refreshes" in page  # cases are counted, not rows

    async def test_whoever_looks_for_one_order_or_for_their_own_sees_each(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        cases = await three(web, retailer)
        sam = await sign_in("sam.ortega")
        await sam.post(f"/console/cases/{cases[2]}/claim")
        for query, shown in (("order=W-1", [cases[1]]), ("tab=mine", [cases[2]]), ("tab=unassigned", [cases[0]])):
            page = (await sam.get(f"/console/queue?{query}")).text
            assert ROW.findall(page) == [str(number) for number in shown]
        assert "2 cases of one cause" in (await sam.get("/console/queue?tab=unassigned")).text

    async def test_the_walk_goes_through_each_of_them(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        cases = await three(web, retailer)
        sam = await sign_in("sam.ortega")
        answer = await sam.get(f"/console/cases/{cases[0]}/next?tab=all")
        assert answer.headers["location"].startswith(f"/console/cases/{cases[1]}?tab=all&at=")


class TestPage:
    async def test_it_lists_what_is_open_and_what_was_closed_and_leads_to_one_decision(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        cases = await three(web, retailer)
        sam = await sign_in("sam.ortega")
        found = re.search(r'href="(/console/parents/\d+)"', (await sam.get(f"/console/cases/{cases[0]}")).text)
        assert found is not None
        page = (await sam.get(found[1])).text
        assert "Reservation failed: Apple at" in page
        assert "3 open" in page
        assert "Decide the 3 together" in page
        cancelled = {"id": "e1", "type": "bopis.cancelled", "occurred_at": datetime.now(UTC).isoformat()}
        answer = await web.post("/api/v1/events", json={"events": [cancelled | {"data": {"order_id": "W-1"}}]})
        assert answer.json()["results"][0]["outcome"] == "accepted", answer.text
        page = (await sam.get(found[1])).text
        assert "2 open" in page
        assert "1 closed since then" in page

    @pytest.mark.parametrize("number", ["1", "999999", "9223372036854775808"])
    async def test_one_of_another_region_is_not_there(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Database, number: str
    ) -> None:
        await three(web, retailer)
        assert (await (await sign_in("sol.byrne")).get(f"/console/parents/{number}")).status_code == 404

    async def test_one_case_alone_has_none(self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Database) -> None:
        case_id = await failed_order(web, retailer, "W-1")
        await web.post("/api/v1/bopis-orders", json=order("W-2", quantity=1))
        sam = await sign_in("sam.ortega")
        assert "/console/parents/" not in (await sam.get(f"/console/cases/{case_id}")).text
        assert 'class="cause"' not in (await sam.get("/console/queue")).text
