"""Vendor funding at the console: agreements, a claim's papers, and what a person says of it."""

from __future__ import annotations

import re

import httpx2
import pytest
from sqlalchemy import text

from ledger.engine import Database
from tests.web.funding import agreement_at
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.test_api_funding import a_claim

__all__ = ["accounts", "browse", "sign_in"]
PAGE = "/console/journeys/claim:web:A-17-1"
SAY = "/console/vendor-claims/claim:web:A-17-1"


class TestList:
    async def test_it_shows_what_has_accrued_and_claims_it(
        self, web: httpx2.AsyncClient, sign_in: SignIn, retailer: Database
    ) -> None:
        await a_claim(web, 3)
        sam = await sign_in("sam.ortega")
        shown = (await sam.get("/console/funding")).text
        assert "Baker &amp; Sons" in shown
        assert "1.00 USD a unit" in shown
        assert "3.00 USD" in shown
        assert PAGE in shown
        assert "Claim 3.00 USD now" not in shown  # nothing of it is unclaimed

    async def test_without_agreements_it_says_so(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        assert "No vendor pays for a promotion" in (await sam.get("/console/funding")).text
        assert "Nothing matches" in (await sam.get("/console/funding?vendor=NOBODY")).text
        assert "colour" in (await sam.get("/console/funding?colour=red")).text

    async def test_where_nothing_accrued_nothing_is_claimed(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        assert (await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))).status_code == 201
        sam = await sign_in("sam.ortega")
        answer = await sam.post("/console/funding/web:A-17/claim")
        assert answer.status_code == 409
        assert "nothing to claim yet" in answer.text


class TestClaim:
    async def test_its_page_has_lines_papers_and_forms(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await a_claim(web, 3, 2)
        sam = await sign_in("sam.ortega")
        shown = (await sam.get(PAGE)).text
        for part in ("Vendor claim A-17-1", "P1", "3.00 USD", "The vendor&#39;s answer", f"{SAY}/document.pdf"):
            assert part in shown.replace("vendor's answer", "vendor&#39;s answer")
        assert (await sam.get(f"{SAY}/document.pdf")).content.startswith(b"%PDF-")
        assert "accepted_minor" in (await sam.get(f"{SAY}/lines.csv")).text
        assert "receipt:web:S1:P1" in (await sam.get(f"{SAY}/proof.csv")).text

    async def test_its_lines_name_their_items(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await a_claim(web, 3)
        shown = (await (await sign_in("sam.ortega")).get(PAGE)).text
        assert "Bread <code" in shown
        assert "Line 1, P1, Bread" in shown

    async def test_a_person_records_the_answer_and_the_money(
        self, web: httpx2.AsyncClient, sign_in: SignIn, retailer: Database
    ) -> None:
        await a_claim(web, 3, 2)
        sam = await sign_in("sam.ortega")
        given = {
            "accepted-1": "3.00", "accepted-2": "0,50", "reason-2": "over_cap", "settlement": "cash",
            "reference": "V-9",
        }  # fmt: skip
        assert (await sam.post(f"{SAY}/answer", data=given)).status_code == 303
        claim = (await web.get("/api/v1/claims/A-17-1")).json()
        assert (claim["accepted_minor"], claim["lines"][1]["reason"], claim["reference"]) == (350, "over_cap", "V-9")
        assert (await sam.post(f"{SAY}/settle", data={"amount": "3.50", "settlement": "cash"})).status_code == 303
        assert (await web.get("/api/v1/claims/A-17-1")).json()["state"] == "partially_settled"
        page = (await sam.get(f"/console/cases/{claim['case_id']}")).text
        assert "Dispute it with proof" in page
        assert "Baker &amp; Sons accepts 3.50 USD of 5.00 USD" in page
        async with retailer.read() as conn:
            who = await conn.execute(text("SELECT DISTINCT who FROM audit WHERE what = 'claim.answered'"))
            assert list(who.scalars()) == ["sam.ortega"]

    async def test_all_of_it_is_one_button(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await a_claim(web, 3)
        sam = await sign_in("sam.ortega")
        assert (await sam.post(f"{SAY}/answer", data={"all": "on", "settlement": "deduction"})).status_code == 303
        assert (await web.get("/api/v1/claims/A-17-1")).json()["state"] == "settled"

    async def test_one_form_of_money_sent_twice_counts_once(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await a_claim(web, 3)
        sam = await sign_in("sam.ortega")
        (form_id,) = re.findall(r'name="form_id" value="([0-9a-f]{32})"', (await sam.get(PAGE)).text)
        given = {"amount": "1.00", "settlement": "cash", "form_id": form_id}
        assert [(await sam.post(f"{SAY}/settle", data=given)).status_code for _ in range(2)] == [303, 303]
        assert (await web.get("/api/v1/claims/A-17-1")).json()["settled_minor"] == 100
        (anew,) = re.findall(r'name="form_id" value="([0-9a-f]{32})"', (await sam.get(PAGE)).text)
        await sam.post(f"{SAY}/settle", data=given | {"form_id": anew})
        assert (await web.get("/api/v1/claims/A-17-1")).json()["settled_minor"] == 200

    async def test_a_refusal_keeps_what_was_typed(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await a_claim(web, 3, 2)
        sam = await sign_in("sam.ortega")
        given = {"accepted-1": "9.99", "accepted-2": "0,50", "reason-2": "over_cap", "settlement": "deduction",
                 "reference": "V-<9>"}  # fmt: skip
        answer = await sam.post(f"{SAY}/answer", data=given)
        assert answer.status_code == 422
        for kept in ('value="9.99"', 'value="0,50"', 'value="V-&lt;9&gt;"'):
            assert kept in answer.text
        assert re.search(r'<option[^>]*value="over_cap"[^>]*selected', answer.text)
        assert re.search(r'<option[^>]*value="deduction"[^>]*selected', answer.text)

    @pytest.mark.parametrize(
        ("form", "data", "says"),
        [
            ("answer", {"settlement": "cash"}, "Line 1 has no amount"),
            ("answer", {"accepted-1": "much", "settlement": "cash"}, "Write an amount"),
            ("answer", {"accepted-1": "3.01", "settlement": "cash"}, "only 3.00 USD"),
            ("answer", {"accepted-1": "3.00"}, "Say whether the vendor pays"),
            ("settle", {"amount": "", "settlement": "cash"}, "Write an amount"),
            ("settle", {"amount": "0", "settlement": "cash"}, "Write the amount"),
            ("settle", {"amount": "3.01", "settlement": "cash"}, "Only 3.00 USD"),
            ("sent", {}, "only an approved one"),
        ],
    )
    async def test_what_does_not_fit_is_said_on_the_page_and_changes_nothing(
        self, web: httpx2.AsyncClient, sign_in: SignIn, form: str, data: dict[str, str], says: str
    ) -> None:
        await a_claim(web, 3)
        before = (await web.get("/api/v1/claims/A-17-1")).json()
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"{SAY}/{form}", data=data)
        assert answer.status_code in (409, 422)
        assert says in answer.text
        assert (await web.get("/api/v1/claims/A-17-1")).json() == before
