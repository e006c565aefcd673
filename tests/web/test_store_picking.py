"""Picking on the store's pages: what is saved is what was entered, once; what is refused says what to do."""

import re
from typing import Any

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import event, facts, form_of, line, place, staff

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
Ledger = ledger.engine.Database
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


def at(journey_id: str) -> str:
    return f"/store/S1/pick/{journey_id}"


class TestSave:
    async def test_a_line_is_saved_with_its_time_and_the_other_line_keeps_what_was_typed(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text)
        form |= {"quantity:2": "0", "reason:2": "damaged", "save": "1"}
        answer = await pia.post(at(journey_id), data=form)
        assert answer.status_code == 200
        assert re.search(r"Saved \d\d:\d\d CES?T\. 2 on the hold shelf\.", answer.text)
        assert 'name="quantity:2" value="0"' in answer.text
        assert '<option value="damaged" selected>' in answer.text
        assert (await line(retailer, journey_id, "1"))["staged"] == 2
        assert (await line(retailer, journey_id, "2"))["staged"] == 0
        await assert_books_agree(retailer)

    async def test_the_last_line_makes_the_order_ready_and_the_next_order_is_one_tap_away(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id, other = await place(web, "W-1"), await place(web, "W-2")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"save": "all"}
        answer = await pia.post(at(journey_id), data=form)
        assert "All is picked." in answer.text
        assert "the customer is told" in answer.text
        assert f'href="/store/S1/pick/{other}">Next: order W-2' in answer.text
        [journey] = [row for row in await rows(retailer, tables.journey) if row["id"] == journey_id]
        assert journey["state"] == "ready_for_pickup"

    async def test_the_person_is_the_actor_of_the_movement_and_of_the_timeline(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        await pia.post(at(journey_id), data=form_of((await pia.get(at(journey_id))).text) | {"save": "all"})
        moved = [row for row in await rows(retailer, tables.movement) if row["kind"] == "picked"]
        assert {row["actor"] for row in moved} == {"pia.lund"}
        assert {row["cause"].split(":")[1] for row in moved} == {"console"}
        told = [row["actor"] for row in await rows(retailer, tables.journey_step) if row["step"] == "picked"]
        assert told == ["pia.lund"]

    async def test_a_short_line_with_a_reason_opens_the_question_and_says_that_the_picker_is_done(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text)
        form |= {"quantity:1": "1", "reason:1": "not_in_stock", "save": "all"}
        answer = await pia.post(at(journey_id), data=form)
        assert "Your part is done." in answer.text
        assert "1 missing: somebody decides about it." in answer.text
        found = await line(retailer, journey_id, "1")
        assert (found["staged"], found["short"], found["reserved"]) == (1, 1, 0)
        [journey] = [row for row in await rows(retailer, tables.journey) if row["id"] == journey_id]
        assert (journey["state"], journey["detail"]["failure"]) == ("reservation_failed", "pick_short")
        await assert_books_agree(retailer)

    async def test_part_of_a_line_may_be_saved_while_the_rest_is_looked_for(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1", apples=3)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"quantity:1": "2", "save": "1"}
        form = form_of((await pia.post(at(journey_id), data=form)).text)
        assert form["quantity:1"] == "1"
        answer = await pia.post(at(journey_id), data=form | {"save": "1"})
        assert "3 on the hold shelf" in answer.text
        assert (await line(retailer, journey_id, "1"))["staged"] == 3


class TestTwice:
    async def test_the_same_form_sent_twice_counts_once_and_says_when(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"save": "1"}
        first = await pia.post(at(journey_id), data=form)
        again = await pia.post(at(journey_id), data=form)
        assert (first.status_code, again.status_code) == (200, 200)
        assert "nothing counts twice" not in first.text
        assert "when it was sent first; nothing counts twice" in again.text
        assert (await line(retailer, journey_id, "1"))["staged"] == 2
        assert len(await facts(retailer)) == 1

    async def test_the_same_form_with_something_else_in_it_is_refused(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text)
        await pia.post(at(journey_id), data=form | {"quantity:1": "1", "save": "1"})
        answer = await pia.post(at(journey_id), data=form | {"quantity:1": "2", "save": "1"})
        assert answer.status_code == 422
        assert "saved before with something else in it" in answer.text
        assert form_of(answer.text)["form_id"] != form["form_id"]
        assert (await line(retailer, journey_id, "1"))["staged"] == 1

    async def test_a_page_that_somebody_else_has_overtaken_is_refused_and_shows_what_is_recorded(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia, ana = await sign_in("pia.lund"), await sign_in("ana.ruiz")
        stale = form_of((await ana.get(at(journey_id))).text)
        form = form_of((await pia.get(at(journey_id))).text)
        await pia.post(at(journey_id), data=form | {"quantity:1": "1", "save": "1"})
        answer = await ana.post(at(journey_id), data=stale | {"quantity:1": "1", "save": "1"})
        assert answer.status_code == 409
        assert "Somebody has reported or changed this line" in answer.text
        assert "Nothing was saved." in answer.text
        assert (await line(retailer, journey_id, "1"))["staged"] == 1
        now = form_of(answer.text)
        assert (now["quantity:1"], now["seen:1"]) == ("1", "1.1")
        assert (await ana.post(at(journey_id), data=now | {"save": "1"})).status_code == 200
        assert (await line(retailer, journey_id, "1"))["staged"] == 2


class TestRefused:
    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({"quantity:1": "two"}, "Enter a whole number, 0 or more."),
            ({"quantity:1": "-1"}, "Enter a whole number, 0 or more."),
            ({"quantity:1": "1.5"}, "Enter a whole number, 0 or more."),
            ({"quantity:1": "²"}, "Enter a whole number, 0 or more."),
            ({"quantity:1": ""}, "Enter a whole number, 0 or more."),
            ({"quantity:1": "99999999999999999999"}, "Enter a whole number, 0 or more."),
            ({"quantity:1": "3"}, "The order still wants 2 of these, not 3."),
            ({"quantity:1": "0"}, "Say why there is none"),
            ({"reason:1": "damaged"}, "All 2 are there: then no reason is needed."),
            ({"quantity:1": "1", "reason:1": "stolen_by_elves"}, "Choose one of the reasons."),
        ],
    )
    async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_saved_or_lost(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, typed: dict[str, str], says: str
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text)
        answer = await pia.post(at(journey_id), data=form | typed | {"quantity:2": "0", "save": "all"})
        assert answer.status_code == 422
        assert says in answer.text
        assert "Say why there is none" in answer.text  # of the other line, at the same time
        kept = form_of(answer.text)
        assert kept["form_id"] == form["form_id"]
        assert (kept["quantity:1"], kept["quantity:2"]) == (typed.get("quantity:1", "2"), "0")
        assert await facts(retailer) == []
        assert (await line(retailer, journey_id, "1"))["staged"] == 0

    @pytest.mark.parametrize("save", ["", "99", "seen:1"])
    async def test_enter_in_a_field_and_a_line_that_is_none_save_nothing(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, save: str
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"quantity:1": "1", "save": save}
        answer = await pia.post(at(journey_id), data=form)
        assert answer.status_code == 422
        assert "Press Save at the line that you mean" in answer.text
        assert form_of(answer.text)["quantity:1"] == "1"
        assert await facts(retailer) == []

    async def test_a_form_that_is_not_ours_is_refused(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        answer = await pia.post(at(journey_id), data={"save": "all", "form_id": "not-a-uuid"})
        assert answer.status_code == 422
        assert "not one of ours" in answer.text

    async def test_another_site_cannot_make_a_browser_send_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"save": "all"}
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await pia.post(at(journey_id), data=form, headers=foreign)).status_code == 403
        assert await facts(retailer) == []


