"""Transfers on the pages that all journeys share, and the page on which somebody agrees to one."""

from __future__ import annotations

from typing import Any

import httpx2

import ledger.engine
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.test_api_transfers import event, wanted
from tests.web.test_kpis import change

__all__ = ["accounts", "browse", "sign_in"]
PAGE = "/console/journeys/transfer:web:T-1"


async def short(web: httpx2.AsyncClient, **more: Any) -> None:
    """One that came short, as far as its workflow has not looked."""
    assert (await web.post("/api/v1/transfers", json=wanted(**more))).status_code == 201
    await event(web, 1, "shipped", lines=None, carrier="Parcel Co", tracking="PC-1", expected_at="2030-01-01T00:00:00Z")
    await event(web, 2, "received", lines=[{"line_id": "1", "quantity": 1}])


class TestItsPage:
    async def test_it_shows_what_is_on_its_way_and_who_carries_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient
    ) -> None:
        await short(web)
        page = (await (await sign_in("sam.ortega")).get(PAGE)).text
        assert "Transfer T-1" in page
        assert "Parcel Co" in page
        assert '<li class="here" aria-current="step"><span>Partially received</span>' in page
        assert "a case if it has not come by then" in page

    async def test_both_ends_see_it_and_nobody_else(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        await short(web, to="S9")
        sol = await sign_in("sol.byrne")
        assert (await sol.get(PAGE)).status_code == 200
        assert ">T-1</a>" in (await sol.get("/console/transfers")).text
        await change(retailer, "UPDATE transfer SET to_location = 'S2'")
        assert (await sol.get(PAGE)).status_code == 404
        assert ">T-1</a>" not in (await sol.get("/console/transfers")).text


class TestAgreeing:
    async def test_the_page_says_what_it_is_about_and_what_rejecting_does(
        self, sign_in: SignIn, web: httpx2.AsyncClient
    ) -> None:
        lines = [{"line_id": "1", "sku": "APPLE", "quantity": 800}]  # at 0.70 each
        made = (await web.post("/api/v1/transfers", json=wanted(lines=lines))).json()
        assert made["state"] == "pending_approval"
        page = (await (await sign_in("sam.ortega")).get(f"/console/approvals/{made['approval_id']}")).text
        assert "Transfer T-1: Store S1 to Store S2" in page
        assert "What Store S1 can promise of it by then is reserved there, and is to be sent." in page
        assert "nothing is reserved, nothing is sent" in page
        assert "Transfer: Transfer" not in page
        assert "800" in page
