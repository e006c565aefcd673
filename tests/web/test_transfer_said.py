"""What pages say of what was reported of a transfer: at the store that receives it, on its own page, on Today."""

import re

import httpx2
import pytest

import ledger.engine
from ledger.people import person_by_id
from tests.ledger.support.transfers import Moved
from tests.shop import Shop
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.store import form_of, staff
from tests.web.test_api_transfers import event, wanted

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
RECEIVE = "/store/S2/receive/transfer:web:T-1"
PAGE = "/console/journeys/transfer:web:T-1"


@pytest.fixture
async def sent(web: httpx2.AsyncClient) -> None:
    """Three apples are on their way from Store S1 to Store S2."""
    lines = [{"line_id": "1", "sku": "APPLE", "quantity": 3}]
    assert (await web.post("/api/v1/transfers", json=wanted(lines=lines))).status_code == 201
    assert (await event(web, 1, "shipped", lines=None))["outcome"] == "accepted"


async def test_the_store_reads_that_nothing_more_comes_and_what_lacks(sign_in: SignIn, sent: None) -> None:
    lea = await sign_in("lea.marx")
    form = form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "1", "complete": "yes"}
    saved = (await lea.post(RECEIVE, data=form)).text
    assert "Saved: nothing more comes.</b> 2 units did not come." in saved
    assert "2 did not come, 1 came" in saved
    later = (await lea.get(RECEIVE)).text
    assert "It was said that nothing more comes." in later
    # What comes all the same is entered on the same page, and then nothing lacks any more.
    rest = (await lea.post(RECEIVE, data=form_of(later) | {"quantity:1": "2"})).text
    assert "The transfer is closed." in rest
    assert "did not come" not in rest


async def test_while_more_may_come_nothing_of_the_kind_is_said(sign_in: SignIn, sent: None) -> None:
    lea = await sign_in("lea.marx")
    page = (await lea.post(RECEIVE, data=form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "1"})).text
    assert "2 on the way, 1 came" in page
    assert "nothing more comes." not in page


async def test_broken_goods_are_not_said_to_lack(sign_in: SignIn, sent: None) -> None:
    lea = await sign_in("lea.marx")
    form = form_of((await lea.get(RECEIVE)).text) | {"quantity:1": "2", "damaged:1": "1"}
    page = (await lea.post(RECEIVE, data=form)).text
    assert "Everything that was sent has a number." in page
    assert "did not come." not in page


async def test_its_page_names_both_ends_and_what_each_report_has_said(
    sign_in: SignIn, web: httpx2.AsyncClient, sent: None
) -> None:
    await event(web, 2, "received", lines=[{"line_id": "1", "quantity": 1}], complete=True)
    page = (await (await sign_in("sam.ortega")).get(PAGE)).text
    assert re.search(r"<dt>From</dt><dd>.*Store S1", page)
    assert re.search(r"<dt>To</dt><dd>Store S2", page)
    assert "Received at Store S2, 1 unit, nothing more comes" in page
    assert "Shipped at Store S1, 3 units<" in page


async def test_a_count_that_it_asked_for_is_one_press_away(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database, sent: None
) -> None:
    await event(web, 2, "received", lines=[{"line_id": "1", "quantity": 1}], complete=True)
    moved = Moved(Shop(retailer), "transfer:web:T-1", None)  # type: ignore[arg-type]  # its answer is not looked at
    await moved.compare()
    async with retailer.read() as conn:
        who = await person_by_id(conn, "sam.ortega")
    assert who is not None
    await moved.decide("recount_source", who)
    [count] = (await web.get("/api/v1/transfers/T-1")).json()["counts"]
    sam = await sign_in("sam.ortega")
    page = (await sam.get(PAGE)).text
    assert re.search(r"<dt>Counted</dt><dd><a href=\"([^\"]+)\">Count S1-", page)
    (href,) = re.findall(r"<dt>Counted</dt><dd><a href=\"([^\"]+)\"", page)
    assert (await sam.get(href)).status_code == 200
    assert f"Store S1 counts: Count {count.rpartition(':')[2]}." in page


async def test_the_first_page_counts_what_comes_as_its_list_does(sign_in: SignIn, web: httpx2.AsyncClient) -> None:
    """Somebody of another region sees a transfer that comes to it, on the list and in the number that leads there."""
    made = await web.post("/api/v1/transfers", json=wanted("T-9", to="S9"))
    assert made.status_code == 201
    sol = await sign_in("sol.byrne")
    assert ">T-9</a>" in (await sol.get("/console/transfers")).text
    tile = re.search(r"<b>(\d+)</b>Transfers", (await sol.get("/")).text)
    assert tile is not None
    assert tile[1] == "1"
