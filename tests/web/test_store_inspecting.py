"""Inspecting on a phone: the condition of what came back, its disposition, and nothing counted twice."""

from typing import Any

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import event, facts, form_of, pick_all, place, staff

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
type Ledger = ledger.engine.Database
BACK = "returns:web:RT-1"
PATH = f"/store/S1/inspect/{BACK}"


@pytest.fixture
async def came_back(web: httpx2.AsyncClient) -> None:
    """Two apples of an order were brought back, and nobody has looked at them."""
    journey_id = await place(web, "W-1")
    await pick_all(web, journey_id)
    await event(web, "bopis.handed_over", "h-1", journey_id=journey_id, lines=None, actor="p")
    line = {"line_id": "1", "sku": "APPLE", "quantity": 2, "reason": "changed_mind"}
    wanted = {
        "return_id": "RT-1", "order_reference": "W-1", "returned_to": "S1", "currency": "USD", "lines": [line]
    }  # fmt: skip
    assert (await web.post("/api/v1/returns", json=wanted)).status_code == 201
    await event(web, "return.received", "r-1", return_id="RT-1", lines=[{"line_id": "1", "quantity": 2}])


async def apples(retailer: Ledger) -> dict[str, Any]:
    [found] = [row for row in await rows(retailer, tables.stock) if (row["location"], row["sku"]) == ("S1", "APPLE")]
    return found


async def test_one_is_as_new_and_one_is_not(sign_in: SignIn, retailer: Ledger, came_back: None) -> None:
    before = await apples(retailer)
    pia = await sign_in("pia.lund")
    home = (await pia.get("/store/S1")).text
    assert "Next: inspect return RT-1" in home
    assert "2 units" in (await pia.get("/store/S1/inspect")).text
    form = form_of((await pia.get(PATH)).text)
    assert form["quantity:1"] == "2"
    answer = await pia.post(PATH, data=form | {"quantity:1": "1", "condition:1": "new"})
    assert "The rest is still to be inspected." in answer.text
    rest = form_of(answer.text)
    assert rest["quantity:1"] == "1"
    done = await pia.post(PATH, data=rest | {"condition:1": "used", "disposition:1": "donate", "reason:1": "soft"})
    assert "Nothing more to inspect" in done.text
    assert "Nothing to inspect" in (await pia.get("/store/S1/inspect")).text
    after = await apples(retailer)
    assert (after["available"], after["customer_returned"]) == (before["available"] + 1, 0)
    found = await rows(retailer, tables.return_disposition)
    assert [(row["disposition"], row["proposed"], row["inspected_by"]) for row in found] == [
        ("restock", "restock", "pia.lund"), ("donate", "liquidate", "pia.lund"),
    ]  # fmt: skip
    await assert_books_agree(retailer)


async def test_a_double_press_counts_once(sign_in: SignIn, retailer: Ledger, came_back: None) -> None:
    pia = await sign_in("pia.lund")
    form = form_of((await pia.get(PATH)).text) | {"quantity:1": "1", "condition:1": "new"}
    assert (await pia.post(PATH, data=form)).status_code == 200
    assert "nothing counts twice" in (await pia.post(PATH, data=form)).text
    assert (await apples(retailer))["customer_returned"] == 1


@pytest.mark.parametrize(
    ("typed", "status", "says"),
    [
        ({"quantity:1": "3", "condition:1": "new"}, 422, "2 wait to be inspected"),
        ({"quantity:1": "x", "condition:1": "new"}, 422, "Enter a whole number"),
        ({"quantity:1": "1"}, 422, "Choose the condition"),
        ({"quantity:1": "0", "condition:1": "new"}, 422, "nothing is entered"),
        ({"seen:1": "9", "quantity:1": "1", "condition:1": "new"}, 409, "Somebody has inspected"),
        ({"condition:1": "new", "disposition:1": "sell"}, 422, "There is no such disposition"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_saved(
    sign_in: SignIn, retailer: Ledger, came_back: None, typed: dict[str, str], status: int, says: str
) -> None:
    pia = await sign_in("pia.lund")
    answer = await pia.post(PATH, data=form_of((await pia.get(PATH)).text) | typed)
    assert answer.status_code == status
    assert says in answer.text
    assert await facts(retailer) == []


@pytest.mark.parametrize(("person", "status"), [("lea.marx", 404), ("sol.byrne", 404), ("ida.noor", 403)])
async def test_only_the_store_inspects_what_came_to_it(
    sign_in: SignIn, retailer: Ledger, came_back: None, person: str, status: int
) -> None:
    form = form_of((await (await sign_in("pia.lund")).get(PATH)).text) | {"condition:1": "new"}
    assert (await (await sign_in(person)).post(PATH, data=form)).status_code == status
    assert await facts(retailer) == []


async def test_the_return_and_its_cases_have_their_pages(
    sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, came_back: None
) -> None:
    await event(web, "return.received", "r-2", return_id="RT-1", lines=[{"line_id": "1", "quantity": 1}])
    sam = await sign_in("sam.ortega")
    page = (await sam.get(f"/console/journeys/{BACK}")).text
    assert "It may come back within 30 d" in page
    assert '<li class="here" aria-current="step"><span>Received</span>' in page
    [case] = [row for row in await rows(retailer, tables.case_file) if row["kind"] == "return_mismatch"]
    said = (await sam.get(f"/console/cases/{case['id']}")).text
    assert "Line 1: 3 of 2 APPLE came." in said
    assert f'<a href="/console/journeys/{BACK}">Return RT-1</a>' in said
    assert ">RT-1</a>" in (await sam.get("/console/journeys?kind=returns")).text
