"""One case: everything a person needs to decide, and nothing said that is not recorded."""

import re
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from sqlalchemy import insert, update

import ledger.engine
from domain.case import SEVERITIES
from domain.messages import Step
from domain.words import local
from ledger import tables
from ledger.bopis import steps
from ledger.engine import Database
from ledger.transaction import Transaction
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import NOW, a_case, order, rows

__all__ = ["accounts", "browse", "sign_in"]
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


def option_ids(page: str) -> list[str]:
    return re.findall(r'<input type="radio" name="option" value="([^"]+)"', page)


async def failed_on_page(
    web: httpx2.AsyncClient, retailer: ledger.engine.Database, sign_in: SignIn
) -> tuple[int, httpx2.AsyncClient, str]:
    """The case of an order without stock, Sam of its region, and its page as Sam sees it."""
    case_id = await failed_order(web, retailer)
    sam = await sign_in("sam.ortega")
    return case_id, sam, (await sam.get(f"/console/cases/{case_id}")).text


class TestPage:
    async def test_it_shows_facts_options_consequences_order_stock_and_runbook(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer)
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
        for words in ("Reservation failed", "Ways out", "Cancel", "Store S2", "Noor Haddad", "Runbook", "USD"):
            assert words in page
        assert "Clocks run in the opening hours of" in page
        assert " checked" not in page
        assert len(option_ids(page)) >= 2

    async def test_the_priority_is_the_sum_of_the_terms_beside_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer)
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
        told = page.split("<dt>Priority</dt>")[1].split("</dd>")[0]
        total = re.search(r"<summary>(\d+)</summary>", told)
        terms = re.findall(r'<p class="small">[^:<]+: (\d+) ', told)
        assert total is not None
        assert len(terms) > 2
        assert int(total[1]) == sum(map(int, terms))

    async def test_places_that_are_not_asked_are_folded_away_with_their_reasons(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id, sam, page = await failed_on_page(web, retailer, sign_in)
        assert "passed-over" not in page
        async with retailer.engine.begin() as conn:
            await conn.execute(update(tables.location).where(tables.location.c.code == "S2").values(status="no_pickup"))
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert '<details id="passed-over"><summary>1 place was looked at and is not offered</summary>' in page
        assert "Hands out no pickups now." in page
        assert "other_store:S2" not in option_ids(page)

    async def test_a_case_of_another_region_does_not_exist(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "north")
        sol = await sign_in("sol.byrne")
        for path in (f"/console/cases/{case_id}", "/console/cases/999999"):
            assert (await sol.get(path)).status_code == 404
        for act in ("claim", "release", "comment", "decide", "wait"):
            assert (await sol.post(f"/console/cases/{case_id}/{act}", data={})).status_code == 404

    async def test_a_script_in_a_comment_stays_text(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "<img src=x onerror=alert(1)>")
        sam = await sign_in("sam.ortega")
        await sam.post(f"/console/cases/{case_id}/comment", data={"text": "<script>alert(1)</script>\nsecond line"})
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;<br>second line" in page

    async def test_an_auditor_reads_and_cannot_decide(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        ida = await sign_in("ida.noor")
        page = (await ida.get(f"/console/cases/{case_id}")).text
        assert "Your role may look at this case, not decide it." in page
        answer = await ida.post(f"/console/cases/{case_id}/decide", data={"option": "dismiss"})
        assert answer.status_code == 403
        assert await rows(retailer, tables.case_decision) == []

    async def test_an_order_that_moved_out_of_sight_leaves_its_case_readable(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer)

        async def move(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.journey).values(location="S9", region="SOUTH"))

        await retailer.write(move, actor="test", via="test")
        answer = await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")
        assert answer.status_code == 200
        assert "which has moved to a place that you do not see" in answer.text
        assert "Noor Haddad" not in answer.text

    async def test_keys_as_they_are_built_are_not_shown(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "pos|unknown_sku|SKU 7 is not in the master data.", sku="")
        sam = await sign_in("sam.ortega")
        for path in ("/console/queue", f"/console/cases/{case_id}"):
            page = (await sam.get(path)).text
            assert "pos|unknown_sku" not in page
            assert "SKU 7 is not in the master data. (from pos)" in page


class TestAskedForApproval:
    """What an approver asks, and why they reject, stands on the case, where its owner looks."""

    async def dear_refund(
        self, sam: httpx2.AsyncClient, web: httpx2.AsyncClient, database: Database
    ) -> tuple[int, int]:
        body = order("W-1", quantity=12)
        body["lines"][0] |= {"unit_price_minor": 2500, "tax_minor": 0}
        body["payments"][0]["amount_minor"] = 2500 * 12
        placed = await web.post("/api/v1/bopis-orders", json=body)
        step = Step(subject=placed.json()["journey_id"], occurrence="1", at=datetime.now(UTC))
        case_id = (await steps.open_case(database, step)).case_id
        assert case_id is not None
        form = decision_form((await sam.get(f"/console/cases/{case_id}")).text, "cancel_refund")
        assert (await sam.post(f"/console/cases/{case_id}/decide", data=form)).status_code == 303
        asked = await steps.open_approval(database, step.model_copy(update={"occurrence": "2", "decision_id": 1}))
        assert asked.approval_id is not None
        return case_id, asked.approval_id

    async def test_a_question_is_shown_with_the_way_to_answer_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        sam, ana, ida = await sign_in("sam.ortega"), await sign_in("ana.ruiz"), await sign_in("ida.noor")
        case_id, approval_id = await self.dear_refund(sam, web, retailer)
        path = f"/console/approvals/{approval_id}"
        asked = await ana.post(f"{path}/verdict", data={"verdict": "ask", "note": "Was the <b>back room</b> counted?"})
        assert asked.status_code == 303
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert "Was the &lt;b&gt;back room&lt;/b&gt; counted?" in page
        assert f'<a href="{path}">Answer it</a>' in page
        assert "Answer the question" in (await sam.get(path)).text
        for other in (ana, ida):  # she asked; an auditor answers for nobody
            assert "Answer the question" not in (await other.get(path)).text
        assert (await sam.post(f"{path}/answer", data={"text": "Twice, by two people"})).status_code == 303
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert "Twice, by two people" in page
        assert "Answer it" not in page

    async def test_a_rejection_is_shown_with_its_reason(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        case_id, approval_id = await self.dear_refund(sam, web, retailer)
        verdict = {"verdict": "reject", "note": "Store S2 has fifty"}
        assert (await ana.post(f"/console/approvals/{approval_id}/verdict", data=verdict)).status_code == 303
        [journey] = await rows(retailer, tables.journey)
        step = Step(subject=journey["id"], occurrence="3", at=datetime.now(UTC), decision_id=1)
        await steps.give_back(retailer, step)
        page = (await sam.get(f"/console/cases/{case_id}")).text
        assert "Not applied: Cancel and refund" in page
        assert "Store S2 has fifty" in page


class TestDecide:
    async def test_a_way_out_that_means_something_else_by_now_is_not_taken(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id, sam, page = await failed_on_page(web, retailer, sign_in)
        form = decision_form(page, "part")
        form["shown"] = re.findall(r'name="shown" value="([^"]+)"', page)

        async def turns_up(tx: Transaction) -> None:
            await tx.conn.execute(update(tables.journey_line).values(cancelled=1))

        await retailer.write(turns_up, actor="test", via="test")  # one unit less is missing: the refund is another
        answer = await sam.post(f"/console/cases/{case_id}/decide", data=form)
        assert answer.status_code == 409
        assert "is not what it was when you opened this page" in answer.text
        assert await rows(retailer, tables.case_decision) == []
        shown = re.findall(r'name="shown" value="([^"]+)"', answer.text)
        taken = await sam.post(f"/console/cases/{case_id}/decide", data={**form, "shown": shown})
        assert taken.status_code == 303, taken.text

    async def test_a_decision_is_shown_as_applying_and_never_as_done(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id, sam, page = await failed_on_page(web, retailer, sign_in)
        form = decision_form(page, "cancel_refund")
        answer = await sam.post(f"/console/cases/{case_id}/decide", data={**form, "note": "no more apples"})
        assert answer.status_code == 303, answer.text
        [decision] = await rows(retailer, tables.case_decision)
        assert (decision["option_id"], decision["decided_by"], decision["state"]) == (
            form["option"], "sam.ortega", "applying",
        )  # fmt: skip
        after = (await sam.get(f"/console/cases/{case_id}")).text
        assert "Applying:" in after
        assert "Applied:" not in after
        assert "no more apples" in after
        watched = f"/console/cases/{case_id}/decision?decision={decision['id']}&state="
        assert "hx-refresh" not in (await sam.get(watched + "applying")).headers
        assert (await sam.get(watched + "awaiting_approval")).headers["hx-refresh"] == "true"

    async def test_a_form_sent_as_it_was_shown_decides_nothing(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        answer = await sam.post(f"/console/cases/{case_id}/decide", data={"version": "1", "note": "typed already"})
        assert answer.status_code == 422
        assert "Choose one of the ways out first" in answer.text
        assert "typed already" in answer.text
        assert await rows(retailer, tables.case_decision) == []

    async def test_a_way_out_that_policy_forbids_or_that_is_not_offered_is_refused(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        for option, status in (("never", 403), ("nonsense", 409)):
            answer = await sam.post(f"/console/cases/{case_id}/decide", data={"option": option})
            assert answer.status_code == status, answer.text
        assert await rows(retailer, tables.case_decision) == []

    async def test_moving_the_order_needs_the_customers_word(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id, sam, page = await failed_on_page(web, retailer, sign_in)
        form = decision_form(page, "other_store")
        refused = await sam.post(f"/console/cases/{case_id}/decide", data={**form, "confirmed": []})
        assert refused.status_code == 422
        assert "needs your word first. Tick “I have asked the customer, and they agree”" in refused.text
        assert await rows(retailer, tables.case_decision) == []
        taken = await sam.post(f"/console/cases/{case_id}/decide", data=form)
        assert taken.status_code == 303, taken.text

    async def test_what_moves_money_and_nothing_takes_back_needs_a_tick_beside_its_amount(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        """Here policy gives no time to undo anything; where it does, that is the second thought."""
        case_id, sam, page = await failed_on_page(web, retailer, sign_in)
        form = decision_form(page, "cancel_refund")
        tick = "I know that this cannot be undone: Refund: 16.08 USD"
        assert tick in page
        known = [one for one in form["confirmed"] if not one.endswith("#final")]
        refused = await sam.post(f"/console/cases/{case_id}/decide", data={**form, "confirmed": known})
        assert refused.status_code == 422
        assert f"needs your word first. Tick “{tick}”" in refused.text
        assert await rows(retailer, tables.case_decision) == []
        assert (await sam.post(f"/console/cases/{case_id}/decide", data=form)).status_code == 303
        [decision] = await rows(retailer, tables.case_decision)
        assert "final" not in decision["parameters"]

    async def test_with_a_time_to_undo_it_no_such_tick_is_asked_for(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        body = {"cases": {"undo_s": dict.fromkeys(SEVERITIES, 120)}}
        async with retailer.engine.begin() as conn:
            row = {"version": "two-minutes", "effective_from": NOW - timedelta(days=1), "body": body}
            await conn.execute(insert(tables.policy_document).values(**row))
        case_id = await failed_order(web, retailer)
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
        assert "#final" not in page
        assert "Cannot be undone after 2 min" in page

    async def test_a_case_that_changed_meanwhile_is_shown_anew_with_what_was_typed(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        await ana.post(f"/console/cases/{case_id}/claim")
        form = {"option": "dismiss", "version": "1", "note": "typed already"}
        answer = await sam.post(f"/console/cases/{case_id}/decide", data=form, headers=PARTIAL)
        assert answer.status_code == 409
        assert "typed already" in answer.text
        assert "<html" not in answer.text
        assert await rows(retailer, tables.case_decision) == []

    async def test_the_second_decision_is_refused_by_name(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer)
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        form = decision_form((await sam.get(f"/console/cases/{case_id}")).text, "cancel_refund")
        assert (await sam.post(f"/console/cases/{case_id}/decide", data=form)).status_code == 303
        late = await ana.post(f"/console/cases/{case_id}/decide", data=form)
        assert late.status_code == 409
        assert len(await rows(retailer, tables.case_decision)) == 1


class TestWork:
    async def test_claim_comment_wait_and_release_are_in_the_timeline(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        assert (await sam.post(f"/console/cases/{case_id}/claim")).status_code == 303
        said = await sam.post(f"/console/cases/{case_id}/comment", data={"text": "called the store"})
        assert said.status_code == 303
        end = (datetime.now(UTC) + timedelta(days=3)).replace(hour=10, minute=30)
        until = {"reason": "the store counts", "until": f"{end:%Y-%m-%dT%H:%M}"}
        assert (await sam.post(f"/console/cases/{case_id}/wait", data=until)).status_code == 303
        page = (await sam.get(f"/console/cases/{case_id}")).text
        for words in ("called the store", "the store counts", local(end)):
            assert words in page
        assert (await sam.post(f"/console/cases/{case_id}/release")).status_code == 303
        kinds = {event["kind"] for event in await rows(retailer, tables.case_event)}
        assert len(kinds) >= 4

    async def test_a_case_waits_for_a_span_from_now(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        before = datetime.now(UTC)
        form = {"reason": "the store counts", "span": "4 hours", "until": ""}
        assert (await sam.post(f"/console/cases/{case_id}/wait", data=form)).status_code == 303
        [row] = await rows(retailer, tables.case_file)
        assert row["state"] == "waiting"
        assert before <= row["waiting_until"] - timedelta(hours=4) <= datetime.now(UTC)

    @pytest.mark.parametrize(
        "form",
        [
            {},
            {"reason": "x"},
            {"reason": "x", "span": "a fortnight"},
            {"reason": "x", "span": "1 day", "until": "2099-01-01T10:00"},
            {"reason": "", "span": "1 day"},
            {"reason": "", "until": "2099-01-01T10:00"},
            {"reason": "x", "until": "soon"},
            {"reason": "x", "until": "0001-01-01T00:00+14:00"},
        ],
    )
    async def test_waiting_needs_a_reason_and_an_end(
        self, sign_in: SignIn, retailer: ledger.engine.Database, form: dict[str, str]
    ) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        sam = await sign_in("sam.ortega")
        await sam.post(f"/console/cases/{case_id}/claim")
        assert (await sam.post(f"/console/cases/{case_id}/wait", data=form)).status_code == 422
        [row] = await rows(retailer, tables.case_file)
        assert row["state"] == "claimed"

    async def test_an_empty_comment_is_refused(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        case_id = await a_case(retailer, "S1/APPLE")
        answer = await (await sign_in("sam.ortega")).post(f"/console/cases/{case_id}/comment", data={"text": "  "})
        assert answer.status_code == 422


def decision_form(page: str, beginning: str) -> dict[str, str | list[str]]:
    """The form filled in as a person would: the first option whose id begins so, with all that it asks to confirm."""
    option = next(found for found in option_ids(page) if found.startswith(beginning))
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    boxes = [box for box in re.findall(r'name="confirmed" value="([^"]+)"', page) if box.startswith(f"{option}#")]
    return {"option": option, "version": version[1], "confirmed": boxes}
