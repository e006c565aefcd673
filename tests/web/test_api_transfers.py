"""Transfers by API: asked for alone and together, looked at, changed, called off; claims; who sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from ledger.engine import Database
from ledger.tables import webhook_delivery
from tests.web.retail import rows

As = Callable[[str], httpx2.AsyncClient]


def wanted(key: str = "T-1", **more: Any) -> dict[str, Any]:
    line = {"line_id": "1", "sku": "APPLE", "quantity": 2}
    return {"transfer_id": key, "from": "S1", "to": "S2", "reason": "rebalance", "lines": [line]} | more


async def event(web: httpx2.AsyncClient, number: int, kind: str, **data: Any) -> dict[str, Any]:
    body = {
        "id": f"e-{number}", "type": f"transfer.{kind}", "occurred_at": "2026-11-21T15:12:00Z",
        "data": {"transfer_id": "T-1", **data},
    }  # fmt: skip
    answer = await web.post("/api/v1/events", json={"events": [body]})
    return dict(answer.json()["results"][0])


class TestAsking:
    async def test_the_same_again_is_the_same_answer(self, web: httpx2.AsyncClient) -> None:
        first = await web.post("/api/v1/transfers", json=wanted())
        again = await web.post("/api/v1/transfers", json=wanted())
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.content == again.content
        assert first.headers["location"] == "/api/v1/transfers/transfer:web:T-1"
        assert first.json()["state"] == "ready_to_ship"

    async def test_another_body_under_the_id_is_refused(self, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/transfers", json=wanted())
        other = await web.post("/api/v1/transfers", json=wanted(to="S3"))
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"to": "S1"}, ""),
            ({"lines": []}, "/lines"),
            ({"reason": "because"}, "/reason"),
            ({"lines": [{"line_id": "1", "sku": "APPLE", "quantity": 0}]}, "/lines/0/quantity"),
            ({"lines": [{"line_id": "1", "sku": "APPLE", "quantity": 1}] * 2}, ""),
            ({"colour": "red"}, "/colour"),
            ({"to": "S99"}, "/to"),
            ({"lines": [{"line_id": "1", "sku": "NONE", "quantity": 1}]}, "/lines/0/sku"),
        ],
    )
    async def test_what_cannot_be_is_refused_by_name(
        self, web: httpx2.AsyncClient, retailer: Database, change: dict[str, Any], pointer: str
    ) -> None:
        answer = await web.post("/api/v1/transfers", json=wanted(**change))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
        async with retailer.read() as conn:
            assert (await conn.execute(text("SELECT count(*) FROM transfer"))).scalar() == 0

    async def test_in_a_batch_each_has_its_own_result(self, web: httpx2.AsyncClient) -> None:
        batch = {"transfers": [wanted("A"), wanted("B", to="S99"), {"transfer_id": "C"}, wanted("A"), wanted("D")]}
        results = (await web.post("/api/v1/transfers:batch", json=batch)).json()["results"]
        assert [(one["transfer_id"], one["status"]) for one in results] == [
            ("A", 201), ("B", 422), ("C", 422), ("A", 200), ("D", 201),
        ]  # fmt: skip
        assert results[1]["problem"]["instance"] == "/api/v1/transfers:batch#/transfers/1"
        again = (await web.post("/api/v1/transfers:batch", json=batch)).json()["results"]
        assert [one["status"] for one in again] == [200, 422, 422, 200, 200]

    async def test_of_one_batch_two_do_not_promise_the_same_unit(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        async with retailer.read() as conn:
            has = (
                await conn.execute(text("SELECT available FROM stock WHERE location = 'S1' AND sku = 'APPLE'"))
            ).scalar_one()
        lines = [{"line_id": "1", "sku": "APPLE", "quantity": has}]
        batch = {"transfers": [wanted("A", lines=lines), wanted("B", lines=lines)]}
        first, second = (await web.post("/api/v1/transfers:batch", json=batch)).json()["results"]
        assert first["body"]["lines"][0]["reserved"] + second["body"]["lines"][0]["reserved"] <= has
        assert second["body"]["state"] == "cancelled"


class TestFollowing:
    async def test_what_was_reported_is_shown(self, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/transfers", json=wanted())
        line = {"line_id": "1", "quantity": 2}
        shipped = await event(web, 1, "shipped", lines=[line], carrier="Parcel Co", tracking="PC-1", shipment_id="P-1")
        assert shipped["outcome"] == "accepted"
        assert (await event(web, 1, "shipped", lines=[line], carrier="Parcel Co", tracking="PC-1", shipment_id="P-1"))[
            "outcome"
        ] == "duplicate"
        received = [{"line_id": "1", "quantity": 1}, {"line_id": "1", "quantity": 1, "condition": "damaged"}]
        assert (await event(web, 2, "received", lines=received, complete=True))["outcome"] == "accepted"
        found = (await web.get("/api/v1/transfers/T-1")).json()
        assert (found["from"], found["to"], found["state"]) == ("S1", "S2", "received")
        assert (found["lines"][0]["received"], found["lines"][0]["damaged"]) == (1, 1)
        assert [(one["kind"], one["tracking"]) for one in found["parcels"]] == [("shipped", "PC-1"), ("received", None)]

    async def test_called_off_and_then_no_more(self, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/transfers", json=wanted())
        off = await web.post("/api/v1/transfers/T-1:cancel", json={"reason": "changed_plans"})
        assert (off.status_code, off.json()["state"]) == (200, "cancelled")
        again = await web.post("/api/v1/transfers/T-1:cancel", json={"reason": "changed_plans"})
        assert (again.status_code, again.json()["code"]) == (409, "state_conflict")

    async def test_one_that_is_agreed_is_not_changed(self, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/transfers", json=wanted())
        lines = [{"line_id": "1", "sku": "APPLE", "quantity": 1}]
        answer = await web.post("/api/v1/transfers/T-1:amend", json={"lines": lines})
        assert (answer.status_code, answer.json()["code"]) == (409, "state_conflict")

    async def test_an_unknown_one_and_another_systems_are_not_there(self, web: httpx2.AsyncClient, as_key: As) -> None:
        await web.post("/api/v1/transfers", json=wanted())
        assert (await as_key("other").get("/api/v1/transfers/transfer:web:T-1")).status_code == 404
        assert (await web.get("/api/v1/transfers/T-9")).status_code == 404
        assert (await web.get("/api/v1/carrier-claims/9")).status_code == 404

    async def test_webhooks_are_told_of_its_states(self, web: httpx2.AsyncClient, retailer: Database) -> None:
        hook = {"url": "https://shop.example/hook", "types": ["transfer.in_transit", "transfer.closed"]}
        assert (await web.post("/api/v1/webhooks", json=hook)).status_code == 201
        await web.post("/api/v1/transfers", json=wanted())
        await event(web, 1, "shipped", lines=None)
        await event(web, 2, "received", lines=None)
        assert [row["type"] for row in await rows(retailer, webhook_delivery)] == [
            "transfer.in_transit", "transfer.closed",
        ]  # fmt: skip
