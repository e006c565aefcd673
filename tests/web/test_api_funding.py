"""Vendor funding by API: agreements alone and as a file, what they accrue, claims with their papers, answers, money."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.web.funding import agreement_at, promoted_at

As = Callable[[str], httpx2.AsyncClient]
AGREEMENTS, CLAIM = "/api/v1/funding-agreements", "/api/v1/claims/A-17-1"
HEADING = "number,entity,office,vendor,signed_on,document,starts_at,ends_at,currency,kind,rate_minor,tiers,promotions"
ROW = "A-{},US01,S1,BAKER,2026-01-10,a.pdf,2026-03-01T00:00:00Z,2026-04-01T00:00:00Z,USD,scan_back,{},{},{}"


async def a_claim(web: httpx2.AsyncClient, *quantities: int) -> dict[str, Any]:
    """A claim with a line for each promotion that sold so many loaves."""
    names = [f"P{number}" for number in range(1, len(quantities) + 1)]
    made = await web.post(AGREEMENTS, json=agreement_at("S1", promotions=names))
    assert made.status_code == 201, made.text
    sales = [
        promoted_at("S1", quantity, receipt=name, promotion=name)
        for name, quantity in zip(names, quantities, strict=True)
    ]
    assert (await web.post("/api/v1/events", json={"events": sales})).status_code == 200
    claimed = await web.post(f"{AGREEMENTS}/A-17:claim")
    assert claimed.status_code == 201, claimed.text
    return dict(claimed.json())


class TestAgreements:
    async def test_it_is_recorded_once_and_counts_from_then_on(self, web: httpx2.AsyncClient) -> None:
        early = await web.post("/api/v1/events", json={"events": [promoted_at("S1", receipt="early")]})
        assert early.json()["results"][0]["outcome"] == "accepted"
        first = await web.post(AGREEMENTS, json=agreement_at("S1"))
        again = await web.post(AGREEMENTS, json=agreement_at("S1"))
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.headers["location"] == f"{AGREEMENTS}/web:A-17"
        await web.post("/api/v1/events", json={"events": [promoted_at("S1", 3)]})
        seen = (await web.get(f"{AGREEMENTS}/A-17")).json()
        assert (seen["units"], seen["accrued_minor"], seen["unclaimed_minor"]) == (3, 300, 300)

    @pytest.mark.parametrize(
        ("change", "pointer"),
        [
            ({"entity": "XX"}, "/entity"),
            ({"currency": "EUR"}, "/currency"),
            ({"office": "S99"}, "/office"),
            ({"skus": ["NONE"]}, "/skus/0"),
            ({"terms": {"kind": "scan_back"}}, "/terms/scan_back/rate_minor"),
            ({"colour": "red"}, "/colour"),
            ({"signed_on": "soon"}, "/signed_on"),
        ],
    )
    async def test_what_cannot_be_is_refused_by_name(
        self, web: httpx2.AsyncClient, change: dict[str, Any], pointer: str
    ) -> None:
        answer = await web.post(AGREEMENTS, json=agreement_at("S1", **change))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
        assert (await web.get(AGREEMENTS)).json()["items"] == []

    async def test_a_file_has_a_result_for_each_row(self, web: httpx2.AsyncClient) -> None:
        rows = [
            HEADING,
            ROW.format(1, 50, "11:60 21:75", "P1 P2"),
            ROW.format(2, "many", "", "P3"),
            ROW.format(3, 50, "eleven", "P4"),
            ROW.format(4, 50, "", "P1"),
            ROW.format(5, 0, "", "P5"),
        ]
        answer = await web.post(f"{AGREEMENTS}:csv", json={"csv": "\n".join(rows)})
        results = answer.json()["results"]
        assert [(one["row"], one["status"]) for one in results] == [(2, 201), (3, 422), (4, 422), (5, 409), (6, 422)]
        assert "rate_minor is a whole number, not many" in results[1]["problem"]["detail"]
        assert "a tier is written" in results[2]["problem"]["detail"]
        assert "paid for by agreement web:A-1 already" in results[3]["problem"]["detail"]
        assert "rate_minor" in results[4]["problem"]["detail"]
        seen = (await web.get(f"{AGREEMENTS}/A-1")).json()
        assert seen["terms"]["tiers"][1] == {"from_units": 21, "rate_minor": 75}
        assert seen["promotions"] == ["P1", "P2"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("colour\nred", "no column colour"),
            ("number\nA-1", "column kind is missing"),
            ("number,kind", "1 to 5000 rows"),
            ("number,kind\nA-1", "not as many cells"),
            ('number,kind\nA-1,"scan', "no CSV"),
        ],
    )
    async def test_a_file_that_is_none_is_refused_whole(self, web: httpx2.AsyncClient, text: str, says: str) -> None:
        answer = await web.post(f"{AGREEMENTS}:csv", json={"csv": text})
        assert answer.status_code == 422
        assert says in answer.json()["detail"]

    async def test_lists_are_read_page_by_page_and_by_vendor(self, web: httpx2.AsyncClient) -> None:
        for number, vendor in ((1, "BAKER"), (2, "MILLER"), (3, "BAKER")):
            more = {"number": f"A-{number}", "vendor": vendor, "promotions": [f"P{number}"]}
            assert (await web.post(AGREEMENTS, json=agreement_at("S1", **more))).status_code == 201
        first = (await web.get(AGREEMENTS, params={"limit": 2})).json()
        rest = (await web.get(AGREEMENTS, params={"limit": 2, "cursor": first["next"]})).json()
        assert [one["number"] for one in first["items"] + rest["items"]] == ["A-1", "A-2", "A-3"]
        assert rest["next"] is None
        of_one = (await web.get(AGREEMENTS, params={"vendor": "BAKER"})).json()
        assert [one["number"] for one in of_one["items"]] == ["A-1", "A-3"]
        assert (await web.get(AGREEMENTS, params={"colour": "red"})).status_code == 422


class TestClaims:
    async def test_what_has_accrued_is_claimed_when_somebody_asks(self, web: httpx2.AsyncClient) -> None:
        claim = await a_claim(web, 3, 2)
        assert (claim["state"], claim["amount_minor"], claim["open_minor"]) == ("sent", 500, 500)
        assert [(one["promotion_id"], one["units"], one["amount_minor"]) for one in claim["lines"]] == [
            ("P1", 3, 300),
            ("P2", 2, 200),
        ]
        nothing = await web.post(f"{AGREEMENTS}/A-17:claim")
        assert (nothing.status_code, nothing.json()["code"]) == (409, "state_conflict")
        assert (await web.post(f"{AGREEMENTS}/A-18:claim")).status_code == 404
        journey = (await web.get(f"/api/v1/journeys/{claim['journey_id']}")).json()
        assert {line["account"] for line in journey["postings"]} == {"vendor_claims", "vendor_funding"}

    async def test_its_papers_can_be_fetched(self, web: httpx2.AsyncClient) -> None:
        await a_claim(web, 3)
        document = await web.get(f"{CLAIM}/document.pdf")
        assert document.content.startswith(b"%PDF-")
        assert document.headers["content-disposition"] == 'attachment; filename="claim-A-17-1.pdf"'
        proof = list(csv.DictReader(io.StringIO((await web.get(f"{CLAIM}/proof.csv")).text)))
        assert [(row["receipt"], row["units"]) for row in proof] == [("receipt:web:S1:P1", "3")]

    async def test_its_own_file_filled_in_is_the_answer(self, web: httpx2.AsyncClient) -> None:
        await a_claim(web, 3, 2)
        lines = list(csv.reader(io.StringIO((await web.get(f"{CLAIM}/lines.csv")).text)))
        for row, (accepted, reason) in zip(lines[1:], (("300", ""), ("50", "over_cap")), strict=True):
            row[-2:] = [accepted, reason]
        out = io.StringIO()
        csv.writer(out).writerows(lines)
        said = {"csv": out.getvalue(), "settlement": "deduction", "reference": "V-9"}
        claim = (await web.post(f"{CLAIM}:answer-csv", json=said)).json()
        assert (claim["state"], claim["accepted_minor"], claim["settled_minor"]) == ("partially_settled", 350, 350)
        assert (claim["lines"][1]["short_minor"], claim["lines"][1]["reason"]) == (150, "over_cap")
        case = (await web.get(f"/api/v1/cases/{claim['case_id']}")).json()
        assert (case["kind"], case["value_at_risk_minor"]) == ("claim_short_paid", 150)
        assert [one["id"] for one in case["options"]] == ["dispute", "reclaim", "accept", "write_off"]

    async def test_an_answer_and_money_settle_it(self, web: httpx2.AsyncClient) -> None:
        await a_claim(web, 3)
        answered = await web.post(f"{CLAIM}:answer", json={"settlement": "cash"})
        assert answered.json()["state"] == "matched"
        paid = await web.post(f"{CLAIM}:settle", json={"amount_minor": 300, "settlement": "cash"})
        assert (paid.json()["state"], paid.json()["open_minor"]) == ("settled", 0)
        late = await web.post(f"{CLAIM}:answer", json={"settlement": "cash"})
        assert (late.status_code, late.json()["code"]) == (409, "state_conflict")

    async def test_money_sent_again_under_its_key_counts_once(self, web: httpx2.AsyncClient) -> None:
        await a_claim(web, 3)
        part = {"amount_minor": 100, "settlement": "cash", "reference": "B-1"}
        keyed = {"Idempotency-Key": "bank-line-1"}
        first, again = [await web.post(f"{CLAIM}:settle", json=part, headers=keyed) for _ in range(2)]
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json()
        assert again.json()["settled_minor"] == 100
        another = await web.post(f"{CLAIM}:settle", json=part, headers={"Idempotency-Key": "bank-line-2"})
        assert another.json()["settled_minor"] == 200  # two payments may be alike
        refused = await web.post(f"{CLAIM}:settle", json=part | {"amount_minor": 99}, headers=keyed)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
        elsewhere = await web.post(f"{CLAIM}:answer", json={"settlement": "cash"}, headers=keyed)
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency_mismatch")
        assert (await web.get(CLAIM)).json()["settled_minor"] == 200

    async def test_what_was_refused_under_a_key_may_be_sent_right_under_it(self, web: httpx2.AsyncClient) -> None:
        await a_claim(web, 3)
        keyed = {"Idempotency-Key": "bank-line-1"}
        much = await web.post(f"{CLAIM}:settle", json={"amount_minor": 301, "settlement": "cash"}, headers=keyed)
        assert much.status_code == 422
        right = await web.post(f"{CLAIM}:settle", json={"amount_minor": 300, "settlement": "cash"}, headers=keyed)
        assert (right.status_code, right.json()["state"]) == (200, "settled")
        late = await web.post(f"{CLAIM}:settle", json={"amount_minor": 300, "settlement": "cash"}, headers=keyed)
        assert late.json()["settled_minor"] == 300  # also when the claim is over by then

    @pytest.mark.parametrize(
        ("path", "body", "status", "says"),
        [
            (":answer", {"lines": [], "settlement": "cash"}, 422, "at least 1"),
            (":answer", {"settlement": "barter"}, 422, "cash"),
            (":answer", {"lines": [{"line_id": "1", "accepted_minor": 301}], "settlement": "cash"}, 422, "3.00"),
            (":answer-csv", {"csv": "line_id,accepted_minor\n1,", "settlement": "cash"}, 422, "fill in"),
            (":answer-csv", {"csv": "line_id,accepted_minor\n1,much", "settlement": "cash"}, 422, "whole number"),
            (":settle", {"amount_minor": 301, "settlement": "cash"}, 422, "3.00"),
            (":settle", {"amount_minor": 0, "settlement": "cash"}, 422, "greater than 0"),
            (":sent", {}, 409, "only an approved one"),
        ],
    )
    async def test_what_does_not_fit_is_refused_and_changes_nothing(
        self, web: httpx2.AsyncClient, path: str, body: dict[str, Any], status: int, says: str
    ) -> None:
        await a_claim(web, 3)
        before = (await web.get(CLAIM)).json()
        answer = await web.post(f"{CLAIM}{path}", json=body)
        assert answer.status_code == status
        assert says in answer.text
        assert (await web.get(CLAIM)).json() == before

    async def test_another_system_sees_neither(self, web: httpx2.AsyncClient, as_key: As) -> None:
        await a_claim(web, 3)
        other = as_key("other")
        assert (await other.get(f"{AGREEMENTS}/web:A-17")).status_code == 404
        assert (await other.get("/api/v1/claims/claim:web:A-17-1")).status_code == 404
        assert (await other.get(AGREEMENTS)).json()["items"] == []
