"""Handing over and putting away on the store's pages: proof, part, refusals, goods of orders that are over."""

import re
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import code_of, event, form_of, pick_all, place, staff

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
Ledger = ledger.engine.Database
COUNTER = "/store/S1/hand-over"


def at(journey_id: str) -> str:
    return f"{COUNTER}/{journey_id}"


async def ready(web: httpx2.AsyncClient, order_id: str = "W-1") -> str:
    journey_id = await place(web, order_id)
    await pick_all(web, journey_id)
    return journey_id


async def on_page(database: Ledger) -> list[str]:
    """Types of what was reported on pages."""
    return [row["type"] for row in await rows(database, tables.event_inbox) if row["source"] == "console"]


async def collected(database: Ledger) -> dict[str, int]:
    return {row["line_id"]: row["collected"] for row in await rows(database, tables.journey_line)}


class TestFind:
    @pytest.mark.parametrize("words", ["W-1", "w-1", " W-1 ", "noor", "HADD"])
    async def test_one_match_opens_the_order(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, words: str
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        answer = await pia.post(COUNTER, data={"find": words})
        assert (answer.status_code, answer.headers.get("location")) == (303, at(journey_id))

    async def test_the_code_may_be_typed_with_spaces(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        code = await code_of(retailer, journey_id)
        pia = await sign_in("pia.lund")
        answer = await pia.post(COUNTER, data={"find": f"{code[:3]} {code[3:]}"})
        assert answer.headers.get("location") == at(journey_id)

    async def test_several_matches_are_listed(self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger) -> None:
        await ready(web, "W-1")
        await place(web, "W-2")
        answer = await (await sign_in("pia.lund")).post(COUNTER, data={"find": "Haddad"})
        assert answer.status_code == 200
        assert "2 found: which one?" in answer.text
        assert "Order W-2, reserved" in answer.text

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ("", "Scan or type"),
            ("x", "Scan or type"),
            ("Nobody", "No open order here has this"),
            ("%", "Scan or type"),
            ("%%", "No open order here has this"),
            ("W-9", "No open order here has this"),
        ],
    )
    async def test_nothing_found_says_what_to_do_and_keeps_what_was_typed(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, words: str, says: str
    ) -> None:
        await ready(web)
        answer = await (await sign_in("pia.lund")).post(COUNTER, data={"find": words})
        assert says in answer.text
        assert f'name="find" value="{words}"' in answer.text

    async def test_an_order_of_another_store_is_not_found(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        lea = await sign_in("lea.marx")
        for words in ("W-1", "Noor", await code_of(retailer, journey_id)):
            assert "No open order here" in (await lea.post("/store/S2/hand-over", data={"find": words})).text
        assert (await lea.post(COUNTER, data={"find": "W-1"})).status_code == 404

    async def test_who_may_only_look_does_not_search_for_customers(self, sign_in: SignIn, retailer: Ledger) -> None:
        assert (await (await sign_in("ida.noor")).post(COUNTER, data={"find": "Noor"})).status_code == 403


class TestHandOver:
    async def test_against_the_code_everything_goes_with_the_customer(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        page = (await pia.get(at(journey_id))).text
        assert "Noor Haddad" in page
        code = await code_of(retailer, journey_id)
        assert code not in page  # the customer shows it, not the page
        answer = await pia.post(at(journey_id), data=form_of(page) | {"code": f"{code[:3]} {code[3:]}"})
        assert answer.status_code == 200
        assert re.search(r"Saved \d\d:\d\d CES?T.*The order is complete", answer.text)
        assert await collected(retailer) == {"1": 2, "2": 1}
        [told] = [row for row in await rows(retailer, tables.journey_step) if row["step"] == "handed_over"]
        assert (told["actor"], told["detail"]) == ("pia.lund", "3 units handed over to the customer against code.")
        await assert_books_agree(retailer)

    async def test_somebody_else_collects_with_an_id_and_is_written_down(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text)
        form |= {"proof": "id", "collected_by": "Omar Haddad", "relation": "brother"}
        assert (await pia.post(at(journey_id), data=form)).status_code == 200
        [note] = await rows(retailer, tables.person_note)
        assert (note["text"], note["author"]) == ("Omar Haddad (brother)", "pia.lund")

    async def test_part_goes_part_is_not_wanted_and_the_rest_waits(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text)
        form |= {"code": await code_of(retailer, journey_id), "quantity:1": "1", "quantity:2": "0", "refused:2": "1"}
        answer = await pia.post(at(journey_id), data=form)
        assert "The rest still waits on the hold shelf." in answer.text
        assert "to be put away" in answer.text
        assert await collected(retailer) == {"1": 1, "2": 0}
        again = form_of(answer.text)
        assert (again["quantity:1"], "quantity:2" in again) == ("1", False)
        await assert_books_agree(retailer)

    async def test_a_double_press_hands_over_once(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"code": await code_of(retailer, journey_id)}
        assert (await pia.post(at(journey_id), data=form)).status_code == 200
        again = await pia.post(at(journey_id), data=form)
        assert again.status_code == 200
        assert "nothing counts twice" in again.text
        assert await collected(retailer) == {"1": 2, "2": 1}
        assert await on_page(retailer) == ["bopis.handed_over"]
        assert [row["kind"] for row in await rows(retailer, tables.case_file)] == []

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({}, "Scan or type the pickup code"),
            ({"code": "000000x"}, "This is not the code of this order."),
            ({"proof": ""}, "Choose what the customer showed you."),
            ({"proof": "smile"}, "Choose what the customer showed you."),
            ({"proof": "id"}, "Write down the name on the ID."),
            ({"proof": "id", "collected_by": "x" * 201}, "At most 200 characters."),
            ({"proof": "id", "collected_by": "Kim", "quantity:1": "3"}, "2 stand ready, and this makes 3."),
            ({"proof": "id", "collected_by": "Kim", "refused:1": "1"}, "2 stand ready, and this makes 3."),
            ({"proof": "id", "collected_by": "Kim", "quantity:1": "all"}, "Enter a whole number, 0 or more."),
            ({"proof": "id", "collected_by": "Kim", "quantity:1": "0", "quantity:2": "0"}, "nothing is entered"),
        ],
    )
    async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_saved_or_lost(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, typed: dict[str, str], says: str
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"relation": "neighbour"} | typed
        answer = await pia.post(at(journey_id), data=form)
        assert answer.status_code == 422
        assert says in answer.text
        kept = form_of(answer.text)
        assert (kept["relation"], kept["form_id"]) == ("neighbour", form["form_id"])
        assert kept["quantity:1"] == form["quantity:1"]
        assert await on_page(retailer) == []

    async def test_what_is_sold_from_an_age_on_needs_a_look_at_the_id(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        async with retailer.engine.begin() as conn:
            await conn.execute(update(tables.item).where(tables.item.c.sku == "BREAD").values(age_limit=18))
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"code": await code_of(retailer, journey_id)}
        refused = await pia.post(at(journey_id), data=form)
        assert refused.status_code == 422
        assert "sold from 18 years on" in refused.text
        assert (await pia.post(at(journey_id), data=form | {"id_checked": "yes"})).status_code == 200
        assert await rows(retailer, tables.case_file) == []

    async def test_what_is_not_picked_cannot_be_handed_over_here(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await place(web, "W-1")
        page = (await (await sign_in("pia.lund")).get(at(journey_id))).text
        assert "Not picked yet." in page
        assert f'href="/store/S1/pick/{journey_id}"' in page
        assert "quantity:" not in page

    async def test_an_order_cancelled_since_the_page_was_opened_keeps_its_goods_unless_they_have_left(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(at(journey_id))).text) | {"code": await code_of(retailer, journey_id)}
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        answer = await pia.post(at(journey_id), data=form)
        assert answer.status_code == 409
        assert "Order W-1 is cancelled by now." in answer.text
        assert "Keep the goods here" in answer.text
        assert await on_page(retailer) == []
        answer = await pia.post(at(journey_id), data=form_of(answer.text) | {"already": "yes"})
        assert answer.status_code == 200, answer.text
        assert "The order was over by then." in answer.text
        [case] = [row for row in await rows(retailer, tables.case_file) if row["kind"] == "fact_after_close"]
        assert f"/console/cases/{case['id']}" in answer.text
        await assert_books_agree(retailer)

    async def test_who_only_looks_sees_no_form_and_another_site_sends_none(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        pia, sam = await sign_in("pia.lund"), await sign_in("sam.ortega")
        form = form_of((await pia.get(at(journey_id))).text) | {"code": await code_of(retailer, journey_id)}
        assert "quantity:1" not in (await sam.get(at(journey_id))).text
        assert (await sam.post(at(journey_id), data=form)).status_code == 403
        lea = await sign_in("lea.marx")
        assert (await lea.post(at(journey_id), data=form)).status_code == 404
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await pia.post(at(journey_id), data=form, headers=foreign)).status_code == 403
        assert await on_page(retailer) == []


