"""Sending and receiving on a phone: one form is one fact, nothing counts twice, an empty field is no number."""

from typing import Any

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import facts, form_of, staff
from tests.web.test_api_transfers import event, wanted

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
type Ledger = ledger.engine.Database
ID = "transfer:web:T-1"
FAR = "transfer:web:T-2"
SEND, RECEIVE = f"/store/S1/send/{ID}", f"/store/S2/receive/{ID}"
LINES = [{"line_id": "1", "sku": "APPLE", "quantity": 3}, {"line_id": "2", "sku": "BREAD", "quantity": 2}]


@pytest.fixture
async def asked(web: httpx2.AsyncClient) -> None:
    """Three apples and two loaves are to go from Store S1 to Store S2."""
    made = await web.post("/api/v1/transfers", json=wanted(lines=LINES))
    assert (made.status_code, made.json()["state"]) == (201, "ready_to_ship")


@pytest.fixture
async def sent(web: httpx2.AsyncClient, asked: None) -> None:
    """They have all left."""
    assert (await event(web, 1, "shipped", lines=None))["outcome"] == "accepted"


async def line(retailer: Ledger, line_id: str) -> dict[str, Any]:
    [found] = [row for row in await rows(retailer, tables.transfer_line) if row["line_id"] == line_id]
    return found


async def state(retailer: Ledger) -> str:
    [found] = [row["state"] for row in await rows(retailer, tables.journey) if row["id"] == ID]
    return str(found)


