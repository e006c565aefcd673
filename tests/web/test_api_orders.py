"""Orders over HTTP: what is there is reserved in the answer, a repeat is answered alike, nonsense is refused."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from ledger import tables
from ledger.engine import Database
from ledger.intake import Intake
from tests.web.conftest import MAX_BODY_BYTES
from tests.web.retail import order, rows

ORDERS = "/api/v1/bopis-orders"
As = Callable[[str], httpx2.AsyncClient]


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    body: dict[str, Any] = response.json()
    assert (body["code"], body["status"]) == (code, status)
    assert {"type", "title", "detail", "instance"} <= body.keys()
    return body


class TestPlacing:
    async def test_what_is_there_is_reserved_in_the_answer(self, web: httpx2.AsyncClient) -> None:
        response = await web.post(ORDERS, json=order("W-1"))
        assert response.status_code == 201, response.text
        body = response.json()
        assert body["journey_id"] == "bopis:web:W-1"
        assert body["state"] == "reserved"
        assert body["lines"] == [{"line_id": "1", "sku": "APPLE", "quantity": 2, "reserved": 2, "short": 0}]
        assert body["links"]["self"] == "/api/v1/journeys/bopis:web:W-1" == response.headers["location"]
        stock = (await web.get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert (stock["buckets"]["available"], stock["buckets"]["reserved"], stock["on_hand"]) == (8, 2, 10)

    async def test_what_is_not_there_is_said(self, web: httpx2.AsyncClient) -> None:
        body = (await web.post(ORDERS, json=order("W-1", sku="BREAD", quantity=5))).json()
        assert body["state"] == "reservation_failed"
        assert [(line["reserved"], line["short"]) for line in body["lines"]] == [(3, 2)]

    async def test_the_same_again_gets_the_same_body_and_reserves_nothing_more(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        first = await web.post(ORDERS, json=order("W-1"))
        second = await web.post(ORDERS, json=order("W-1"))
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json() == second.json()
        assert len(await rows(retailer, tables.hold)) == 1

    async def test_one_key_at_the_same_moment_makes_one_order(
        self, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        headers = {"Idempotency-Key": "retry-1"}
        answers = await asyncio.gather(*(web.post(ORDERS, json=order("W-1"), headers=headers) for _ in range(8)))
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 7}
        assert len({answer.text for answer in answers}) == 1
        assert len(await rows(retailer, tables.journey)) == 1

    async def test_the_last_units_are_promised_once(self, web: httpx2.AsyncClient) -> None:
        wanted = [web.post(ORDERS, json=order(f"W-{number}", quantity=1)) for number in range(25)]
        states = Counter(answer.json()["state"] for answer in await asyncio.gather(*wanted))
        assert states == {"reserved": 10, "reservation_failed": 15}
        stock = (await web.get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert (stock["buckets"]["available"], stock["buckets"]["reserved"], stock["atp"]["web"]) == (0, 10, 0)


_LINE = {"line_id": "1", "sku": "APPLE", "quantity": 1, "unit_price_minor": 100}


class TestBothWaysIn:
    """An order without an `Idempotency-Key` takes a shorter way through the framework; it is told the same."""

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"placed_at": "yesterday"}, id="no instant"),
            pytest.param({"placed_at": "2026-11-21T10:00:00"}, id="no zone"),
            pytest.param({"placed_at": 5}, id="an instant as a number"),
            pytest.param({"order_id": None}, id="nothing"),
            pytest.param({"order_id": ""}, id="too short"),
            pytest.param({"lines": []}, id="no lines"),
            pytest.param({"lines": "APPLE"}, id="no list"),
            pytest.param({"lines": [{**_LINE, "quantity": "1"}]}, id="a number as a text"),
            pytest.param({"lines": [{**_LINE, "quantity": 1.0}]}, id="a whole number with a point"),
            pytest.param({"lines": [{**_LINE, "quantity": True}]}, id="a truth as a number"),
            pytest.param({"lines": [{**_LINE, "tax": {"a": 1}}]}, id="an object as a list"),
            pytest.param({"lines": [_LINE, _LINE]}, id="twice the same line"),
            pytest.param({"prices_include_tax": "perhaps"}, id="no truth"),
            pytest.param({"hold": {"reason": "mood"}}, id="no such reason"),
            pytest.param({"surprise": 1}, id="an unknown field"),
            pytest.param({"payments": []}, id="sums differ"),
        ],
    )
    async def test_a_body_is_refused_in_the_same_words(self, standing_key: As, wrong: dict[str, Any]) -> None:
        body = order("W-1") | wrong
        straight = await standing_key("web").post(ORDERS, json=body)
        usual = await standing_key("web").post(ORDERS, json=body, headers={"Idempotency-Key": "k"})
        problem(straight, 422, "malformed")
        assert straight.json() == usual.json()
        assert dict(straight.headers) == dict(usual.headers)

    @pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"7"])
    async def test_what_is_no_order_is_refused_in_the_same_words(self, standing_key: As, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        straight = await standing_key("web").post(ORDERS, content=body, headers=headers)
        usual = await standing_key("web").post(ORDERS, content=body, headers={**headers, "Idempotency-Key": "k"})
        problem(straight, 422, "malformed")
        assert straight.json() == usual.json()

    @pytest.mark.parametrize("name", ["", "gone", "pos"])
    async def test_a_key_is_judged_before_the_body(self, standing_key: As, name: str) -> None:
        straight = await standing_key(name).post(ORDERS, json={})
        usual = await standing_key(name).post(ORDERS, json={}, headers={"Idempotency-Key": "k"})
        assert straight.status_code in {401, 403}
        assert straight.json() == usual.json()

    async def test_an_order_is_answered_alike(self, web: httpx2.AsyncClient) -> None:
        straight = await web.post(ORDERS, json=order("W-1"))
        usual = await web.post(ORDERS, json=order("W-1"), headers={"Idempotency-Key": "k"})
        assert (straight.status_code, usual.status_code) == (201, 200)
        assert straight.text == usual.text
        assert dict(straight.headers) == dict(usual.headers)


class TestRefusals:
    async def test_the_same_id_with_another_body_is_named(self, web: httpx2.AsyncClient) -> None:
        await web.post(ORDERS, json=order("W-1"))
        problem(await web.post(ORDERS, json=order("W-1", quantity=3)), 422, "idempotency_mismatch")

    async def test_the_same_key_with_another_order_is_named(self, web: httpx2.AsyncClient, retailer: Database) -> None:
        headers = {"Idempotency-Key": "key-1"}
        await web.post(ORDERS, json=order("W-1"), headers=headers)
        problem(await web.post(ORDERS, json=order("W-2"), headers=headers), 422, "idempotency_mismatch")
        assert [row["key"] for row in await rows(retailer, tables.journey)] == ["W-1"]

    @pytest.mark.parametrize("key", ["", "a b", "é", "x" * 201])
    async def test_a_key_that_is_none_is_refused(self, standing: httpx2.AsyncClient, key: str) -> None:
        headers = httpx2.Headers([(b"Idempotency-Key", key.encode())])
        problem(await standing.post(ORDERS, json=order("W-1"), headers=headers), 422, "malformed")

    async def test_an_unknown_sku_is_pointed_at(
        self, standing: httpx2.AsyncClient, standing_retailer: Database
    ) -> None:
        body = problem(await standing.post(ORDERS, json=order("W-1", sku="GHOST")), 422, "unknown_sku")
        assert body["errors"][0]["pointer"] == "/lines/0/sku"
        assert "GHOST" in body["detail"]
        assert await rows(standing_retailer, tables.journey) == []

    async def test_an_unknown_location_is_pointed_at(self, standing: httpx2.AsyncClient) -> None:
        body = problem(await standing.post(ORDERS, json=order("W-1", location="S404")), 422, "unknown_location")
        assert body["errors"][0]["pointer"] == "/pickup_location"

    async def test_another_currency_than_the_stores_is_refused(self, standing: httpx2.AsyncClient) -> None:
        problem(await standing.post(ORDERS, json=order("W-1", currency="EUR")), 422, "wrong_currency")

    async def test_sums_that_do_not_agree_are_refused(self, standing: httpx2.AsyncClient) -> None:
        body = problem(await standing.post(ORDERS, json=order("W-1", payments=[])), 422, "malformed")
        assert "payments sum to 0" in body["detail"]

    @pytest.mark.parametrize(
        "quantity", ["0", "-1", "9223372036854775808", "1.5", '"1"', "NaN", "1e400", "null", "true"]
    )
    async def test_a_quantity_that_is_no_count_is_422(
        self, standing: httpx2.AsyncClient, standing_retailer: Database, quantity: str
    ) -> None:
        body = json.dumps(order("W-1")).replace('"quantity": 2', f'"quantity": {quantity}')
        assert f'"quantity": {quantity}' in body
        response = await standing.post(ORDERS, content=body, headers={"content-type": "application/json"})
        assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
        assert await rows(standing_retailer, tables.journey) == []

    @pytest.mark.parametrize("field", ["journey_id", "state", "owner_id", "region", "version", "created_at"])
    async def test_a_field_that_is_not_the_callers_is_refused(self, standing: httpx2.AsyncClient, field: str) -> None:
        body = problem(await standing.post(ORDERS, json=order("W-1") | {field: "x"}), 422, "malformed")
        assert body["errors"][0]["pointer"] == f"/{field}"

    @pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"order"', b"", b'{"order_id": "W-1", "order_id": "W-2"}'])
    async def test_what_is_no_order_is_422(self, standing: httpx2.AsyncClient, body: bytes) -> None:
        response = await standing.post(ORDERS, content=body, headers={"content-type": "application/json"})
        assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")

    async def test_a_body_that_is_too_large_is_413(self, standing: httpx2.AsyncClient) -> None:
        problem(await standing.post(ORDERS, json=order("W-1", channel="x" * MAX_BODY_BYTES)), 413, "body_too_large")

    @pytest.mark.parametrize("text", ["\x00", "\ud800", "a\x00b"])
    async def test_a_text_that_cannot_be_stored_is_422(self, standing: httpx2.AsyncClient, text: str) -> None:
        body = json.dumps(order("W-1") | {"customer": {"name": text}})
        response = await standing.post(ORDERS, content=body, headers={"content-type": "application/json"})
        problem(response, 422, "bad_character")

    async def test_money_beyond_what_is_stored_is_never_500(self, standing: httpx2.AsyncClient) -> None:
        line = {"line_id": "1", "sku": "APPLE", "quantity": 1_000_000, "unit_price_minor": 10**12}
        response = await standing.post(ORDERS, json=order("W-1", lines=[line], payments=[]))
        problem(response, 422, "malformed")


class TestBatch:
    async def test_each_order_has_its_own_result(self, web: httpx2.AsyncClient) -> None:
        wrong: dict[str, Any] = order("W-3") | {"lines": []}
        batch = {"orders": [order("W-1"), order("W-2", sku="GHOST"), wrong, order("W-1"), {"order_id": 7}]}
        response = await web.post(f"{ORDERS}:batch", json=batch)
        assert response.status_code == 200, response.text
        results = response.json()["results"]
        assert [(one["order_id"], one["status"]) for one in results] == [
            ("W-1", 201), ("W-2", 422), ("W-3", 422), ("W-1", 200), (None, 422),
        ]  # fmt: skip
        assert results[0]["body"] == results[3]["body"]
        assert results[1]["problem"]["code"] == "unknown_sku"
        assert results[2]["problem"]["errors"][0]["pointer"] == "/lines"

    @pytest.mark.parametrize("orders", [[], [{}] * 1001])
    async def test_none_or_too_many_are_refused(self, standing: httpx2.AsyncClient, orders: list[Any]) -> None:
        problem(await standing.post(f"{ORDERS}:batch", json={"orders": orders}), 422, "malformed")


class TestBusy:
    async def test_too_many_at_once_are_told_to_come_again(
        self, app: Any, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        app.state.intake = Intake(retailer, max_waiting=0)
        response = await web.post(ORDERS, json=order("W-1"))
        problem(response, 503, "busy")
        assert int(response.headers["retry-after"]) >= 1
        batch = (await web.post(f"{ORDERS}:batch", json={"orders": [order("W-1")]})).json()
        assert batch["results"][0]["problem"]["code"] == "busy"
        assert await rows(retailer, tables.journey) == []

    async def test_every_order_of_a_request_is_answered_in_its_place(self, web: httpx2.AsyncClient) -> None:
        # Short ones, since this application takes 50,000 bytes.
        orders = [_short(number) for number in range(150)]
        results = (await web.post(f"{ORDERS}:batch", json={"orders": orders})).json()["results"]
        assert [one["order_id"] for one in results] == [one["order_id"] for one in orders]
        states = Counter(one["body"]["state"] for one in results)
        assert states == {"reserved": 50, "reservation_failed": 100}


def _short(number: int) -> dict[str, Any]:
    line = {"line_id": "1", "sku": "APPLE", "quantity": 1, "unit_price_minor": 0}
    return {"order_id": f"B-{number}", "channel": "w", "pickup_location": "S2", "currency": "USD", "lines": [line]}


class TestKeys:
    async def test_without_a_key_nothing_is_told(self, standing_key: As) -> None:
        response = await standing_key("").post(ORDERS, json=order("W-1"))
        problem(response, 401, "missing_key")
        assert response.headers["www-authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("name", ["gone", "never-made"])
    async def test_a_revoked_and_an_unknown_key_are_alike(self, standing_key: As, name: str) -> None:
        problem(await standing_key(name).post(ORDERS, json=order("W-1")), 401, "unknown_key")

    @pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Basic YTpi", "Bearer " + "x" * 5000, "Bearer é"])
    async def test_what_is_no_key_is_401(self, standing_key: As, authorization: str) -> None:
        headers = httpx2.Headers([(b"Authorization", authorization.encode())])
        assert (await standing_key("").get("/api/v1/journeys", headers=headers)).status_code == 401

    async def test_a_missing_scope_is_named(self, standing_key: As) -> None:
        body = problem(await standing_key("pos").post(ORDERS, json=order("W-1")), 403, "insufficient_scope")
        assert "orders:write" in body["detail"]

    async def test_above_its_limit_a_key_has_to_wait(self, app: Any, as_key: As) -> None:
        from web.keys import Limits

        app.state.limits = Limits(3)
        web, pos = as_key("web"), as_key("pos")
        assert [(await web.get("/api/v1/journeys")).status_code for _ in range(4)] == [200, 200, 200, 429]
        response = await web.get("/api/v1/journeys")
        problem(response, 429, "too_many_requests")
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert (await pos.get("/api/v1/journeys")).status_code == 200

    async def test_guessing_keys_is_slowed_down(self, as_key: As) -> None:
        from web.keys import WRONG_KEYS_PER_MINUTE

        guesser = as_key("never-made")
        for _ in range(WRONG_KEYS_PER_MINUTE):
            assert (await guesser.get("/api/v1/journeys")).status_code == 401
        problem(await guesser.get("/api/v1/journeys"), 429, "too_many_requests")
        # A neighbour behind the same proxy whose key was revoked must not stop the shop's orders.
        assert (await as_key("web").get("/api/v1/journeys")).status_code == 200


class TestPointing:
    async def test_one_wrong_quantity_is_one_error(self, standing: httpx2.AsyncClient) -> None:
        body = order("P-1")
        body["lines"][0]["quantity"] = -1
        found = problem(await standing.post(ORDERS, json=body), 422, "malformed")
        assert "/lines/0/quantity" in [error["pointer"] for error in found["errors"]]
        assert "/lines" not in [error["pointer"] for error in found["errors"]]

    async def test_no_lines_at_all_are_too_few(self, standing: httpx2.AsyncClient) -> None:
        found = problem(await standing.post(ORDERS, json=order("P-1", lines=[])), 422, "malformed")
        assert [error["pointer"] for error in found["errors"]] == ["/lines"]


class TestInstants:
    """An instant that no calendar reaches is refused at its field, before anything is reckoned with it."""

    @pytest.mark.parametrize("field", ["placed_at", "promised_at"])
    @pytest.mark.parametrize(
        "instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2101-01-01T00:00:00Z"]
    )
    async def test_of_an_order(self, standing: httpx2.AsyncClient, field: str, instant: str) -> None:
        response = await standing.post("/api/v1/bopis-orders", json=order("I-1") | {field: instant})
        assert [error["pointer"] for error in problem(response, 422, "malformed")["errors"]] == [f"/{field}"]
