"""A web process on a machine whose clock is hours off: what is recorded, and what ends when, goes by PostgreSQL's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import time_machine
from sqlalchemy import text

import ledger.engine
from tests.web.links import form_of, mailed, state_of
from tests.web.people import accounts, browse, sign_in
from tests.web.retail import an_approval, order
from tests.web.test_api_orders import ORDERS

__all__ = ["accounts", "browse", "sign_in"]
Browse = Callable[[], httpx2.AsyncClient]
As = Callable[[str], httpx2.AsyncClient]
OFF = [timedelta(hours=30), timedelta(hours=-30)]
NEAR = timedelta(minutes=5)  # whatever this machine has to do meanwhile


def off_by(shift: timedelta) -> time_machine.travel:
    """A machine whose clock is wrong by so much, and runs on."""
    return time_machine.travel(datetime.now(UTC) + shift, tick=True)


@pytest.mark.parametrize("shift", OFF)
async def test_an_order_is_of_its_time(
    web: httpx2.AsyncClient, retailer: ledger.engine.Database, shift: timedelta
) -> None:
    with off_by(shift):
        assert (await web.post(ORDERS, json=order("W-1"))).status_code == 201
        several = {"orders": [order("W-2"), order("W-3")]}
        answer = (await web.post(f"{ORDERS}:batch", json=several)).json()
        assert [one["status"] for one in answer["results"]] == [201, 201]
    async with retailer.read() as conn:
        rows = (await conn.execute(text("SELECT opened_at, recorded_at FROM journey"))).all()
    assert len(rows) == 3
    assert all(abs(opened - recorded) < NEAR for opened, recorded in rows)


@pytest.mark.parametrize("shift", OFF)
async def test_a_link_ends_when_it_was_to_end(
    retailer: ledger.engine.Database, browse: Browse, shift: timedelta
) -> None:
    approval_id = await an_approval(retailer)
    stands, over = await mailed(retailer, approval_id), await mailed(retailer, approval_id, hours=-1)
    browser = browse()
    with off_by(shift):
        assert (await browser.get(over)).status_code == 410
        page = await browser.get(stands)
        assert page.status_code == 200
    assert "expires=" not in page.headers["set-cookie"].lower()  # the browser's clock may be right
    given = {**form_of(page.text), "verdict": "approve"}
    with off_by(shift):
        assert (await browser.post(stands, data=given)).status_code == 303
    assert await state_of(retailer, approval_id) == "approved"


@pytest.mark.parametrize("shift", OFF)
async def test_a_difference_is_said_and_the_process_goes_on(as_key: As, shift: timedelta) -> None:
    with off_by(shift):
        answer = await as_key("").get("/readyz")
    check = answer.json()["checks"]["clock"]
    assert (answer.status_code, check["status"]) == (200, "warn")
    assert f"{'ahead of' if shift > timedelta(0) else 'behind'} the database's" in check["detail"]
