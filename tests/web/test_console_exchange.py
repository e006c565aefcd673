"""The page of a return shows what it is exchanged for, and what the customer was asked; the replacement leads back."""

from typing import Any

import httpx2
import pytest

import ledger.engine
from tests.ledger.support.exchanging import Swap
from tests.ledger.support.returning import Back
from tests.shop import Shop
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.store import event, pick_all, place

__all__ = ["accounts", "browse", "sign_in"]
RETURN, REPLACEMENT = "/console/journeys/returns:web:RT-1", "/console/journeys/bopis:web:X-1"


@pytest.fixture
async def swap(web: httpx2.AsyncClient, retailer: ledger.engine.Database) -> Swap:
    """An apple of 1.29 that is to be exchanged for a bread of 1.79: its customer is asked by mail."""
    order = await place(web, "W-1")
    await pick_all(web, order)
    await event(web, "bopis.handed_over", "h-1", journey_id=order, lines=None, actor="p")
    line: dict[str, Any] = {"line_id": "1", "sku": "APPLE", "quantity": 1}
    wanted = {
        "return_id": "RT-1", "order_reference": "W-1", "returned_to": "S1", "currency": "USD",
        "lines": [line | {"reason": "wrong_size"}],
    }  # fmt: skip
    assert (await web.post("/api/v1/returns", json=wanted)).status_code == 201
    bread = {"line_id": "1", "sku": "BREAD", "quantity": 1, "unit_price_minor": 179}
    body = {"lines": None, "order": {"order_id": "X-1", "prices_include_tax": True, "lines": [bread]}}
    made = await web.post("/api/v1/returns/RT-1:exchange", json=body)
    assert made.status_code == 201, made.text
    answer = made.json()
    assert (answer["state"], answer["difference_minor"]) == ("asking", 50)
    assert answer["answer_until"]
    shop = Shop(retailer)
    return Swap(shop, Back(shop, answer["journey_id"]), answer["order_journey_id"])


def has(page: str, *words: str) -> None:
    for one in words:
        assert one in page, one


async def test_asked_charged_and_paid_on_both_pages(swap: Swap, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
    sam = await sign_in("sam.ortega")
    page = (await sam.get(RETURN)).text
    has(
        page, "the customer is asked", f'href="{REPLACEMENT}">Order X-1</a>', "1 × Bread", "0.50 USD, not charged",
        "Whether they pay 0.50 USD more", "No answer yet", "collected at Store S1", "Customer&#39;s answer",
    )  # fmt: skip
    has((await sam.get(REPLACEMENT)).text, "Replacement of a return", f'href="{RETURN}">Return RT-1</a>')
    await swap.agree()
    has((await sam.get(RETURN)).text, "waits for the goods", "0.50 USD charged", "Yes; it was charged")
    await event(web, "return.received", "r-1", return_id="RT-1", lines=[{"line_id": "1", "quantity": 1}])
    await swap.carry_on()
    has((await sam.get(RETURN)).text, "paid by the return", "The customer has paid the difference of 0.50 USD.")
    has((await sam.get(REPLACEMENT)).text, "paid by the return", "1 × Apple", "0.50 USD charged")
    seen = (await web.get("/api/v1/returns/RT-1")).json()["exchange"]
    assert (seen["state"], seen["difference_minor"], seen["is_sent"]) == ("applied", 50, False)


async def test_a_no_says_why_there_is_none(swap: Swap, sign_in: SignIn) -> None:
    assert await swap.say("decline") == "declined"
    await swap.carry_on()
    sam = await sign_in("sam.ortega")
    has((await sam.get(RETURN)).text, "not exchanged", "the customer would rather have the money", "not charged", "No.")
    has((await sam.get(REPLACEMENT)).text, "not exchanged")


async def test_an_order_that_is_none_says_nothing_of_it(swap: Swap, sign_in: SignIn) -> None:
    sam = await sign_in("sam.ortega")
    page = await sam.get("/console/journeys/bopis:web:W-1")
    assert page.status_code == 200
    assert 'id="exchange"' not in page.text


async def test_who_does_not_see_the_store_sees_neither(swap: Swap, sign_in: SignIn) -> None:
    sol = await sign_in("sol.byrne")
    assert [(await sol.get(page)).status_code for page in (RETURN, REPLACEMENT)] == [404, 404]
