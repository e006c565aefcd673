"""Whoever asked for a transfer does not agree to it, and nobody agrees to what it was before: not on the page, not by
API, not by a link.
"""

from collections.abc import Callable

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.web.links import mailed, state_of
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.test_api_transfers import As, wanted

__all__ = ["accounts", "browse", "sign_in"]
LARGE = [{"line_id": "1", "sku": "APPLE", "quantity": 800}]  # at 0.70 each: a manager of the source must agree


async def asked_for(web: httpx2.AsyncClient, requested_by: str = "ana.ruiz") -> int:
    """One that Ana, the manager of the source, has asked for; returns the number of its approval."""
    made = await web.post("/api/v1/transfers", json=wanted(lines=LARGE, requested_by=requested_by))
    assert made.json()["state"] == "pending_approval", made.text
    return int(made.json()["approval_id"])


async def nothing_was_said(database: ledger.engine.Database, number: int) -> None:
    assert await state_of(database, number) == "pending"
    assert await rows(database, tables.approval_verdict) == []


async def test_by_api(web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database) -> None:
    number = await asked_for(web)
    answer = await as_key("ana").post(f"/api/v1/approvals/{number}/decisions", json={"verdict": "approve"})
    assert (answer.status_code, answer.json()["code"]) == (403, "own_request")
    await nothing_was_said(retailer, number)


async def test_on_the_page(web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    number = await asked_for(web)
    ana = await sign_in("ana.ruiz")
    answer = await ana.post(f"/console/approvals/{number}/verdict", data={"verdict": "approve"})
    assert answer.status_code == 403
    assert "cannot approve it" in answer.text
    await nothing_was_said(retailer, number)


async def test_by_link(
    web: httpx2.AsyncClient, browse: Callable[[], httpx2.AsyncClient], retailer: ledger.engine.Database
) -> None:
    number = await asked_for(web)
    client, path = browse(), await mailed(retailer, number)
    assert "Whoever asked for this cannot approve it" in (await client.get(path)).text
    assert (await client.post(path, data={"verdict": "approve"})).status_code == 403
    await nothing_was_said(retailer, number)


async def test_somebody_else_may(web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    number = await asked_for(web, requested_by="sam.ortega")
    ana = await sign_in("ana.ruiz")
    answer = await ana.post(f"/console/approvals/{number}/verdict", data={"verdict": "approve"})
    assert answer.status_code == 303, answer.text
    assert await state_of(retailer, number) == "approved"


class TestAnotherValueWhileSomebodyIsAsked:
    """800 apples are a manager's to agree to; 9,000 are finance's. Nobody agrees to what is not asked any more."""

    @pytest.fixture
    async def before(self, web: httpx2.AsyncClient) -> int:
        """The approval that a manager was asked for, before there were more apples."""
        number = await asked_for(web, requested_by="sam.ortega")
        lines = [{"line_id": "1", "sku": "APPLE", "quantity": 9_000}]
        changed = await web.post("/api/v1/transfers/T-1:amend", json={"lines": lines})
        assert (changed.status_code, changed.json()["state"]) == (200, "pending_approval"), changed.text
        assert changed.json()["approval_id"] != number
        return number

    async def nothing_moved(self, database: ledger.engine.Database, number: int) -> None:
        assert await state_of(database, number) == "superseded"
        assert await rows(database, tables.approval_verdict) == []
        assert [row["state"] for row in await rows(database, tables.journey)] == ["pending_approval"]
        assert [row["reserved"] for row in await rows(database, tables.transfer_line)] == [0]

    async def test_by_api(self, as_key: As, retailer: ledger.engine.Database, before: int) -> None:
        answer = await as_key("ana").post(f"/api/v1/approvals/{before}/decisions", json={"verdict": "approve"})
        assert (answer.status_code, answer.json()["code"]) == (409, "approval_superseded")
        await self.nothing_moved(retailer, before)

    async def test_on_the_page(self, sign_in: SignIn, retailer: ledger.engine.Database, before: int) -> None:
        ana = await sign_in("ana.ruiz")
        answer = await ana.post(f"/console/approvals/{before}/verdict", data={"verdict": "approve"})
        assert answer.status_code == 409
        await self.nothing_moved(retailer, before)

    async def test_by_link(
        self, browse: Callable[[], httpx2.AsyncClient], retailer: ledger.engine.Database, before: int
    ) -> None:
        client, path = browse(), await mailed(retailer, before)
        page = (await client.get(path)).text
        assert 'name="verdict"' not in page
        answer = await client.post(path, data={"verdict": "approve"})
        assert answer.status_code in (403, 409)
        await self.nothing_moved(retailer, before)

    async def test_the_new_value_is_not_a_managers(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database, before: int
    ) -> None:
        number = (await web.get("/api/v1/transfers/T-1")).json()["approval_id"]
        answer = await as_key("ana").post(f"/api/v1/approvals/{number}/decisions", json={"verdict": "approve"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
        await self.nothing_moved(retailer, before)
        asked = [row["roles"] for row in await rows(retailer, tables.approval) if row["id"] == number]
        assert [roles[0] for roles in asked] == ["finance"]