class TestPutAway:
    async def test_good_goes_to_the_shelf_and_damaged_does_not(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await ready(web)
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        pia = await sign_in("pia.lund")
        listed = (await pia.get("/store/S1/put-away")).text
        assert "cancelled, 3 units" in listed
        path = f"/store/S1/put-away/{journey_id}"
        form = form_of((await pia.get(path)).text)
        assert (form["quantity:1"], form["quantity:2"]) == ("2", "1")
        answer = await pia.post(path, data=form | {"quantity:1": "1", "damaged:1": "1", "quantity:2": "0"})
        assert "Saved " in answer.text
        assert "The rest still stands on the hold shelf." in answer.text
        [apple] = [r for r in await rows(retailer, tables.stock) if (r["location"], r["sku"]) == ("S1", "APPLE")]
        assert (apple["available"], apple["damaged"], apple["staged"]) == (9, 1, 0)
        rest = form_of(answer.text)
        assert (rest["quantity:2"], "quantity:1" in rest) == ("1", False)
        done = await pia.post(path, data=rest)
        assert "Nothing more to put away" in done.text
        assert "Nothing to put away" in (await pia.get("/store/S1/put-away")).text
        assert sorted(await on_page(retailer)) == ["bopis.put_away"] * 3
        await assert_books_agree(retailer)

    async def test_a_double_press_counts_once(self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger) -> None:
        journey_id = await ready(web)
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        pia = await sign_in("pia.lund")
        path = f"/store/S1/put-away/{journey_id}"
        form = form_of((await pia.get(path)).text) | {"quantity:1": "1", "damaged:1": "1"}
        assert (await pia.post(path, data=form)).status_code == 200
        assert "nothing counts twice" in (await pia.post(path, data=form)).text
        assert len(await on_page(retailer)) == 2
        await assert_books_agree(retailer)

    @pytest.mark.parametrize(
        ("typed", "status", "says"),
        [
            ({"quantity:1": "3"}, 422, "2 stand on the hold shelf, and this makes 3."),
            ({"damaged:1": "1"}, 422, "2 stand on the hold shelf, and this makes 3."),
            ({"damaged:1": "?"}, 422, "Enter a whole number, 0 or more."),
            ({"quantity:1": "0", "quantity:2": "0"}, 422, "nothing is entered"),
            ({"seen:1": "9", "quantity:1": "5"}, 409, "Somebody has put goods of this order away"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_is_saved(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, typed: dict[str, str], status: int, says: str
    ) -> None:
        journey_id = await ready(web)
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        pia = await sign_in("pia.lund")
        path = f"/store/S1/put-away/{journey_id}"
        answer = await pia.post(path, data=form_of((await pia.get(path)).text) | typed)
        assert answer.status_code == status
        assert says in answer.text
        assert await on_page(retailer) == []

    @pytest.mark.parametrize(("person", "status"), [("lea.marx", 404), ("sol.byrne", 404), ("ida.noor", 403)])
    async def test_only_the_store_puts_its_goods_away(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, person: str, status: int
    ) -> None:
        journey_id = await ready(web)
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        path = f"/store/S1/put-away/{journey_id}"
        form = form_of((await (await sign_in("pia.lund")).get(path)).text)
        assert (await (await sign_in(person)).post(path, data=form)).status_code == status
        assert await on_page(retailer) == []


class TestHome:
    async def test_it_counts_each_kind_of_work_and_says_what_comes_next(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await ready(web, "W-1")
        gone = await ready(web, "W-2")
        await event(web, "bopis.cancelled", "c-1", journey_id=gone)
        pia = await sign_in("pia.lund")
        page = (await pia.get("/store/S1")).text
        assert "Next: put away order W-2" in page
        await place(web, "W-3", bread=1)
        page = (await pia.get("/store/S1")).text
        assert "Next: pick order W-3" in page
        found: dict[str, Any] = dict(re.findall(r'href="([^"]+)"><b>.*?<span class="count[^>]*>(\d+)</span>', page))
        assert {way: count for way, count in found.items() if way.startswith("/store/")} == {
            "/store/S1/pick#verify": "0",
            "/store/S1/pick": "1",
            "/store/S1/hand-over": "1",
            "/store/S1/put-away": "1",
            "/store/S1/inspect": "0",
            "/store/S1/send": "0",
            "/store/S1/receive": "0",
            "/store/S1/returns": "0",
        }

    async def test_a_customer_outside_comes_before_everything(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await ready(web, "W-1")
        waits = await ready(web, "W-2")
        await event(web, "bopis.arrived", "a-1", journey_id=waits, bay="3")
        pia = await sign_in("pia.lund")
        page = (await pia.get("/store/S1")).text
        assert "Outside at bay 3: order W-2" in page
        assert f'href="{at(waits)}"' in page
        listed = (await pia.get(COUNTER)).text
        assert "Waits outside, bay 3" in listed
        assert listed.index("Order W-2") < listed.index("Order W-1")
