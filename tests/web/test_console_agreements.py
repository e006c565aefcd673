"""Funding agreements one by one at the console: recorded by a form, seen with what they have come to, ended."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, text

from ledger.engine import Database
from ledger.tables import person_role
from tests.web.conftest import As
from tests.web.funding import agreement_at, promoted_at
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.promotions import promotion
from tests.web.test_api_funding import a_claim

__all__ = ["accounts", "browse", "sign_in"]
NEW, ONE = "/console/funding/new", "/console/funding/web:A-17"
NOW = datetime.now(UTC)


def day(days: int) -> str:
    return f"{NOW + timedelta(days=days):%Y-%m-%dT00:00}"


def typed(**more: str) -> dict[str, str]:
    """Sixty cents a loaf, seventy-five from the hundredth on, ninety in all."""
    return {
        "number": "V-1", "entity": "US01", "office": "S1", "vendor": "BAKER", "vendor_name": "Baker & Sons",
        "claims_email": "claims@baker.example", "signed_on": "2026-01-10", "document": "V-1.pdf", "starts_at": day(-2),
        "ends_at": day(30), "zone": "UTC", "kind": "scan_back", "rate": "0.60", "base": "discount",
        "tiers": "100 0.75\n\n1,000: 0.80", "cap": "90", "expected_units": "", "promotions": "BREAD-WEEKS, BREAD-2",
        "skus": "", "claim_every_days": "7", "claim_window_days": "0", **more,
    }  # fmt: skip


@pytest.fixture
async def vic(retailer: Database, sign_in: SignIn) -> httpx2.AsyncClient:
    """Sam, who looks after the vendors of the north as well."""
    async with retailer.engine.begin() as conn:
        await conn.execute(insert(person_role).values(person_id="sam.ortega", role="vendor_manager", region="NORTH"))
    return await sign_in("sam.ortega")


async def recorded(retailer: Database) -> list[dict[str, Any]]:
    async with retailer.read() as conn:
        rows = await conn.execute(text("SELECT * FROM funding_agreement ORDER BY id"))
        return [dict(row) for row in rows.mappings()]


class TestRecording:
    async def test_it_is_recorded_once_and_counts_from_then_on(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        first, again = [await vic.post(NEW, data=typed()) for _ in range(2)]
        assert (first.status_code, first.headers["location"]) == (303, "/console/funding/console:V-1")
        assert again.headers["location"] == first.headers["location"]
        (row,) = await recorded(retailer)
        assert (row["opened_by"], row["source"], row["claim_window_days"]) == ("sam.ortega", "console", 0)
        assert row["terms"] == {
            "kind": "scan_back", "rate_minor": 60, "cap_minor": 9_000,
            "tiers": [{"from_units": 100, "rate_minor": 75}, {"from_units": 1_000, "rate_minor": 80}],
        }  # fmt: skip
        assert (await web.post("/api/v1/events", json={"events": [promoted_at("S1", 3)]})).status_code == 200
        shown = (await vic.get(first.headers["location"])).text
        for words in ("0.60 USD a unit, 2 tiers", "from unit 1,000: 0.80 USD", "1.80 USD", "88.20 USD of 90.00 USD"):
            assert words in shown, words

    @pytest.mark.parametrize(
        ("change", "terms", "says"),
        [
            (
                {"kind": "percent", "rate": "12.5 %", "base": "sales", "tiers": "", "cap": ""},
                {"kind": "percent", "base": "sales", "permille": 125, "tiers": [], "cap_minor": None},
                "12.5 % of what was sold",
            ),
            (
                {"kind": "lump_sum", "rate": "5000", "expected_units": "2,000", "tiers": "", "cap": ""},
                {"kind": "lump_sum", "amount_minor": 500_000, "expected_units": 2_000},
                "5,000.00 USD in all, over 2,000 units",
            ),
        ],
    )
    async def test_every_kind_of_terms(
        self, vic: httpx2.AsyncClient, retailer: Database, change: dict[str, str], terms: dict[str, Any], says: str
    ) -> None:
        answer = await vic.post(NEW, data=typed(**change))
        assert answer.status_code == 303
        assert (await recorded(retailer))[0]["terms"] == terms
        assert says in (await vic.get(answer.headers["location"])).text

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"entity": "XX"}, ["Choose whose agreement it is"]),
            (
                {"number": "", "vendor": "", "document": "", "signed_on": ""},
                ["Give it a number", "vendor", "document", "signed"],
            ),
            ({"rate": "much"}, ["Write an amount of USD"]),
            ({"kind": "gift"}, ["Choose how the vendor pays"]),
            ({"kind": "percent", "rate": "a lot", "tiers": ""}, ["Write a share in per cent"]),
            (
                {"kind": "percent", "rate": "101", "tiers": ""},
                ["The terms: input should be less than or equal to 1000"],
            ),
            ({"tiers": "100"}, ["Tier 1: Write on each line a unit"]),
            ({"tiers": "100 0.75\nten 1"}, ["Tier 2: Write the unit as a whole number"]),
            ({"tiers": "100 0.75\n50 0.60"}, ["rising order"]),
            ({"kind": "lump_sum", "rate": "5", "expected_units": ""}, ["how many units", "no tiers and no cap"]),
            ({"starts_at": "soon", "ends_at": ""}, ["Say when it begins", "Say when it ends"]),
            ({"ends_at": day(-3)}, ["ends before it starts"]),
            ({"claims_email": "nobody"}, ["The address for claims"]),
            ({"claim_every_days": "weekly"}, ["Write the days as a whole number"]),
            ({"skus": "BREAD PEAR"}, ["SKU PEAR"]),
            ({"office": "S77"}, ["vendor managers"]),
        ],
    )
    async def test_what_is_wrong_is_said_all_at_once_and_nothing_typed_is_lost(
        self, vic: httpx2.AsyncClient, retailer: Database, change: dict[str, str], says: list[str]
    ) -> None:
        answer = await vic.post(NEW, data=typed(**change))
        assert answer.status_code in (403, 422)
        for words in says:
            assert words in answer.text, words
        assert 'value="Baker &amp; Sons"' in answer.text
        assert ">BREAD-WEEKS, BREAD-2<" in answer.text
        assert await recorded(retailer) == []

    async def test_a_number_that_is_taken_and_a_promotion_that_is_paid_for(
        self, vic: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await vic.post(NEW, data=typed())
        assert "Another agreement has this number" in (await vic.post(NEW, data=typed(rate="1"))).text
        other = await vic.post(NEW, data=typed(number="V-2"))
        assert other.status_code == 409
        assert "is paid for by agreement console:V-1 already" in other.text
        assert len(await recorded(retailer)) == 1

    async def test_only_who_looks_after_vendors_there_records_one(
        self, vic: httpx2.AsyncClient, sign_in: SignIn, retailer: Database
    ) -> None:
        for office in ("S9", ""):  # of the south; of the whole company
            answer = await vic.post(NEW, data=typed(office=office))
            assert answer.status_code == 403
            assert "that is for vendor managers" in answer.text
        ida = await sign_in("ida.noor")
        assert "that is for vendor managers" in (await ida.get(NEW)).text
        assert (await ida.post(NEW, data=typed())).status_code == 403
        assert await recorded(retailer) == []


class TestOne:
    async def test_it_leads_to_its_promotions_and_claims_and_they_back(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient
    ) -> None:
        await a_claim(web, 3, 2)
        made = await web.post("/api/v1/promotions", json=promotion("APPLES", agreement_id="A-17", submit=False))
        assert made.status_code == 201, made.text
        shown = (await vic.get(ONE)).text
        assert "/console/journeys/promotion:web:APPLES" in shown
        assert "/console/journeys/claim:web:A-17-1" in shown
        assert "of another system" in shown  # what it pays for without being defined here
        assert ONE in (await vic.get("/console/journeys/claim:web:A-17-1")).text
        promoted = (await vic.get("/console/journeys/promotion:web:APPLES")).text
        assert "Baker &amp; Sons, agreement A-17" in promoted
        assert "0.00 USD for 0 units" in promoted

    async def test_who_does_not_see_its_office_does_not_see_it(self, web: httpx2.AsyncClient, sign_in: SignIn) -> None:
        await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))
        sol = await sign_in("sol.byrne")
        assert (await sol.get(ONE)).status_code == 404
        assert (await sol.post(f"{ONE}/end", data={"reason": "x"})).status_code == 404


class TestEnding:
    async def test_from_then_on_nothing_accrues_and_the_rest_is_claimed_after_its_window(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))
        await web.post("/api/v1/events", json={"events": [promoted_at("S1", 3)]})
        assert (await vic.post(f"{ONE}/end", data={"reason": "the vendor withdrew"})).status_code == 303
        (row,) = await recorded(retailer)
        assert row["next_claim_at"] == row["ends_at"] + timedelta(days=30)
        late = promoted_at("S1", 2, receipt="F-2")
        late["occurred_at"] = (row["ends_at"] + timedelta(seconds=1)).isoformat()
        early = promoted_at("S1", 1, receipt="F-3")  # sold before, known after
        assert (await web.post("/api/v1/events", json={"events": [late, early]})).status_code == 200
        assert (await web.get("/api/v1/funding-agreements/A-17")).json()["accrued_minor"] == 400
        async with retailer.read() as conn:
            said = await conn.execute(text("SELECT who, reason FROM audit WHERE what = 'funding.ended'"))
            assert [tuple(one) for one in said] == [("sam.ortega", "the vendor withdrew")]

    async def test_a_later_instant_in_the_time_of_its_office(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient, retailer: Database
    ) -> None:
        await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))
        assert (await vic.post(f"{ONE}/end", data={"reason": "x", "ends_at": day(3)})).status_code == 303
        assert (await recorded(retailer))[0]["ends_at"] == datetime.fromisoformat(day(3)).replace(tzinfo=UTC)

    @pytest.mark.parametrize(
        ("form", "status", "says"),
        [
            ({"reason": " "}, 422, "Say why it ends"),
            ({"reason": "because", "ends_at": "soon"}, 422, "date and a time"),
            ({"reason": "because", "ends_at": day(99)}, 422, "no earlier end"),
        ],
    )
    async def test_what_cannot_be_is_refused_and_keeps_what_was_typed(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient, retailer: Database, form: dict[str, str], status: int,
        says: str,
    ) -> None:  # fmt: skip
        await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))
        before = await recorded(retailer)
        answer = await vic.post(f"{ONE}/end", data=form)
        assert answer.status_code == status
        assert says in answer.text
        assert form["reason"].strip() in answer.text
        assert await recorded(retailer) == before

    async def test_one_that_is_over_and_one_to_come_and_by_the_api(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient, as_key: As
    ) -> None:
        await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))
        body = agreement_at("S1", number="A-18", promotions=[], starts_at=f"{day(5)}Z")
        assert (await web.post("/api/v1/funding-agreements", json=body)).status_code == 201
        ended = await web.post("/api/v1/funding-agreements/A-17:end", json={})
        assert ended.status_code == 200
        assert ended.json()["ends_at"] < agreement_at("S1")["ends_at"]
        again = await web.post("/api/v1/funding-agreements/A-17:end", json={})
        assert (again.status_code, again.json()["code"]) == (409, "state_conflict")
        assert "has ended already" in (await vic.post(f"{ONE}/end", data={"reason": "x"})).text
        soon = await web.post("/api/v1/funding-agreements/A-18:end", json={})
        assert (soon.status_code, soon.json()["errors"][0]["pointer"]) == (422, "/ends_at")
        assert (await as_key("other").post("/api/v1/funding-agreements/web:A-18:end", json={})).status_code == 404

    async def test_other_roles_end_nothing(self, web: httpx2.AsyncClient, sign_in: SignIn, retailer: Database) -> None:
        await web.post("/api/v1/funding-agreements", json=agreement_at("S1"))
        sam = await sign_in("sam.ortega")
        assert "End it earlier" not in (await sam.get(ONE)).text
        answer = await sam.post(f"{ONE}/end", data={"reason": "x"})
        assert answer.status_code == 403
        assert (await recorded(retailer))[0]["ends_at"] > NOW


class TestClaims:
    async def test_they_stand_under_tabs_with_what_is_open(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient
    ) -> None:
        assert "No claims yet" in (await vic.get("/console/vendor-claims")).text
        await a_claim(web, 3, 2)
        shown = (await vic.get("/console/vendor-claims?tab=vendor")).text
        for words in (
            "5.00 USD</b> open of 5.00 USD in 1 claim",
            "Answered: ",
            "/console/funding/web:A-17",
            "no answer",
        ):
            assert words in shown, words
        short = [{"line_id": "1", "accepted_minor": 300}, {"line_id": "2", "accepted_minor": 0}]
        await web.post("/api/v1/claims/A-17-1:answer", json={"lines": short, "settlement": "cash"})
        assert "Nothing matches" in (await vic.get("/console/vendor-claims?tab=vendor")).text
        for tab in ("asked", "pay", "open"):
            assert "claim:web:A-17-1" in (await vic.get(f"/console/vendor-claims?tab={tab}")).text
        counts = re.findall(r'<span class="count">(\d+)</span>', (await vic.get("/console/vendor-claims")).text)
        assert counts == ["1", "0", "0", "1", "1", "0"]

    @pytest.mark.parametrize(
        ("query", "is_there"),
        [
            ("vendor=BAKER", True), ("vendor=OTHER", False), ("promotion=P2", True), ("promotion=P9", False),
            ("agreement=web:A-17", True), ("state=sent,disputed", True), ("state=settled", False), ("text=baker", True),
            ("text=%25", False), ("entity=US01", True), ("tab=over", False),
        ],
    )  # fmt: skip
    async def test_filters_narrow_the_list_and_its_file(
        self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient, query: str, is_there: bool
    ) -> None:
        await a_claim(web, 3, 2)
        assert ("claim:web:A-17-1" in (await vic.get(f"/console/vendor-claims?{query}")).text) == is_there
        lines = (await vic.get(f"/console/vendor-claims.csv?{query}")).text.splitlines()
        assert (len(lines) == 2) == is_there

    async def test_what_means_nothing_is_said_and_makes_no_file(
        self, vic: httpx2.AsyncClient, sign_in: SignIn, web: httpx2.AsyncClient
    ) -> None:
        await a_claim(web, 3)
        assert "<code>tab=mine</code>" in (await vic.get("/console/vendor-claims?tab=mine")).text
        assert (await vic.get("/console/vendor-claims.csv?colour=red")).status_code == 422
        assert "claim:web" not in (await (await sign_in("sol.byrne")).get("/console/vendor-claims")).text

    async def test_the_vendors_file_is_the_answer(self, vic: httpx2.AsyncClient, web: httpx2.AsyncClient) -> None:
        await a_claim(web, 3, 2)
        say = "/console/vendor-claims/claim:web:A-17-1"
        lines = (await vic.get(f"{say}/lines.csv")).text.splitlines()
        left = '"",""'  # to be filled in: what is accepted, and why not all of it
        filled = "\r\n".join(
            [lines[0], f"{lines[1].removesuffix(left)}300,", f"{lines[2].removesuffix(left)}50,over_cap"]
        )
        given = {"settlement": "cash", "reference": "V-9"}
        other = {"file": ("x.csv", filled.replace("A-17-1", "A-17-2").encode(), "text/csv")}
        refused = await vic.post(f"{say}/answer", data=given, files=other)
        assert refused.status_code == 422
        assert "The file answers claim A-17-2, this is A-17-1" in refused.text
        assert 'value="V-9"' in refused.text
        both = await vic.post(f"{say}/answer", data={**given, "all": "on"}, files={"file": ("x.csv", filled.encode())})
        assert "choose one" in both.text
        assert (await web.get("/api/v1/claims/A-17-1")).json()["state"] == "sent"
        taken = await vic.post(f"{say}/answer", data=given, files={"file": ("x.csv", filled.encode(), "text/csv")})
        assert taken.status_code == 303
        claim = (await web.get("/api/v1/claims/A-17-1")).json()
        assert (claim["accepted_minor"], claim["lines"][1]["reason"]) == (350, "over_cap")
        page = (await vic.get("/console/journeys/claim:web:A-17-1")).text
        for words in ("In full", "In part", "over cap", "1.50 USD"):
            assert words in page, words
