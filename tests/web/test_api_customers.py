"""Customers are forgotten by API: by a key that may, of its own source, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from tests.web.conftest import As
from tests.web.retail import order
from tests.web.test_api_orders import problem

ERASE = "/api/v1/customers:erase"
NOOR = {"email": "Noor@Example.com"}


async def test_who_has_an_order_under_way_is_forgotten_when_it_has_ended(web: httpx2.AsyncClient) -> None:
    assert (await web.post("/api/v1/bopis-orders", json=order("W-1"))).status_code == 201
    answer = (await web.post(ERASE, json=NOOR)).json()
    assert (answer["erased"], answer["waiting"]) == (0, ["bopis:web:W-1"])


async def test_of_an_order_that_is_over_nothing_personal_is_left(web: httpx2.AsyncClient) -> None:
    assert (await web.post("/api/v1/bopis-orders", json=order("W-1"))).status_code == 201
    lines = [{"line_id": "1", "quantity": 2}]
    for number, kind in enumerate(("bopis.picked", "bopis.handed_over")):
        data = {"order_id": "W-1", "lines": lines, ("picker", "actor")[number]: "p1"}
        event = {"id": kind, "type": kind, "occurred_at": datetime.now(UTC).isoformat(), "data": data}
        answer = await web.post("/api/v1/events", json={"events": [event]})
        assert answer.json()["results"][0]["outcome"] == "accepted", answer.text
    assert (await web.post(ERASE, json={"journey_id": "bopis:web:W-1"})).json()["erased"] == 1
    problem(await web.post(ERASE, json=NOOR), 404, "not_found")


async def test_another_sources_customers_do_not_exist(as_key: As) -> None:
    assert (await as_key("web").post("/api/v1/bopis-orders", json=order("W-1"))).status_code == 201
    problem(await as_key("other").post(ERASE, json=NOOR), 404, "not_found")


async def test_a_key_without_the_scope_is_refused(standing_key: As) -> None:
    refused = problem(await standing_key("pos").post(ERASE, json=NOOR), 403, "insufficient_scope")
    assert "customers:erase" in refused["detail"]


@pytest.mark.parametrize("body", [{}, {"email": ""}, {**NOOR, "phone": "0123456"}, {"everybody": True}, []])
async def test_whom_is_named_by_one_thing(standing_key: As, body: Any) -> None:
    problem(await standing_key("web").post(ERASE, json=body), 422, "malformed")
