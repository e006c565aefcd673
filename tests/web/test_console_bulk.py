"""Deciding several cases at once: a preview that says what it would do, progress, stopping, no preselection."""

import re
from datetime import UTC, datetime

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from domain.messages import Step
from ledger import bulk, tables
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, rows

__all__ = ["accounts", "browse", "sign_in"]
PREVIEW = "/console/bulk/preview"
BULK = "/console/bulk"
SHOWN = re.compile(r'name="shown" value="([^"]+)"')
SEEN = re.compile(r'name="seen" value="(\d+@\d+)"')


async def broken(web: httpx2.AsyncClient, retailer: ledger.engine.Database, count: int = 2) -> list[int]:
    return [await failed_order(web, retailer, f"W-{number}") for number in range(count)]


async def chosen(browser: httpx2.AsyncClient, cases: list[int], option: str = "cancel_refund") -> httpx2.Response:
    """Preview, then decide as the form was rendered with one way out ticked."""
    page = await browser.post(PREVIEW, data={"case": [str(case) for case in cases]})
    assert page.status_code == 200, page.text
    return await browser.post(BULK, data=form_of(page.text, option))


def form_of(page: str, option: str) -> dict[str, object]:
    """The form as it was rendered, with one way out ticked."""
    return {"seen": SEEN.findall(page), "shown": SHOWN.findall(page), "option": option, "note": ""}


async def fewer_are_missing(retailer: ledger.engine.Database, journey_id: str) -> None:
    """One unit was taken off the order meanwhile: every refund is another."""
    async with retailer.engine.begin() as conn:
        lines = tables.journey_line
        await conn.execute(update(lines).where(lines.c.journey_id == journey_id).values(cancelled=1))