class TestWho:
    async def test_of_another_store_or_region_nothing_exists(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        form = form_of((await (await sign_in("pia.lund")).get(at(journey_id))).text) | {"save": "all"}
        for stranger in ("lea.marx", "sol.byrne"):
            browser = await sign_in(stranger)
            for path in ("/store/S1", "/store/S1/pick", at(journey_id), "/store/S1/hand-over", "/store/S1/put-away"):
                assert (await browser.get(path)).status_code == 404, (stranger, path)
            assert (await browser.post(at(journey_id), data=form)).status_code == 404
        assert await facts(retailer) == []

    async def test_an_order_of_another_store_does_not_exist_at_ones_own(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        lea = await sign_in("lea.marx")
        assert (await lea.get(f"/store/S2/pick/{journey_id}")).status_code == 404
        ana = await sign_in("ana.ruiz")  # she manages both stores; the order is still the other's
        form = form_of((await ana.get(at(journey_id))).text) | {"save": "all"}
        assert (await ana.post(f"/store/S2/pick/{journey_id}", data=form)).status_code == 404
        assert await facts(retailer) == []

    @pytest.mark.parametrize("person", ["sam.ortega", "ida.noor", "fin.weber"])
    async def test_who_does_not_work_there_may_look_and_not_report(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, person: str
    ) -> None:
        journey_id = await place(web, "W-1")
        form = form_of((await (await sign_in("pia.lund")).get(at(journey_id))).text) | {"save": "all"}
        browser = await sign_in(person)
        page = (await browser.get(at(journey_id))).text
        assert "not report it" in page
        assert "quantity:1" not in page
        answer = await browser.post(at(journey_id), data=form)
        assert answer.status_code == 403
        assert "Its staff do." in answer.text
        assert await facts(retailer) == []

    async def test_who_is_not_signed_in_is_asked_to(self, browse: Any, web: httpx2.AsyncClient) -> None:
        journey_id = await place(web, "W-1")
        answer = await browse().get(at(journey_id))
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=/store/S1/pick/")


class TestOver:
    async def test_a_pick_of_an_order_that_was_cancelled_meanwhile_asks_where_the_goods_are(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"save": "all"}
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        answer = await pia.post(at(journey_id), data=form)
        assert answer.status_code == 409
        assert "Order W-1 is cancelled by now." in answer.text
        assert "Leave the goods on the shelf." in answer.text
        assert await facts(retailer) == []
        form = form_of(answer.text) | {"save": "all", "already": "yes"}
        answer = await pia.post(at(journey_id), data=form)
        assert answer.status_code == 200
        assert "The order was over by then." in answer.text
        [case] = [row for row in await rows(retailer, tables.case_file) if row["kind"] == "fact_after_close"]
        assert f"/console/cases/{case['id']}" in answer.text
        assert "to be put away" in answer.text
        await assert_books_agree(retailer)

    async def test_an_order_that_is_over_has_nothing_to_enter(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        page = (await (await sign_in("pia.lund")).get(at(journey_id))).text
        assert "This order is cancelled." in page
        assert "quantity:" not in page


class TestList:
    async def test_it_is_grouped_by_due_and_carries_barcodes_for_paper(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await place(web, "W-1")
        page = (await (await sign_in("pia.lund")).get("/store/S1/pick")).text
        assert re.search(r"<h2 id=\"group-1\">(Later today|Another day) <span", page)
        assert 'aria-label="Barcode W-1"' in page
        assert 'aria-label="Barcode APPLE"' in page
        assert "Noor Haddad" not in page  # a list that lies about names nobody

    async def test_an_empty_list_says_so(self, sign_in: SignIn, retailer: Ledger) -> None:
        pia = await sign_in("pia.lund")
        assert "Nothing to pick" in (await pia.get("/store/S1/pick")).text
        assert "Nothing to do now" in (await pia.get("/store/S1")).text

    async def test_who_has_one_store_goes_straight_there(self, sign_in: SignIn, retailer: Ledger) -> None:
        pia = await sign_in("pia.lund")
        for path, way in (("/", "/store"), ("/store", "/store/S1")):
            answer = await pia.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, way)
        ana = await sign_in("ana.ruiz")
        assert (await ana.get("/")).status_code == 200
        choice = (await ana.get("/store")).text
        assert "Store S1" in choice
        assert "Store S2" in choice
        assert "Store S9" not in choice

    async def test_the_fragment_of_a_saved_line_is_the_work_alone(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"save": "1"}
        answer = await pia.post(at(journey_id), data=form, headers=PARTIAL)
        assert answer.status_code == 200
        assert "<html" not in answer.text
        assert "Saved " in answer.text
