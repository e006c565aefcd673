"""Holds over HTTP: promised in the answer, refused by name the second time, taken up by an order."""

from typing import Any

import httpx2
import pytest

from tests.web.retail import order
from tests.web.test_api_orders import ORDERS, As, problem

HOLDS = "/api/v1/holds"


def hold(key: str = "C-1", *, sku: str = "APPLE", quantity: int = 2, **more: Any) -> dict[str, Any]:
    lines = [{"line_id": "1", "sku": sku, "quantity": quantity, "location": "S1"}]
    return {"hold_id": key, "channel": "web", "lines": lines, **more}


class TestHolding:
    async def test_what_is_there_is_held_in_the_answer(self, web: httpx2.AsyncClient) -> None:
        response = await web.post(HOLDS, json=hold())
        assert response.status_code == 201, response.text
        body = response.json()
        assert (body["hold_id"], body["state"], body["lines"][0]["reserved"]) == ("C-1", "held", 2)
        stock = (await web.get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert (stock["buckets"]["available"], stock["atp"]["web"]) == (8, 8)

    async def test_the_same_again_is_the_same_answer(self, web: httpx2.AsyncClient) -> None:
        first, again = await web.post(HOLDS, json=hold()), await web.post(HOLDS, json=hold())
        assert (first.status_code, again.status_code, first.text) == (201, 200, again.text)

    async def test_it_is_extended_then_released_once(self, web: httpx2.AsyncClient) -> None:
        first = (await web.post(HOLDS, json=hold())).json()
        later = (await web.post(f"{HOLDS}/C-1:extend", json={"expires_in_s": 900})).json()
        assert later["expires_at"] > first["expires_at"]
        assert (await web.delete(f"{HOLDS}/C-1")).json()["state"] == "ended"
        body = problem(await web.delete(f"{HOLDS}/C-1"), 409, "hold_ended")
        assert "released already" in body["detail"]
        problem(await web.post(f"{HOLDS}/C-1:extend", json={"expires_in_s": 900}), 409, "hold_ended")

    async def test_an_order_takes_it_up_and_a_second_one_is_told(self, web: httpx2.AsyncClient) -> None:
        await web.post(HOLDS, json=hold(quantity=10))
        body = (await web.post(ORDERS, json=order("W-1", quantity=10, hold_id="C-1"))).json()
        assert body["state"] == "reserved"
        refused = problem(await web.post(ORDERS, json=order("W-2", quantity=1, hold_id="C-1")), 409, "hold_ended")
        assert "committed already" in refused["detail"]


class TestRefusals:
    async def test_nothing_to_hold_is_a_conflict(self, standing: httpx2.AsyncClient) -> None:
        body = problem(await standing.post(HOLDS, json=hold(sku="RARE")), 409, "not_enough_stock")
        assert body["errors"][0]["pointer"] == "/lines/0/quantity"

    async def test_an_unknown_item_is_pointed_at(self, standing: httpx2.AsyncClient) -> None:
        problem(await standing.post(HOLDS, json=hold(sku="GHOST")), 422, "unknown_sku")

    @pytest.mark.parametrize(
        "change",
        [{"lines": []}, {"expires_in_s": 0}, {"expires_in_s": 10**9}, {"hold_id": "a b"}, {"owner": "x"}],
    )
    async def test_what_is_no_hold_is_422(self, standing: httpx2.AsyncClient, change: dict[str, Any]) -> None:
        problem(await standing.post(HOLDS, json=hold() | change), 422, "malformed")

    async def test_two_lines_alike_are_422(self, standing: httpx2.AsyncClient) -> None:
        lines = hold()["lines"] * 2
        problem(await standing.post(HOLDS, json=hold() | {"lines": lines}), 422, "malformed")

    async def test_what_is_not_there_and_what_is_anothers_is_404(self, web: httpx2.AsyncClient, as_key: As) -> None:
        await web.post(HOLDS, json=hold())
        problem(await web.delete(f"{HOLDS}/C-404"), 404, "not_found")
        problem(await as_key("other").delete(f"{HOLDS}/C-1"), 404, "not_found")

    async def test_a_missing_scope_is_named(self, standing_key: As) -> None:
        problem(await standing_key("pos").post(HOLDS, json=hold()), 403, "insufficient_scope")
