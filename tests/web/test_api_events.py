"""Events over HTTP: each has its own outcome in the order sent, a repeat does nothing, nonsense is told apart."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from ledger import tables
from ledger.engine import Database
from tests.web.retail import order, rows
from tests.web.test_api_orders import ORDERS, problem

As = Callable[[str], httpx2.AsyncClient]
EVENTS = "/api/v1/events"


def event(number: str, event_type: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": number, "type": event_type, "occurred_at": datetime.now(UTC).isoformat(), "data": data, **more}


def pick(number: str = "e-pick", order_id: str = "W-1", quantity: int = 2) -> dict[str, Any]:
    lines = [{"line_id": "1", "quantity": quantity}]
    return event(number, "bopis.picked", {"order_id": order_id, "picker": "crew-7", "lines": lines})


def hand_over(number: str = "e-hand", order_id: str = "W-1") -> dict[str, Any]:
    return event(number, "bopis.handed_over", {"order_id": order_id, "actor": "crew-7", "lines": None})


async def send(client: httpx2.AsyncClient, *events: Any) -> list[dict[str, Any]]:
    response = await client.post(EVENTS, json={"events": list(events)})
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    assert len(results) == len(events)
    return results


class TestOutcomes:
    async def test_a_pick_and_a_hand_over_take_their_whole_effect(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        assert [one["outcome"] for one in await send(web, pick(), hand_over())] == ["accepted", "accepted"]
        body = (await web.get("/api/v1/journeys/bopis:web:W-1")).json()
        assert body["state"] == "collected"
        assert [(line["picked"], line["staged"], line["collected"]) for line in body["lines"]] == [(2, 0, 2)]
        by_journal: dict[int, int] = {}
        for line in body["postings"]:
            sums = by_journal.setdefault(line["journal_id"], 0)
            by_journal[line["journal_id"]] = sums + line["debit_minor"] - line["credit_minor"]
        assert len(by_journal) >= 2
        assert set(by_journal.values()) == {0}
        stock = (await web.get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert stock["on_hand"] == 8

    async def test_one_at_an_impossible_time_is_refused_alone(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        early, late = pick("e-early"), pick("e-late")
        early["occurred_at"], late["occurred_at"] = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"
        found = await send(web, early, pick(), late)
        assert [one["outcome"] for one in found] == ["refused", "accepted", "refused"]
        assert found[0]["problem"]["pointer"] == "/occurred_at"

    async def test_the_same_event_again_is_a_duplicate_and_does_nothing(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await web.post(ORDERS, json=order("W-1"))
        event_sent = pick()
        assert [one["outcome"] for one in await send(web, event_sent, event_sent)] == ["accepted", "duplicate"]
        assert [row["kind"] for row in await rows(retailer, tables.movement)].count("picked") == 1

    async def test_another_source_names_the_order_by_its_source(self, as_key: As) -> None:
        await as_key("web").post(ORDERS, json=order("W-1"))
        assert [one["outcome"] for one in await send(as_key("pos"), pick())] == ["accepted"]

    async def test_a_pick_before_its_order_is_parked_and_applied_when_it_comes(self, web: httpx2.AsyncClient) -> None:
        assert [one["outcome"] for one in await send(web, pick())] == ["parked"]
        await web.post(ORDERS, json=order("W-1"))
        line = (await web.get("/api/v1/journeys/bopis:web:W-1")).json()["lines"][0]
        assert (line["picked"], line["staged"]) == (2, 2)

    async def test_a_bad_one_does_not_stop_the_others(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        ghost = event(
            "e-2", "stock.received", {"location": "S1", "document": "D1", "lines": [{"sku": "GHOST", "quantity": 1}]}
        )
        results = await send(web, {"id": "e-1"}, ghost, pick(), event("e-4", "weather.changed", {}))
        assert [one["id"] for one in results] == ["e-1", "e-2", "e-pick", "e-4"]
        assert [one["outcome"] for one in results][:3] == ["refused", "quarantined", "accepted"]
        assert results[3]["outcome"] in {"refused", "quarantined"}
        assert results[1]["problem"]["code"] == "unknown_sku"
        assert all(one["problem"]["detail"] for one in results if one["outcome"] != "accepted")

    async def test_a_cancellation_after_the_hand_over_is_refused_by_name(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        cancel = event("e-3", "bopis.cancelled", {"order_id": "W-1"})
        results = await send(web, pick(), hand_over(), cancel)
        assert (results[2]["outcome"], results[2]["problem"]["code"]) == ("refused", "state_conflict")

    async def test_adjusting_stock_needs_its_scope(self, as_key: As) -> None:
        adjusted = {"location": "S1", "sku": "APPLE", "quantity": -1, "reason": "broken", "actor": "crew-7"}
        assert (await send(as_key("pos"), event("e-1", "stock.adjusted", adjusted)))[0]["outcome"] == "refused"
        assert (await send(as_key("web"), event("e-1", "stock.adjusted", adjusted)))[0]["outcome"] == "accepted"
        stock = (await as_key("web").get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert stock["on_hand"] == 9


class TestRefusals:
    @pytest.mark.parametrize(
        "body",
        [{}, {"events": []}, {"events": {}}, {"events": [1]}, {"events": [{}] * 1001}, {"events": [{}], "more": 1}, []],
    )
    async def test_what_is_no_batch_is_422(self, standing: httpx2.AsyncClient, body: Any) -> None:
        problem(await standing.post(EVENTS, json=body), 422, "malformed")

    async def test_reporting_needs_its_scope(self, standing_key: As) -> None:
        problem(await standing_key("mute").post(EVENTS, json={"events": [pick()]}), 403, "insufficient_scope")
        problem(await standing_key("").post(EVENTS, json={"events": [pick()]}), 401, "missing_key")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"occurred_at": "yesterday"}, {"occurred_at": "2026-01-01T00:00:00"}, {"id": ""}, {"id": "a b"}, {"id": 7},
            {"data": []}, {"data": None}, {"sequence": -1}, {"sequence": "1"}, {"type": 7}, {"by": "nobody"},
        ],
    )  # fmt: skip
    async def test_a_malformed_envelope_is_refused(self, standing: httpx2.AsyncClient, wrong: dict[str, Any]) -> None:
        result = (await send(standing, pick() | wrong))[0]
        assert result["outcome"] == "refused"
        assert result["problem"]["code"] == "malformed"
