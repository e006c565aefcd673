"""Returns over HTTP: asked for, told of by events, read, called off; and nothing for sale before its disposition."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert

import ledger.engine
from ledger.tables import policy_document
from ledger.transaction import Transaction
from tests.web.conftest import As
from tests.web.retail import order

BREAD = "BREAD"


def event(kind: str, **data: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {"events": [{"id": uuid.uuid4().hex, "type": kind, "occurred_at": at, "data": data}]}


async def report(web: httpx2.AsyncClient, kind: str, **data: Any) -> str:
    answer = await web.post("/api/v1/events", json=event(kind, **data))
    return str(answer.json()["results"][0]["outcome"])


def body(**more: Any) -> dict[str, Any]:
    line = {"line_id": "1", "sku": BREAD, "quantity": 1, "reason": "changed_mind", **more.pop("line", {})}
    return {"return_id": "RT-1", "returned_to": "S1", "currency": "USD", "lines": [line], **more}


async def shelf(web: httpx2.AsyncClient) -> dict[str, Any]:
    (found,) = (await web.get(f"/api/v1/stock?location=S1&sku={BREAD}")).json()["items"]
    return dict(found)


@pytest.fixture
async def collected(web: httpx2.AsyncClient) -> str:
    """Two loaves that their customer has collected."""
    made = await web.post("/api/v1/bopis-orders", json=order("W-1", sku=BREAD, quantity=2))
    assert made.status_code == 201, made.text
    lines = [{"line_id": "1", "quantity": 2}]
    assert await report(web, "bopis.picked", order_id="W-1", picker="p", lines=lines) == "accepted"
    assert await report(web, "bopis.handed_over", order_id="W-1", lines=None, actor="p") == "accepted"
    return "W-1"


class TestAsking:
    async def test_it_is_answered_line_by_line_and_read_again(self, web: httpx2.AsyncClient, collected: str) -> None:
        made = await web.post("/api/v1/returns", json=body(order_reference=collected))
        assert made.status_code == 201, made.text
        answer = made.json()
        assert (answer["journey_id"], answer["state"]) == ("returns:web:RT-1", "authorized")
        assert answer["lines"][0]["refused"] == ""
        assert made.headers["location"] == "/api/v1/returns/returns:web:RT-1"
        for name in ("RT-1", "returns:web:RT-1"):
            seen = (await web.get(f"/api/v1/returns/{name}")).json()
            assert (seen["label"], seen["order"]) == (answer["label"], "bopis:web:W-1")
        listed = (await web.get("/api/v1/journeys?kind=returns")).json()["items"]
        assert [one["id"] for one in listed] == ["returns:web:RT-1"]

    async def test_the_same_again_is_200_and_another_body_is_refused(
        self, web: httpx2.AsyncClient, collected: str
    ) -> None:
        wanted = body(order_reference=collected)
        first = await web.post("/api/v1/returns", json=wanted)
        again = await web.post("/api/v1/returns", json=wanted)
        assert (again.status_code, again.json()) == (200, first.json())
        other = await web.post("/api/v1/returns", json=wanted | {"method": "mail"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            ({"order_reference": "W-404"}, 404, "not_found"),
            ({"order_reference": "W-1", "line": {"quantity": 3}}, 409, "already_returned"),
            ({"order_reference": "W-1", "line": {"sku": "APPLE"}}, 422, "unknown_line"),
            ({"order_reference": "W-1", "line": {"sku": "NOPE"}}, 422, "unknown_sku"),
            ({"order_reference": "W-1", "currency": "EUR"}, 422, "wrong_currency"),
            ({"returned_to": "S404"}, 422, "unknown_location"),
            ({"returned_to": None}, 422, "malformed"),
            ({"line": {"reason": "bored"}}, 422, "malformed"),
            ({"line": {"quantity": 0}}, 422, "malformed"),
            ({"method": "drone"}, 422, "malformed"),
            ({"order_reference": "W-1", "receipt": {"number": "1"}}, 422, "malformed"),
            ({"refund_minor": 1}, 422, "malformed"),
        ],
    )
    async def test_refused_by_name_and_nothing_is_written(
        self, web: httpx2.AsyncClient, collected: str, change: dict[str, Any], status: int, code: str
    ) -> None:
        answer = await web.post("/api/v1/returns", json=body(**change))
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert (await web.get("/api/v1/journeys?kind=returns")).json()["items"] == []

    async def test_another_systems_order_is_not_there(self, as_key: As, collected: str) -> None:
        answer = await as_key("other").post("/api/v1/returns", json=body(order_reference="bopis:web:W-1"))
        assert answer.status_code == 404

    async def test_called_off_once_and_not_after_its_goods_have_come(
        self, web: httpx2.AsyncClient, collected: str
    ) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        done = await web.post("/api/v1/returns/RT-1:cancel", json={"reason": "keeps_it"})
        assert (done.status_code, done.json()["state"]) == (200, "cancelled")
        again = await web.post("/api/v1/returns/RT-1:cancel", json={"reason": "keeps_it"})
        assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
        assert (await web.post("/api/v1/returns/NONE:cancel", json={})).status_code == 404


class TestNothingIsSoldBeforeItsDisposition:
    async def test_not_promised_sold_shipped_or_adjusted_to_the_shelf(
        self, web: httpx2.AsyncClient, collected: str
    ) -> None:
        before = await shelf(web)
        await web.post("/api/v1/returns", json=body(order_reference=collected, line={"quantity": 2}))
        lines = [{"line_id": "1", "quantity": 2}]
        assert await report(web, "return.received", return_id="RT-1", lines=lines) == "accepted"
        found = await shelf(web)
        assert found["buckets"]["customer_returned"] == 2
        assert found["buckets"]["available"] == before["buckets"]["available"]
        assert found["atp"] == before["atp"]
        left = found["buckets"]["available"]
        hold = {"hold_id": "H-9", "channel": "web", "lines": [
            {"line_id": "1", "sku": BREAD, "quantity": left + 1, "location": "S1"}]}  # fmt: skip
        held = (await web.post("/api/v1/holds", json=hold)).json()
        assert [line["reserved"] for line in held["lines"]] == [left]
        assert (await web.delete("/api/v1/holds/H-9")).status_code in (200, 204)
        resumed = await report(web, "item.sale_resumed", sku=BREAD, locations=["S1"])
        assert resumed == "accepted"
        assert (await shelf(web))["buckets"]["customer_returned"] == 2
        one = [{"line_id": "1", "quantity": 1, "condition": "damaged"}]
        assert await report(web, "return.inspected", return_id="RT-1", lines=one) == "accepted"
        assert (await shelf(web))["buckets"]["available"] == left  # destroyed
        one = [{"line_id": "1", "quantity": 1, "condition": "new"}]
        assert await report(web, "return.inspected", return_id="RT-1", lines=one) == "accepted"
        after = (await shelf(web))["buckets"]
        assert (after["available"], after["customer_returned"]) == (left + 1, 0)

    async def test_a_report_that_makes_no_sense_is_set_aside(self, web: httpx2.AsyncClient, collected: str) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        assert await report(web, "return.received", return_id="RT-1", lines=[]) == "quarantined"
        lines = [{"line_id": "1", "quantity": 1, "disposition": "sell"}]
        assert await report(web, "return.inspected", return_id="RT-1", lines=lines) == "quarantined"
        unknown = [{"line_id": "7", "quantity": 1}]
        assert await report(web, "return.inspected", return_id="RT-1", lines=unknown) == "quarantined"
        assert await report(web, "return.received", return_id="RT-9", lines=unknown) == "parked"
        assert (await shelf(web))["buckets"]["customer_returned"] == 0


class TestExchange:
    def wanted(self, **more: Any) -> dict[str, Any]:
        line = {"line_id": "1", "sku": BREAD, "quantity": 1, "unit_price_minor": 134}
        return {"lines": None, "order": {"order_id": "X-1", "prices_include_tax": True, "lines": [line], **more}}

    async def test_the_replacement_waits_and_goes_on_with_the_goods(
        self, web: httpx2.AsyncClient, collected: str
    ) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        made = await web.post("/api/v1/returns/RT-1:exchange", json=self.wanted())
        assert made.status_code == 201, made.text
        answer = made.json()
        assert (answer["state"], answer["order_journey_id"]) == ("waiting", "bopis:web:X-1")
        again = await web.post("/api/v1/returns/RT-1:exchange", json=self.wanted())
        assert (again.status_code, again.json()) == (200, answer)
        assert (await web.get(answer["links"]["order"])).json()["state"] == "placed"
        assert (
            await report(web, "return.received", return_id="RT-1", lines=[{"line_id": "1", "quantity": 1}])
            == "accepted"
        )
        seen = (await web.get("/api/v1/returns/RT-1")).json()["exchange"]
        assert (seen["order"], seen["state"], seen["lines"]) == ("bopis:web:X-1", "applied", ["1"])

    @pytest.mark.parametrize(
        ("change", "status", "code"),
        [
            (
                {"payments": [{"reference": "x", "tender": "exchange", "amount_minor": 1, "state": "captured"}]},
                422,
                None,
            ),
            ({"lines": []}, 422, ""),
            ({"hold": {"reason": "payment"}}, 422, ""),
            ({"pickup_location": "S404"}, 422, "unknown_location"),
            ({"payments": [{"reference": "x", "tender": "card", "amount_minor": 134, "state": "captured"}]}, 422, ""),
            ({"ship_to_home": True, "ship_from": "S1"}, 422, "malformed"),
            ({"ship_to_home": True, "customer": {"address": {"city": "Mainz"}}}, 409, "state_conflict"),
        ],
    )
    async def test_what_cannot_be_is_refused_by_name(
        self, web: httpx2.AsyncClient, collected: str, change: dict[str, Any], status: int, code: str
    ) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        refused = await web.post("/api/v1/returns/RT-1:exchange", json=self.wanted(**change))
        assert refused.status_code == status, refused.text
        assert not code or refused.json()["code"] == code
        assert (await web.get("/api/v1/returns/RT-1")).json()["exchange"] is None

    async def test_what_is_not_there_is_refused_and_the_return_is_money_again(
        self, web: httpx2.AsyncClient, collected: str
    ) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        line = {"line_id": "1", "sku": BREAD, "quantity": 99, "unit_price_minor": 499}
        refused = await web.post("/api/v1/returns/RT-1:exchange", json=self.wanted(lines=[line]))
        assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
        seen = (await web.get("/api/v1/returns/RT-1")).json()["exchange"]
        assert (seen["state"], seen["because"]) == ("off", "what the customer wants instead is not there")

    async def test_another_systems_return_is_not_there(
        self, as_key: As, web: httpx2.AsyncClient, collected: str
    ) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        refused = await as_key("other").post("/api/v1/returns/returns:web:RT-1:exchange", json=self.wanted())
        assert refused.status_code == 404

    async def test_a_payment_by_exchange_is_no_systems_to_make(self, web: httpx2.AsyncClient) -> None:
        wanted = order("W-9", sku=BREAD, quantity=1)
        wanted["payments"] = [wanted["payments"][0] | {"tender": "exchange"}]
        assert (await web.post("/api/v1/bopis-orders", json=wanted)).status_code == 422


class TestOverride:
    @pytest.fixture
    async def refused(self, web: httpx2.AsyncClient, collected: str, retailer: ledger.engine.Database) -> str:
        """A loaf that policy does not take back."""
        await final_sale(retailer)
        made = await web.post("/api/v1/returns", json=body(order_reference=collected))
        assert made.json()["state"] == "declined"
        return "RT-1"

    async def test_it_is_asked_once_and_read_with_the_return(self, web: httpx2.AsyncClient, refused: str) -> None:
        wanted = {"lines": ["1"], "reason": "goodwill", "note": "a regular"}
        line = (await web.get(f"/api/v1/returns/{refused}")).json()["lines"][0]
        assert (line["refused"], line["may_override"]) == ("final_sale", True)
        made = await web.post(f"/api/v1/returns/{refused}:override", json=wanted)
        assert made.status_code == 201, made.text
        assert (made.json()["state"], made.json()["asked_by_name"]) == ("pending", "key:web")
        again = await web.post(f"/api/v1/returns/{refused}:override", json=wanted)
        assert (again.status_code, again.json()) == (200, made.json())
        seen = (await web.get(f"/api/v1/returns/{refused}")).json()
        assert (seen["overrides"], seen["closed_at"], seen["state"]) == ([made.json()], None, "declined")
        approvals = (await web.get("/api/v1/approvals?kind=return_override")).json()["items"]
        assert [(one["id"], one["state"]) for one in approvals] == [(made.json()["approval_id"], "pending")]

    @pytest.mark.parametrize(
        ("wanted", "status", "pointer"),
        [
            ({"lines": ["1"], "reason": "because"}, 422, "/reason"),
            ({"lines": ["7"], "reason": "goodwill"}, 422, "/lines/0"),
            ({"lines": [], "reason": "goodwill"}, 422, "/lines"),
            ({"lines": ["1", "1"], "reason": "goodwill"}, 422, ""),
            ({"lines": ["1"]}, 422, "/reason"),
            ({"lines": ["1"], "reason": "goodwill", "by": "me"}, 422, "/by"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, web: httpx2.AsyncClient, refused: str, wanted: dict[str, Any], status: int, pointer: str
    ) -> None:
        answer = await web.post(f"/api/v1/returns/{refused}:override", json=wanted)
        found = (answer.status_code, answer.json()["errors"][0]["pointer"])
        assert found == (status, pointer), answer.text

    async def test_what_was_not_refused_and_what_is_not_theirs(
        self, web: httpx2.AsyncClient, as_key: As, collected: str
    ) -> None:
        await web.post("/api/v1/returns", json=body(order_reference=collected))
        wanted = {"lines": ["1"], "reason": "goodwill"}
        answer = await web.post("/api/v1/returns/RT-1:override", json=wanted)
        assert (answer.status_code, "Nothing of line 1 was refused" in answer.text) == (409, True)
        answer = await web.post("/api/v1/returns/RT-9:override", json=wanted)
        assert answer.status_code == 404


async def final_sale(retailer: ledger.engine.Database) -> None:
    async def work(tx: Transaction) -> None:
        row = {"version": "final", "effective_from": datetime(2020, 1, 2, tzinfo=UTC)}
        await tx.conn.execute(insert(policy_document).values(**row, body={"returns": {"final_sale_skus": [BREAD]}}))

    await retailer.write(work, actor="test", via="test")
