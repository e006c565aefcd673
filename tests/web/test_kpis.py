"""The figures: what each counts and leaves out, whole and taken apart; the page and the API say the same."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, text, update

import ledger.engine
from ledger import tables
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, an_approval, order
from tests.web.test_api_events import event, send
from tests.web.test_api_funding import a_claim

__all__ = ["accounts", "browse", "sign_in"]
As = Callable[[str], httpx2.AsyncClient]
KPIS = "/api/v1/kpis"


async def figures(client: httpx2.AsyncClient, **query: Any) -> dict[str, dict[str, Any]]:
    answer = await client.get(KPIS, params=query)
    assert answer.status_code == 200, answer.text
    return {one["kpi"]["name"]: one for one in answer.json()["figures"]}


def groups(figure: dict[str, Any]) -> dict[str, tuple[int, float | None]]:
    return {one["group"]: (one["n"], one["value"]) for one in figure["groups"]}


async def change(database: ledger.engine.Database, statement: str, **values: Any) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(text(statement), values)


class TestFallout:
    async def test_orders_that_need_a_person_count_and_those_their_customer_cancelled_do_not(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        await web.post("/api/v1/bopis-orders", json=order("fine"))
        await failed_order(web, retailer, "broken")
        gone = (await web.post("/api/v1/bopis-orders", json=order("gone"))).json()["journey_id"]
        [cancelled] = await send(web, event("c-1", "bopis.cancelled", {"journey_id": gone}))
        assert cancelled["outcome"] == "accepted"
        found = (await figures(as_key("sam")))["order_fallout"]
        assert (found["whole"]["n"], found["whole"]["value"]) == (2, 0.5)

    async def test_a_case_that_healed_by_itself_needed_nobody(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        await failed_order(web, retailer, "healed")
        await change(retailer, "UPDATE case_file SET state = 'cancelled', closed_at = now()")
        assert (await figures(as_key("sam")))["order_fallout"]["whole"]["value"] == 0

    async def test_it_is_taken_apart_by_place_channel_category_and_fulfilment(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        await change(retailer, "UPDATE item SET category = lower(sku)")
        await web.post("/api/v1/bopis-orders", json=order("fine"))
        moved = (await web.post("/api/v1/bopis-orders", json=order("moved"))).json()["journey_id"]
        await change(
            retailer, 'UPDATE journey SET detail = detail || \'{"moved_from": ["S2"]}\' WHERE id = :id', id=moved
        )
        for by, wanted in {
            "region": {"NORTH": (2, 0.0)},
            "location": {"S1": (2, 0.0)},
            "channel": {"web": (2, 0.0)},
            "category": {"apple": (2, 0.0)},
            "fulfilment": {"pickup": (1, 0.0), "other_store": (1, 0.0)},
        }.items():
            assert groups((await figures(as_key("sam"), by=by))["order_fallout"]) == wanted, by

    async def test_another_region_sees_none_of_it(self, web: httpx2.AsyncClient, as_key: As) -> None:
        await web.post("/api/v1/bopis-orders", json=order("fine"))
        whole = (await figures(as_key("sol")))["order_fallout"]["whole"]
        assert (whole["n"], whole["value"]) == (0, None)


class TestReadiness:
    @pytest.mark.parametrize(("picked_late_s", "wanted"), [(-60, 1.0), (60, 0.0)])
    async def test_a_line_is_ready_when_it_was_picked_in_full_by_the_promise(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database, picked_late_s: int, wanted: float
    ) -> None:
        promised = datetime.now(UTC) - timedelta(minutes=5)
        journey = (await web.post("/api/v1/bopis-orders", json=order("W-1"))).json()["journey_id"]
        async with retailer.engine.begin() as conn:
            await conn.execute(update(tables.journey).values(promised_at=promised))
            await conn.execute(update(tables.journey_line).values(picked=tables.journey_line.c.ordered))
            await conn.execute(
                insert(tables.journey_step).values(
                    journey_id=journey, step="picked", occurrence="e", input_hash="",
                    at=promised + timedelta(seconds=picked_late_s),
                )
            )  # fmt: skip
        whole = (await figures(as_key("sam")))["pickup_readiness"]["whole"]
        assert (whole["n"], whole["value"]) == (1, wanted)

    async def test_an_order_without_a_promise_is_left_out(self, web: httpx2.AsyncClient, as_key: As) -> None:
        await web.post("/api/v1/bopis-orders", json=order("W-1"))
        assert (await figures(as_key("sam")))["pickup_readiness"]["whole"]["n"] == 0


class TestTransfers:
    async def test_a_transfer_is_timed_from_being_agreed_until_everything_has_come(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        for key in ("T-1", "T-2"):
            line = {"line_id": "1", "sku": "APPLE", "quantity": 1}
            body = {"transfer_id": key, "from": "S1", "to": "S2", "reason": "rebalance", "lines": [line]}
            assert (await web.post("/api/v1/transfers", json=body)).status_code == 201
        await change(
            retailer,
            "UPDATE transfer SET completed_at = now(), approved_at = now() - interval '5 hours'"
            " WHERE journey_id = 'transfer:web:T-1'",
        )
        whole = (await figures(as_key("sam")))["transfer_lead_time"]["whole"]
        assert (whole["n"], round(whole["value"])) == (1, 18_000)


class TestClaims:
    async def test_a_claim_is_timed_from_being_sent_and_its_money_held_against_what_was_claimed(
        self, web: httpx2.AsyncClient, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        await a_claim(web, 3)
        await web.post("/api/v1/claims/A-17-1:answer", json={"settlement": "cash"})
        nothing = await figures(as_key("sam"))
        assert [nothing[name]["whole"]["n"] for name in ("claim_cycle", "claim_recovery")] == [0, 0]
        await web.post("/api/v1/claims/A-17-1:settle", json={"amount_minor": 300, "settlement": "cash"})
        await change(
            retailer,
            "UPDATE claim SET sent_at = settled_at - interval '5 hours', settled_minor = 225, written_off_minor = 75",
        )
        found = await figures(as_key("sam"))
        assert (found["claim_cycle"]["whole"]["n"], round(found["claim_cycle"]["whole"]["value"])) == (1, 18_000)
        assert found["claim_recovery"]["whole"]["value"] == 0.75
        assert (await figures(as_key("sol")))["claim_recovery"]["whole"]["n"] == 0


class TestPeople:
    async def test_approvals_are_timed_from_asking_to_the_verdict(
        self, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        for _ in range(3):
            await an_approval(retailer)
        await change(
            retailer,
            "UPDATE approval SET state = 'approved', opened_at = now() - interval '2 hours', decided_at = now()"
            " WHERE id <> (SELECT max(id) FROM approval)",
        )
        whole = (await figures(as_key("sam")))["approval_time"]["whole"]
        assert (whole["n"], round(whole["value"]), round(whole["p90"])) == (2, 7200, 7200)

    async def test_an_open_case_past_its_time_counts_as_late(
        self, as_key: As, retailer: ledger.engine.Database
    ) -> None:
        for subject in ("met", "late", "running"):
            await a_case(retailer, subject)
        await change(
            retailer,
            "UPDATE case_file SET state = 'resolved', closed_at = now() - interval '1 hour',"
            " unresolved_due_at = now() WHERE subject = 'met'",
        )
        await change(
            retailer, "UPDATE case_file SET unresolved_due_at = now() - interval '1 hour' WHERE subject = 'late'"
        )
        whole = (await figures(as_key("sam")))["resolution_sla"]["whole"]
        assert (whole["n"], whole["value"]) == (2, 0.5)


class TestRefusals:
    async def test_a_systems_key_has_no_region_and_is_refused(self, web: httpx2.AsyncClient) -> None:
        answer = await web.get(KPIS)
        assert answer.status_code == 403
        assert "personal token" in answer.json()["detail"]

    @pytest.mark.parametrize(
        "query",
        [
            {"from": "2026-02-02T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
            {"from": "2020-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
            {"from": "yesterday"},
            {"from": "2026-02-01T00:00:00"},
            {"by": "weather"},
            {"until": "0001-01-01T00:00:00Z"},
            {"from": "9999-12-31T23:59:59-14:00"},
            {"from": "0001-01-01T00:00:00+14:00", "until": "0001-01-02T00:00:00+14:00"},
        ],
    )
    async def test_a_period_or_dimension_that_is_none_is_refused_by_name(
        self, as_key: As, query: dict[str, str]
    ) -> None:
        answer = await as_key("sam").get(KPIS, params=query)
        assert answer.status_code == 422
        assert answer.json()["errors"] or answer.json()["detail"]


class TestPages:
    async def test_the_page_says_what_the_api_says_and_leads_to_the_cases(
        self, web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        await web.post("/api/v1/bopis-orders", json=order("fine"))
        await failed_order(web, retailer, "broken")
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/console/figures", params={"by": "location"})).text
        for words in ("50.0 %", "n = 2", "Order fallout", "Store S1", "location=S1"):
            assert words in page

    async def test_each_column_and_each_row_leads_to_the_cases_of_its_days(
        self, web: httpx2.AsyncClient, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer, "broken")
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/console/figures", params={"by": "channel"})).text
        section = page.partition('id="kpi-order_fallout"')[2].partition("</section>")[0]
        ways = [unescape(way) for way in re.findall(r'href="(/console/queue[^"]*)"', section)]
        days = [way for way in ways if "channel=" not in way]
        assert len(days) == 2 * 7  # as columns, and as a table
        found = {way: f"/console/cases/{case_id}" in (await sam.get(way)).text for way in ways}
        assert [way for way, is_there in found.items() if is_there] == [
            way for way in found if way == days[-1] or "channel=web" in way
        ]
        for way in ways:
            assert "Not understood" not in (await sam.get(way)).text

    async def test_what_was_not_counted_is_said_with_what_it_would_be(self, sign_in: SignIn) -> None:
        page = (await (await sign_in("sam.ortega")).get("/console/figures")).text
        assert "Nothing to count in this period" in page
        assert '<svg class="chart"' not in page

    async def test_what_the_address_says_in_vain_is_shown(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/console/figures?by=weather&from=soon&colour=red&per=hour")).text
        for words in ("by=weather", "per=hour", "from=soon", "colour=red"):
            assert words in page

    @pytest.mark.parametrize("said", ["until=0001-01-01", "from=0001-01-01", "from=9999-12-31", "until=20260230"])
    async def test_a_day_out_of_the_calendar_is_shown_as_not_understood(self, sign_in: SignIn, said: str) -> None:
        answer = await (await sign_in("sam.ortega")).get(f"/console/figures?{said}")
        assert answer.status_code == 200
        assert said in answer.text

    async def test_a_period_that_ends_before_it_begins_says_so(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.get("/console/figures?from=2026-02-02&until=2026-02-01")
        assert answer.status_code == 422
        assert "ends before it begins" in answer.text