class TestPreview:
    async def test_it_says_how_many_each_way_fits_what_it_costs_and_who_is_left_out(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = [*await broken(web, retailer), await a_case(retailer, "S1|APPLE")]
        page = (await (await sign_in("sam.ortega")).post(PREVIEW, data={"case": [str(one) for one in cases]})).text
        assert "Decide 3 cases at once" in page
        assert "It begins 20 s later" in page
        assert "2 of 3" in page
        assert "It does not offer this" in page
        assert " checked>" not in page

    async def test_it_changes_nothing(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        before = await rows(retailer, tables.case_file)
        await (await sign_in("sam.ortega")).post(PREVIEW, data={"case": [str(one) for one in cases]})
        assert await rows(retailer, tables.case_file) == before
        assert await rows(retailer, tables.bulk) == []

    async def test_a_case_of_another_region_is_as_if_it_were_not_there(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer, 1)
        page = (await (await sign_in("sol.byrne")).post(PREVIEW, data={"case": [str(one) for one in cases]})).text
        assert "Decide 0 cases at once" in page
        assert "Nothing can be decided" in page

    async def test_what_somebody_else_has_claimed_is_left_out_with_the_name(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        [case_id] = await broken(web, retailer, 1)
        ana = await sign_in("ana.ruiz")
        await ana.post(f"/console/cases/{case_id}/claim", data={})
        page = (await (await sign_in("sam.ortega")).post(PREVIEW, data={"case": [str(case_id)]})).text
        assert "Ana Ruiz has claimed it" in page

    @pytest.mark.parametrize("count", [0, 501])
    async def test_none_or_too_many_are_refused_in_words(self, sign_in: SignIn, count: int) -> None:
        sam = await sign_in("sam.ortega")
        answer = await sam.post(PREVIEW, data={"case": [str(one) for one in range(1, count + 1)]})
        assert answer.status_code == 422
        assert "Tick between 1 and 500 cases" in answer.text


class TestDeciding:
    async def test_it_is_recorded_shown_and_decided_case_by_case(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        sam = await sign_in("sam.ortega")
        answer = await chosen(sam, cases)
        assert answer.status_code == 303
        page = (await sam.get(answer.headers["location"])).text
        assert "Nothing has happened yet" in page
        [row] = await rows(retailer, tables.bulk)
        step = Step(subject=str(row["id"]), occurrence="1", at=datetime.now(UTC))
        assert (await bulk.on_due(retailer, step)).ended
        page = (await sam.get(answer.headers["location"])).text
        assert "2 of 2</b> looked at: 2 decided, 0 refused" in page
        assert "Call it off" not in page
        assert {row["decided_by"] for row in await rows(retailer, tables.case_decision)} == {"sam.ortega"}

    async def test_the_form_as_rendered_decides_nothing(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        answer = await chosen(await sign_in("sam.ortega"), cases, option="")
        assert answer.status_code == 422
        assert "nothing is chosen for you" in answer.text
        assert await rows(retailer, tables.bulk) == []

    async def test_what_a_way_out_would_do_by_now_is_looked_at_again(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        sam = await sign_in("sam.ortega")
        page = (await sam.post(PREVIEW, data={"case": [str(case) for case in cases]})).text
        await fewer_are_missing(retailer, "bopis:web:W-0")
        refused = await sam.post(BULK, data=form_of(page, "cancel_refund"))
        assert refused.status_code == 409
        assert "is not what it was when you opened this page" in refused.text
        assert await rows(retailer, tables.bulk) == []
        assert (await sam.post(BULK, data=form_of(refused.text, "cancel_refund"))).status_code == 303

    async def test_a_case_whose_way_out_has_changed_since_the_confirmation_is_left_alone(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        assert (await chosen(await sign_in("sam.ortega"), cases)).status_code == 303
        await fewer_are_missing(retailer, "bopis:web:W-1")
        [row] = await rows(retailer, tables.bulk)
        assert (await bulk.on_due(retailer, Step(subject=str(row["id"]), occurrence="1", at=datetime.now(UTC)))).ended
        items = {row["case_id"]: (row["state"], row["reason"]) for row in await rows(retailer, tables.bulk_item)}
        assert items[cases[0]] == ("decided", None)
        state, reason = items[cases[1]]
        assert state == "refused"
        assert "would do something else by now than when it was chosen" in str(reason)

    async def test_called_off_it_says_so(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        sam = await sign_in("sam.ortega")
        place = (await chosen(sam, cases)).headers["location"]
        await sam.post(f"{place}/stop")
        assert "2 left alone" in (await sam.get(place)).text
        assert (await sam.post(f"{place}/stop")).status_code == 409

    async def test_nobody_else_sees_or_stops_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        place = (await chosen(await sign_in("sam.ortega"), await broken(web, retailer))).headers["location"]
        ana = await sign_in("ana.ruiz")
        assert (await ana.get(place)).status_code == 404
        assert (await ana.post(f"{place}/stop")).status_code == 404

    @pytest.mark.parametrize("seen", ["x@1", "1", "1@", "99999999999999999999999@1", "-1@1"])
    async def test_a_form_that_was_tampered_with_is_refused(self, sign_in: SignIn, seen: str) -> None:
        answer = await (await sign_in("sam.ortega")).post(BULK, data={"seen": [seen], "option": "wait"})
        assert answer.status_code in (404, 422)

    async def test_what_was_typed_is_still_there_after_a_refusal(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer)
        sam = await sign_in("sam.ortega")
        page = (await sam.post(PREVIEW, data={"case": [str(case) for case in cases]})).text
        refused = await sam.post(BULK, data={"seen": SEEN.findall(page), "option": "", "note": "a recall"})
        assert "a recall</textarea>" in refused.text


class TestOneCause:
    async def test_a_case_shows_the_others_of_its_cause_and_leads_to_deciding_them_together(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        cases = await broken(web, retailer, 3)
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{cases[0]}")).text
        assert "One cause, 3 cases" in page
        assert page.count('name="case"') == 3

    async def test_a_case_by_itself_offers_no_such_thing(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        [case_id] = await broken(web, retailer, 1)
        assert "One cause" not in (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
