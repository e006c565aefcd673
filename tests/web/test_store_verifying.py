"""Promised units that may be gone: the store is told first, looks, and says what is there."""

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


class TestVerify:
    async def test_a_doubted_unit_stands_first_and_what_is_found_settles_it(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        await place(web, "W-1", apples=8)
        other = await place(web, "W-2", apples=1)
        lines = [{"line": "1", "sku": "APPLE", "quantity": 2, "unit_price_minor": 129}]
        await event(web, "pos.sale", "s-1", location="S1", receipt="r-1", lines=lines)
        doubted = [row["journey_id"] for row in await rows(retailer, tables.hold) if row["doubted_at"]]
        assert doubted == [other]
        pia = await sign_in("pia.lund")
        home = (await pia.get("/store/S1")).text
        assert "First: look for order W-2" in home
        page = (await pia.get("/store/S1/pick")).text
        assert page.index("Verify first") < page.index("Order W-2") < page.index("Order W-1")
        page = (await pia.get(f"/store/S1/pick/{other}")).text
        assert "Verify: is it there?" in page
        assert f'href="/store/S1/verify/{other}"' in home
        form = form_of(page) | {"quantity:1": "0", "reason:1": "not_in_stock", "save": "1"}
        answer = await pia.post(f"/store/S1/pick/{other}", data=form)
        assert answer.status_code == 200
        assert "1 missing: somebody decides about it." in answer.text
        [journey] = [row for row in await rows(retailer, tables.journey) if row["id"] == other]
        assert journey["detail"]["failure"] == "reservation_lost"
        page = (await pia.get("/store/S1/pick")).text
        assert "Order W-2" not in page
        assert page.index("Verify first") < page.index("Order W-1")  # the empty shelf makes the other one doubtful
        await assert_books_agree(retailer)


async def doubted_order(web: httpx2.AsyncClient) -> str:
    """An order for two apples of which the till has sold one."""
    await place(web, "W-1", apples=7)
    journey_id = await place(web, "W-2", apples=2)
    lines = [{"line": "1", "sku": "APPLE", "quantity": 2, "unit_price_minor": 129}]
    await event(web, "pos.sale", "s-1", location="S1", receipt="r-1", lines=lines)
    return journey_id


class TestLook:
    async def test_what_is_there_is_said_and_what_is_not_is_somebody_elses_to_decide(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await doubted_order(web)
        pia = await sign_in("pia.lund")
        path = f"/store/S1/verify/{journey_id}"
        form = form_of((await pia.get(path)).text)
        assert form["quantity:1"] == ""  # nothing is said beforehand
        answer = await pia.post(path, data=form | {"quantity:1": "1"})
        assert answer.status_code == 200, answer.text
        assert "Your part is done: units are missing" in answer.text
        found = await line(retailer, journey_id, "1")
        assert (found["reserved"], found["short"]) == (1, 1)
        again = await pia.post(path, data=form | {"quantity:1": "1"})
        assert "nothing counts twice" in again.text
        assert [row["type"] for row in await facts(retailer)] == ["bopis.verified"]
        await assert_books_agree(retailer)

    async def test_all_there_goes_on_to_the_pick(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger
    ) -> None:
        journey_id = await doubted_order(web)
        pia = await sign_in("pia.lund")
        path = f"/store/S1/verify/{journey_id}"
        answer = await pia.post(path, data=form_of((await pia.get(path)).text) | {"quantity:1": "2"})
        assert f'href="/store/S1/pick/{journey_id}">Pick it now' in answer.text
        assert "Nothing of this order is to be looked for now" in (await pia.get(path)).text
        assert "Verify first" not in (await pia.get("/store/S1/pick")).text

    @pytest.mark.parametrize(
        ("typed", "status", "says"),
        [
            ({}, 422, "Enter a whole number, 0 or more."),
            ({"quantity:1": "3"}, 422, "The order is promised 2"),
            ({"quantity:1": "1", "seen:1": "5"}, 409, "Somebody has reported or changed this line"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_is_lost(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, typed: dict[str, str], status: int, says: str
    ) -> None:
        journey_id = await doubted_order(web)
        pia = await sign_in("pia.lund")
        path = f"/store/S1/verify/{journey_id}"
        form = form_of((await pia.get(path)).text)
        answer = await pia.post(path, data=form | typed)
        assert (answer.status_code, says in answer.text) == (status, True)
        assert form_of(answer.text)["quantity:1"] == typed.get("quantity:1", "")
        assert await facts(retailer) == []
        for person, refused in (("lea.marx", 404), ("sam.ortega", 403)):
            assert (await (await sign_in(person)).post(path, data=form)).status_code == refused
