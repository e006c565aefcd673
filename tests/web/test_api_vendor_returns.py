"""Vendor returns over HTTP: from goods that wait to the vendor's credit, each refusal by name."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.web.conftest import As
from tests.web.test_api_returns import BREAD, body, collected, report

__all__ = ["collected"]  # a fixture


def wanted(quantity: int = 2, **more: Any) -> dict[str, Any]:
    line = {"line_id": "1", "sku": BREAD, "quantity": quantity}
    return {"vendor_return_id": "VR-1", "vendor": "ACME", "location": "S1", "lines": [line], **more}


@pytest.fixture
async def claims(web: httpx2.AsyncClient, collected: str) -> httpx2.AsyncClient:
    """Two loaves wait to go back to their vendor."""
    await web.post("/api/v1/returns", json=body(order_reference=collected, line={"quantity": 2}))
    came = [{"line_id": "1", "quantity": 2}]
    assert await report(web, "return.received", return_id="RT-1", lines=came) == "accepted"
    looked = [{"line_id": "1", "quantity": 2, "condition": "used", "disposition": "return_to_vendor"}]
    assert await report(web, "return.inspected", return_id="RT-1", lines=looked) == "accepted"
    return web


async def test_gathered_authorised_shipped_credited(claims: httpx2.AsyncClient) -> None:
    made = await claims.post("/api/v1/vendor-returns", json=wanted())
    assert made.status_code == 201, made.text
    assert made.headers["location"] == "/api/v1/vendor-returns/vendor_return:web:VR-1"
    assert (await claims.post("/api/v1/vendor-returns", json=wanted())).status_code == 200
    path = "/api/v1/vendor-returns/VR-1"
    assert (await claims.post(f"{path}:authorize", json={"number": "RMA-1"})).json()["authorization"] == "RMA-1"
    sent = (await claims.post(f"{path}:ship", json={"carrier": "UPS"})).json()
    cost = sent["balance"]["cost_minor"]
    assert (sent["state"], sent["lines"][0]["shipped"], sent["balance"]["open_minor"]) == ("shipped", 2, cost)
    assert cost > 1
    note = {"reference": "CN-1", "amount_minor": cost - 1}
    assert (await claims.post(f"{path}:credit", json=note)).json()["state"] == "short_credited"
    done = (await claims.post(f"{path}:write-off", json={"reason": "a cent"})).json()
    assert (done["state"], done["balance"]["written_off_minor"]) == ("written_off", 1)
    seen = (await claims.get(path)).json()
    assert seen == done
    assert [one["reference"] for one in seen["credits"]] == ["CN-1"]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"location": "S404"}, 422, "unknown_location"),
        ({"lines": []}, 422, ""),
        ({"lines": [{"line_id": "1", "sku": "NOPE", "quantity": 1}]}, 422, "unknown_sku"),
        ({"lines": [{"line_id": "1", "sku": BREAD, "quantity": 3}]}, 409, "not_enough_stock"),
        ({"vendors": "ACME"}, 422, ""),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    claims: httpx2.AsyncClient, change: dict[str, Any], status: int, code: str
) -> None:
    refused = await claims.post("/api/v1/vendor-returns", json=wanted() | change)
    assert refused.status_code == status, refused.text
    assert not code or refused.json()["code"] == code


async def test_out_of_its_turn_and_without_the_scope(claims: httpx2.AsyncClient, as_key: As) -> None:
    await claims.post("/api/v1/vendor-returns", json=wanted())
    note = {"reference": "CN-1", "amount_minor": 1}
    refused = await claims.post("/api/v1/vendor-returns/VR-1:credit", json=note)
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
    assert (await as_key("pos").post("/api/v1/vendor-returns/VR-1:ship", json={})).status_code == 403