class TestSending:
    async def test_some_now_and_the_rest_never(self, sign_in: SignIn, retailer: Ledger, asked: None) -> None:
        pia = await sign_in("pia.lund")
        home = (await pia.get("/store/S1")).text
        assert "Next: send transfer T-1" in home
        assert "5 units to Store S2" in (await pia.get("/store/S1/send")).text
        form = form_of((await pia.get(SEND)).text)
        assert (form["quantity:1"], form["quantity:2"]) == ("3", "2")
        part = form | {"quantity:1": "2", "quantity:2": "2", "carrier": "Parcel Co", "tracking": "PC-1"}
        answer = (await pia.post(SEND, data=part)).text
        assert answer.count("Saved ") == 2
        assert "The rest is still to be sent." in answer
        rest = form_of(answer)
        assert (rest["seen:1"], "seen:2" in rest, rest["carrier"]) == ("1", False, "")
        done = (await pia.post(SEND, data=rest | {"quantity:1": "0", "complete": "yes"})).text
        assert "2 sent in all, 1 not sent" in done
        assert "Nothing to send" in (await pia.get("/store/S1/send")).text
        apples = await line(retailer, "1")
        assert (apples["shipped"], apples["cancelled"], apples["reserved"]) == (2, 1, 0)
        told = await rows(retailer, tables.transfer_parcel)
        assert [(row["carrier"], row["tracking"], row["actor"]) for row in told] == [
            ("Parcel Co", "PC-1", "pia.lund"), (None, None, "pia.lund"),
        ]  # fmt: skip
        await assert_books_agree(retailer)

    async def test_a_double_press_counts_once(self, sign_in: SignIn, retailer: Ledger, asked: None) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(SEND)).text) | {"quantity:1": "1", "quantity:2": "0"}
        assert (await pia.post(SEND, data=form)).status_code == 200
        again = await pia.post(SEND, data=form)
        assert again.status_code == 200
        assert "nothing counts twice" in again.text
        assert (await line(retailer, "1"))["shipped"] == 1

    async def test_more_than_asked_for_is_asked_about_and_then_taken(
        self, sign_in: SignIn, retailer: Ledger, asked: None
    ) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(SEND)).text) | {"quantity:1": "4"}
        refused = await pia.post(SEND, data=form)
        assert refused.status_code == 422
        assert "More than asked for has left" in refused.text
        assert await facts(retailer) == []
        assert (await pia.post(SEND, data=form_of(refused.text) | {"more": "yes"})).status_code == 200
        assert (await line(retailer, "1"))["shipped"] == 4
        await assert_books_agree(retailer)

    async def test_what_was_called_off_is_not_sent_unless_it_has_left(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, asked: None
    ) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(SEND)).text)
        assert (await event(web, 1, "cancelled"))["outcome"] == "accepted"
        refused = await pia.post(SEND, data=form)
        assert refused.status_code == 409
        assert "Transfer T-1 is cancelled." in refused.text
        assert await facts(retailer) == []
        assert (await pia.post(SEND, data=form_of(refused.text) | {"already": "yes"})).status_code == 200
        assert ((await line(retailer, "1"))["shipped"], await state(retailer)) == (3, "in_transit")

    async def test_a_page_opened_after_it_was_called_off_takes_what_has_left(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, asked: None
    ) -> None:
        assert (await event(web, 1, "cancelled"))["outcome"] == "accepted"
        pia = await sign_in("pia.lund")
        page = (await pia.get(SEND)).text
        assert "The transfer is cancelled: do not send it now." in page
        form = form_of(page)
        assert (form["quantity:1"], form["quantity:2"]) == ("0", "0")
        assert (await pia.post(SEND, data=form | {"quantity:1": "1", "already": "yes"})).status_code == 200
        assert ((await line(retailer, "1"))["shipped"], await state(retailer)) == (1, "in_transit")
        await assert_books_agree(retailer)

    @pytest.mark.parametrize(
        ("typed", "status", "says"),
        [
            ({"quantity:1": "x"}, 422, "Enter a whole number"),
            ({"quantity:1": "0", "quantity:2": "0"}, 422, "nothing is entered"),
            ({"seen:1": "9"}, 409, "Somebody has reported goods"),
            ({"carrier": "c" * 201}, 422, "at most 200 characters"),
            ({"tracking": "\x01"}, 422, "Nothing was saved."),
            ({"form_id": "mine"}, 422, "not one of ours"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_is_saved(
        self, sign_in: SignIn, retailer: Ledger, asked: None, typed: dict[str, str], status: int, says: str
    ) -> None:
        pia = await sign_in("pia.lund")
        answer = await pia.post(SEND, data=form_of((await pia.get(SEND)).text) | typed)
        assert answer.status_code == status
        assert says in answer.text
        assert await facts(retailer) == []


class TestScanning:
    @pytest.mark.parametrize("path", [SEND, RECEIVE])
    async def test_the_line_of_a_scanned_item_comes_first(self, sign_in: SignIn, asked: None, path: str) -> None:
        person = await sign_in("pia.lund" if path == SEND else "lea.marx")
        page, scanned = (await person.get(path)).text, (await person.get(f"{path}?sku=%20BREAD")).text
        assert page.index('name="quantity:1"') < page.index('name="quantity:2"')
        assert scanned.index('name="quantity:2"') < scanned.index('name="quantity:1"')
        assert "No line here is" not in scanned
        assert form_of(scanned).keys() == form_of(page).keys()

    async def test_an_item_that_is_not_on_the_list_is_said(self, sign_in: SignIn, sent: None) -> None:
        page = (await (await sign_in("lea.marx")).get(f"{RECEIVE}?sku=RARE")).text
        assert "No line here is RARE." in page


class TestReceiving:
    async def test_in_parts_and_then_nothing_more(self, sign_in: SignIn, retailer: Ledger, sent: None) -> None:
        lea = await sign_in("lea.marx")
        assert "Next: receive transfer T-1" in (await lea.get("/store/S2")).text
        assert "5 units from Store S1" in (await lea.get("/store/S2/receive")).text
        form = form_of((await lea.get(RECEIVE)).text)
        assert (form["quantity:1"], form["quantity:2"]) == ("", "")
        answer = (await lea.post(RECEIVE, data=form | {"quantity:1": "1", "damaged:1": "1"})).text
        assert answer.count("Saved ") == 1
        assert "3 units are still on the way: back to" in answer
        assert "Nothing more is on its way" not in answer
        refused = await lea.post(RECEIVE, data=form_of(answer) | {"complete": "yes"})
        assert refused.status_code == 422
        assert "line 2 has no number" in refused.text
        assert (await line(retailer, "2"))["in_transit"] == 2
        # The first line has its number already: only the second one wants one.
        done = await lea.post(RECEIVE, data=form_of(refused.text) | {"quantity:2": "2", "complete": "yes"})
        assert done.status_code == 200
        assert "Nothing more is on its way: back to" in done.text
        apples, bread = await line(retailer, "1"), await line(retailer, "2")
        assert (apples["received"], apples["damaged"], apples["in_transit"], bread["received"]) == (1, 1, 1, 2)
        assert await state(retailer) == "received"
        await assert_books_agree(retailer)

    async def test_nothing_more_comes_alone_where_each_line_has_its_number(
        self, sign_in: SignIn, retailer: Ledger, sent: None
    ) -> None:
        lea = await sign_in("lea.marx")
        form = form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "2", "quantity:2": "2"}
        answer = (await lea.post(RECEIVE, data=form)).text
        assert await state(retailer) == "partially_received"
        assert (await lea.post(RECEIVE, data=form_of(answer) | {"complete": "yes"})).status_code == 200
        assert await state(retailer) == "received"

    async def test_nothing_more_comes_alone_is_refused_where_no_line_has(
        self, sign_in: SignIn, retailer: Ledger, sent: None
    ) -> None:
        lea = await sign_in("lea.marx")
        answer = await lea.post(RECEIVE, data=form_of((await lea.get(RECEIVE)).text) | {"complete": "yes"})
        assert answer.status_code == 422
        assert "lines 1, 2 have no number" in answer.text
        assert await facts(retailer) == []

    async def test_another_item_came(self, sign_in: SignIn, retailer: Ledger, sent: None) -> None:
        lea = await sign_in("lea.marx")
        typed = {"quantity:1": "0", "other:1": "RARE", "units:1": "3"}
        answer = await lea.post(RECEIVE, data=form_of((await lea.get(RECEIVE)).text) | typed)
        assert answer.status_code == 200
        assert "3 × Rare" in answer.text
        [extra] = await rows(retailer, tables.transfer_extra)
        assert (extra["kind"], extra["sku"], extra["quantity"], extra["location"]) == ("misship", "RARE", 3, "S2")
        await assert_books_agree(retailer)

    async def test_a_double_press_counts_once(self, sign_in: SignIn, retailer: Ledger, sent: None) -> None:
        lea = await sign_in("lea.marx")
        form = form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "3", "quantity:2": "2", "complete": "yes"}
        assert (await lea.post(RECEIVE, data=form)).status_code == 200
        again = await lea.post(RECEIVE, data=form)
        assert again.status_code == 200
        assert "nothing counts twice" in again.text
        assert ((await line(retailer, "1"))["received"], await state(retailer)) == (3, "closed")
        assert len(await facts(retailer)) == 1

    async def test_goods_of_which_nobody_said_that_they_left(
        self, sign_in: SignIn, retailer: Ledger, asked: None
    ) -> None:
        lea = await sign_in("lea.marx")
        assert "Nobody has said that these have left" in (await lea.get("/store/S2/receive")).text
        answer = await lea.post(RECEIVE, data=form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "3"})
        assert answer.status_code == 200
        assert (await line(retailer, "1"))["received"] == 3

    async def test_goods_of_a_transfer_that_is_over_are_taken_when_they_have_come(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, asked: None
    ) -> None:
        await event(web, 1, "cancelled")
        lea = await sign_in("lea.marx")
        form = form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "1"}
        refused = await lea.post(RECEIVE, data=form)
        assert (refused.status_code, await facts(retailer)) == (409, [])
        assert (await lea.post(RECEIVE, data=form_of(refused.text) | {"already": "yes"})).status_code == 200
        assert len(await facts(retailer)) == 1
        await assert_books_agree(retailer)

    @pytest.mark.parametrize(
        ("typed", "status", "says"),
        [
            ({}, 422, "nothing is entered"),
            ({"quantity:1": "x"}, 422, "Enter a whole number"),
            ({"damaged:1": "0"}, 422, "how many came in good order"),
            ({"other:1": "RARE", "units:1": "2"}, 422, "how many of APPLE itself came"),
            ({"quantity:1": "0", "units:1": "2"}, 422, "Enter the SKU"),
            ({"quantity:1": "0", "other:1": "A B", "units:1": "2"}, 422, "Enter the SKU"),
            ({"quantity:1": "0", "other:1": "APPLE", "units:1": "2"}, 422, "That is the item itself"),
            ({"quantity:1": "0", "other:1": "RARE", "units:1": "0"}, 422, "or clear its SKU"),
            ({"quantity:1": "0", "other:1": "RARE"}, 422, "Enter a whole number"),
            ({"quantity:1": "0", "other:1": "NONE", "units:1": "2"}, 422, "NONE"),
            ({"quantity:1": "1", "seen:1": "9/0/0/0"}, 409, "Somebody has reported goods"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_is_saved(
        self, sign_in: SignIn, retailer: Ledger, sent: None, typed: dict[str, str], status: int, says: str
    ) -> None:
        lea = await sign_in("lea.marx")
        answer = await lea.post(RECEIVE, data=form_of((await lea.get(RECEIVE)).text) | typed)
        assert answer.status_code == status
        assert says in answer.text
        assert await facts(retailer) == []


@pytest.mark.parametrize(
    ("person", "path", "status"),
    [
        ("lea.marx", SEND, 404),
        ("pia.lund", RECEIVE, 404),
        ("pia.lund", f"/store/S1/receive/{ID}", 404),  # it leaves from here
        ("lea.marx", f"/store/S2/send/{ID}", 404),
        ("sol.byrne", SEND, 404),
        ("ida.noor", SEND, 403),
        ("ida.noor", RECEIVE, 403),
    ],
)
async def test_each_end_reports_its_own(
    sign_in: SignIn, retailer: Ledger, sent: None, person: str, path: str, status: int
) -> None:
    form = form_of((await (await sign_in("lea.marx")).get(RECEIVE)).text) | {"quantity:1": "1"}
    assert (await (await sign_in(person)).post(path, data=form)).status_code == status
    assert await facts(retailer) == []


STRAY = f"/store/S1/stray/{FAR}"


class TestGoodsMeantForAnotherPlace:
    @pytest.fixture
    async def far(self, web: httpx2.AsyncClient) -> None:
        """Three apples are on their way from Store S2 to Store S9."""
        made = await web.post("/api/v1/transfers", json=wanted("T-2", **{"from": "S2", "to": "S9", "lines": LINES[:1]}))
        assert made.status_code == 201
        told = {"transfer_id": "T-2", "tracking": "PC-9", "lines": [{"line_id": "1", "quantity": 3}]}
        assert (await event(web, 9, "shipped", **told))["outcome"] == "accepted"

    async def test_found_by_the_label_reported_and_asked_about(
        self, sign_in: SignIn, retailer: Ledger, far: None
    ) -> None:
        pia = await sign_in("pia.lund")
        assert "/store/S1/stray" in (await pia.get("/store/S1/receive")).text
        for label in ("T-2", "PC-9", FAR):
            found = await pia.get("/store/S1/stray", params={"number": f" {label} "})
            assert (found.status_code, found.headers["location"]) == (303, STRAY)
        form = form_of((await pia.get(STRAY)).text) | {"quantity:1": "2", "damaged:1": "1"}
        answer = await pia.post(STRAY, data=form)
        assert answer.status_code == 200
        assert "2 × Apple" in answer.text
        again = await pia.post(STRAY, data=form)
        assert "nothing counts twice" in again.text
        [extra] = await rows(retailer, tables.transfer_extra)
        assert (extra["kind"], extra["location"], extra["quantity"]) == ("wrong_store", "S1", 2)
        [apples] = await rows(retailer, tables.transfer_line)
        assert (apples["received"], apples["damaged"], apples["in_transit"]) == (2, 1, 0)
        assert len(await facts(retailer)) == 1
        await assert_books_agree(retailer)

    async def test_one_that_comes_here_is_received(self, sign_in: SignIn, retailer: Ledger, sent: None) -> None:
        lea = await sign_in("lea.marx")
        found = await lea.get("/store/S2/stray", params={"number": "T-1"})
        assert found.headers["location"] == RECEIVE
        form = form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "1"}
        assert (await lea.post(f"/store/S2/stray/{ID}", data=form)).status_code == 404
        assert await facts(retailer) == []

    @pytest.mark.parametrize("number", ["T-3", "T", "%", "PC"])
    async def test_only_the_exact_number_finds_anything(self, sign_in: SignIn, far: None, number: str) -> None:
        page = await (await sign_in("pia.lund")).get("/store/S1/stray", params={"number": number})
        assert (page.status_code, "No transfer has the number" in page.text) == (200, True)

    @pytest.mark.parametrize(
        ("typed", "status", "says"),
        [
            ({}, 422, "nothing is entered"),
            ({"quantity:1": "0"}, 422, "nothing is entered"),
            ({"quantity:1": "-1"}, 422, "Enter a whole number"),
            ({"quantity:1": "1", "seen:1": "9/0/0/0"}, 409, "Somebody has reported goods"),
            ({"quantity:1": "1", "form_id": "mine"}, 422, "not one of ours"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_is_saved(
        self, sign_in: SignIn, retailer: Ledger, far: None, typed: dict[str, str], status: int, says: str
    ) -> None:
        pia = await sign_in("pia.lund")
        answer = await pia.post(STRAY, data=form_of((await pia.get(STRAY)).text) | typed)
        assert (answer.status_code, says in answer.text) == (status, True)
        assert await facts(retailer) == []

    async def test_who_does_not_work_there_reports_nothing(self, sign_in: SignIn, retailer: Ledger, far: None) -> None:
        form = form_of((await (await sign_in("pia.lund")).get(STRAY)).text) | {"quantity:1": "1"}
        for person, status in (("lea.marx", 404), ("ida.noor", 403), ("sol.byrne", 404)):
            assert (await (await sign_in(person)).post(STRAY, data=form)).status_code == status
        assert await facts(retailer) == []
