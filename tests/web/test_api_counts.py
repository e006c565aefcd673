"""Counts by the API: opened, entered blind, handed in, called off; and what is refused by name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tests.web.conftest import As


def figures(*lines: tuple[str, int], session: str = "tablet-1", counter: str = "crew-1", **more: Any) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    rows = [{"sku": sku, "quantity": quantity, "counted_at": at} for sku, quantity in lines]
    return {"session": session, "counter": counter, "lines": rows, **more}


async def opened(web: httpx2.AsyncClient, **more: Any) -> str:
    body = {"count_id": "C-1", "location": "S1", "skus": ["APPLE", "BREAD"], "reason": "manual", **more}
    answer = await web.post("/api/v1/counts", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["journey_id"])


class TestOpening:
    async def test_the_answer_has_the_lines_and_no_quantity(self, web: httpx2.AsyncClient) -> None:
        answer = await web.post("/api/v1/counts", json={"count_id": "C-1", "location": "S1", "skus": ["APPLE"]})
        assert answer.status_code == 201
        assert answer.json() == {
            "journey_id": "count:web:C-1", "state": "scheduled", "round": 1,
            "lines": [{"line_id": "APPLE", "sku": "APPLE", "state": "open"}],
            "links": {"self": "/api/v1/counts/count:web:C-1"},
        }  # fmt: skip
        assert answer.headers["location"] == "/api/v1/counts/count:web:C-1"

    async def test_the_same_again_is_200_and_another_body_is_refused(self, web: httpx2.AsyncClient) -> None:
        body = {"count_id": "C-1", "location": "S1", "skus": None}
        first = await web.post("/api/v1/counts", json=body)
        again = await web.post("/api/v1/counts", json=body)
        assert (again.status_code, again.json()) == (200, first.json())
        other = await web.post("/api/v1/counts", json={**body, "location": "S2"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"location": "S77"}, "unknown_location"),
            ({"skus": ["NOPE"]}, "unknown_sku"),
            ({"skus": []}, "too_short"),
            ({"reason": "boredom"}, "literal_error"),
            ({"due_at": "2020-01-01T00:00:00Z"}, "malformed"),
        ],
    )
    async def test_what_cannot_be_counted_is_refused_by_name(
        self, standing: httpx2.AsyncClient, change: dict[str, Any], code: str
    ) -> None:
        body = {"count_id": "C-refused", "location": "S1", "skus": ["APPLE"], **change}
        answer = await standing.post("/api/v1/counts", json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["code"] == code

    async def test_a_key_without_the_scope_is_refused(self, standing_key: As) -> None:
        answer = await standing_key("ana").post("/api/v1/counts", json={"count_id": "x", "location": "S1"})
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


class TestEntering:
    async def test_saved_line_by_line_and_safe_to_send_twice(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        body = figures(("APPLE", 10))
        first = await web.post(f"/api/v1/counts/{count}/entries", json=body)
        again = await web.post(f"/api/v1/counts/{count}/entries", json=body)
        assert first.status_code == again.status_code == 200, first.text
        assert first.json()["lines"] == again.json()["lines"]
        assert (first.json()["state"], first.json()["left"]) == ("in_progress", 1)
        assert "book" not in first.text

    async def test_by_the_callers_own_id_as_well(self, web: httpx2.AsyncClient) -> None:
        await opened(web)
        answer = await web.post("/api/v1/counts/C-1:submit", json=figures(("APPLE", 10), ("BREAD", 3)))
        assert (answer.status_code, answer.json()["state"]) == (200, "submitted")

    async def test_a_second_device_is_refused_by_name_until_it_takes_over(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        await web.post(f"/api/v1/counts/{count}/entries", json=figures(("APPLE", 10)))
        other = figures(("BREAD", 3), session="tablet-2", counter="crew-2")
        refused = await web.post(f"/api/v1/counts/{count}/entries", json=other)
        assert (refused.status_code, refused.json()["code"]) == (409, "counted_elsewhere")
        assert "crew-1" in refused.json()["detail"]
        taken = await web.post(f"/api/v1/counts/{count}/entries", json={**other, "take_over": True})
        assert taken.status_code == 200

    async def test_figures_after_it_was_handed_in_are_refused(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        await web.post(f"/api/v1/counts/{count}/entries", json=figures(("APPLE", 10), submit=True))
        late = await web.post(f"/api/v1/counts/{count}/entries", json=figures(("APPLE", 9)))
        assert (late.status_code, late.json()["code"]) == (409, "state_conflict")

    async def test_nothing_at_all_is_malformed(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        answer = await web.post(f"/api/v1/counts/{count}/entries", json=figures())
        assert answer.json()["code"] == "malformed"
        twice = await web.post(f"/api/v1/counts/{count}/entries", json=figures(("APPLE", 1), ("APPLE", 2)))
        assert (answer.status_code, twice.status_code) == (422, 422)

    async def test_the_future_is_malformed(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        body = figures(("APPLE", 1))
        body["lines"][0]["counted_at"] = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
        answer = await web.post(f"/api/v1/counts/{count}/entries", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


class TestReading:
    async def test_a_count_is_blind_until_it_was_compared(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        await web.post(f"/api/v1/counts/{count}/entries", json=figures(("APPLE", 10), submit=True))
        answer = await web.get(f"/api/v1/counts/{count}")
        assert answer.status_code == 200
        apple = answer.json()["lines"][0]
        assert (apple["state"], apple["book"], apple["difference"]) == ("counted", None, None)

    async def test_of_another_source_it_does_not_exist(self, web: httpx2.AsyncClient, as_key: As) -> None:
        count = await opened(web)
        other = as_key("other")
        assert (await other.get(f"/api/v1/counts/{count}")).status_code == 404
        entered = await other.post(f"/api/v1/counts/{count}/entries", json=figures(("APPLE", 1)))
        assert (entered.status_code, entered.json()["code"]) == (404, "not_found")
        cancelled = await other.post(f"/api/v1/counts/{count}:cancel", json={})
        assert cancelled.status_code == 404

    async def test_an_order_is_no_count(self, web: httpx2.AsyncClient) -> None:
        assert (await web.get("/api/v1/counts/bopis:web:W-1")).status_code == 404


class TestCallingOff:
    async def test_once(self, web: httpx2.AsyncClient) -> None:
        count = await opened(web)
        answer = await web.post(f"/api/v1/counts/{count}:cancel", json={"reason": "inventory is next week"})
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        again = await web.post(f"/api/v1/counts/{count}:cancel", json={})
        assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
