"""Adjustments by API and from the page of an item: posted, asked for, refused by name."""

import re
from typing import Any

import httpx2
import pytest

from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.test_api_orders import problem

__all__ = ["accounts", "browse", "sign_in"]  # fixtures
ADJUSTMENTS = "/api/v1/adjustments"
PAGE = "/console/stock?location=S1&sku=APPLE"


def body(key: str = "A-1", quantity: int = -2, reason: str = "damaged", **more: Any) -> dict[str, Any]:
    lines = [{"sku": "APPLE", "quantity": quantity, "reason": reason}]
    return {"adjustment_id": key, "location": "S1", "lines": lines, **more}


class TestApi:
    async def test_a_small_one_is_posted_in_the_answer_and_can_be_read(self, as_key: As) -> None:
        sam = as_key("sam-adjusts")
        made = await sam.post(ADJUSTMENTS, json=body())
        assert made.status_code == 201, made.text
        assert (made.json()["state"], made.json()["needs"], made.json()["gross_minor"]) == ("posted", "nobody", 140)
        again = await sam.post(ADJUSTMENTS, json=body())
        assert (again.status_code, again.json()) == (200, made.json())
        assert (await sam.get(made.headers["Location"])).json() == made.json()
        stock = (await sam.get("/api/v1/stock?location=S1&sku=APPLE")).json()["items"][0]
        assert stock["buckets"]["available"] == 8

    async def test_a_large_one_waits_for_an_approval_that_its_manager_gives(self, as_key: As) -> None:
        sam, ana = as_key("sam-adjusts"), as_key("ana")
        made = (await sam.post(ADJUSTMENTS, json=body(quantity=100, reason="found"))).json()
        assert made["state"] == "awaiting_approval"
        answer = await ana.post(
            f"/api/v1/approvals/{made['approval_id']}/decisions", json={"verdict": "approve", "note": ""}
        )
        assert answer.status_code == 200, answer.text
        assert (await sam.get(f"{ADJUSTMENTS}/A-1")).json()["state"] == "posted"

    async def test_a_system_names_the_person_it_acts_for(self, web: httpx2.AsyncClient) -> None:
        problem(await web.post(ADJUSTMENTS, json=body()), 403, "not_allowed")
        made = await web.post(ADJUSTMENTS, json=body(), headers={"X-On-Behalf-Of": "sam.ortega"})
        assert (made.status_code, made.json()["requested_by"]) == (201, "sam.ortega")

    async def test_a_key_without_the_scope_is_refused(self, standing_key: As) -> None:
        refused = problem(await standing_key("sam").post(ADJUSTMENTS, json=body()), 403, "insufficient_scope")
        assert "stock:adjust" in refused["detail"]

    @pytest.mark.parametrize(
        "wrong",
        [
            body(quantity=0),
            body(reason="found"),
            body(reason="because"),
            body(lines=[]),
            body(note="x"),
            body("has space"),
        ],
    )
    async def test_what_makes_no_sense_is_refused_with_where(self, standing_key: As, wrong: dict[str, Any]) -> None:
        refused = await standing_key("sam-adjusts").post(ADJUSTMENTS, json=wrong)
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"]

    async def test_another_source_does_not_see_it(self, as_key: As) -> None:
        await as_key("sam-adjusts").post(ADJUSTMENTS, json=body())
        problem(await as_key("sol").get(f"{ADJUSTMENTS}/A-1"), 404, "not_found")
        problem(await as_key("other").get(f"{ADJUSTMENTS}/A-1"), 404, "not_found")


def hidden(page: str) -> str:
    found = re.search(r'name="adjustment_id" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


class TestPage:
    async def send(self, client: httpx2.AsyncClient, key: str, quantity: str, reason: str) -> httpx2.Response:
        data = {"adjustment_id": key, "location": "S1", "sku": "APPLE", "quantity": quantity, "reason": reason}
        return await client.post("/console/stock/adjustments", data=data)

    async def test_the_form_sent_twice_adjusts_once(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        key = hidden((await sam.get(PAGE)).text)
        for _ in range(2):
            answer = await self.send(sam, key, "\N{MINUS SIGN}2", "missing")
            assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        page = (await sam.get(PAGE)).text
        assert page.count(">Shrink</td>") == 1

    async def test_what_waits_is_shown_with_its_approval(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        await self.send(sam, hidden((await sam.get(PAGE)).text), "+90", "found")
        page = (await sam.get(PAGE)).text
        assert "+90 (found)" in page
        link = re.search(r"/console/approvals/\d+", page)
        assert link is not None
        asked = (await (await sign_in("ana.ruiz")).get(link[0])).text
        assert "Nothing is adjusted: what was parked" in asked
        assert "+90 × Apple at Store S1 (found)" in asked

    @pytest.mark.parametrize(
        ("quantity", "reason", "said"),
        [
            ("two", "missing", "whole number"),
            ("-2", "", "Choose a reason"),
            ("-2", "found", "The reason for units lost is one of"),
            ("99999999999999999999", "found", "less than or equal to"),
        ],
    )
    async def test_a_refusal_says_why_and_keeps_what_was_typed(
        self, sign_in: SignIn, quantity: str, reason: str, said: str
    ) -> None:
        sam = await sign_in("sam.ortega")
        answer = await self.send(sam, "k1", quantity, reason)
        assert answer.status_code == 422
        assert said in answer.text
        assert f'value="{quantity}"' in answer.text

    async def test_an_auditor_sees_no_form_and_is_refused(self, sign_in: SignIn) -> None:
        ida = await sign_in("ida.noor")
        assert "/console/stock/adjustments" not in (await ida.get(PAGE)).text
        assert (await self.send(ida, "k1", "-1", "missing")).status_code == 403

    async def test_somebody_of_another_region_is_told_that_there_is_nothing(self, sign_in: SignIn) -> None:
        assert (await self.send(await sign_in("sol.byrne"), "k1", "-1", "missing")).status_code == 404
