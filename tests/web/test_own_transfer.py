"""Whoever asked for a transfer does not agree to it: not on the page, not by API, not by a link."""

from collections.abc import Callable

import httpx2

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


async def test_somebody_else_may(web: httpx2.AsyncClient, as_key: As) -> None:
    number = await asked_for(web, requested_by="sam.ortega")
    answer = await as_key("ana").post(f"/api/v1/approvals/{number}/decisions", json={"verdict": "approve"})
    assert answer.status_code == 200, answer.text
