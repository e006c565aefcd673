"""An exchange at the counter, on a phone: what they take instead, what it comes to, who pays; agreed to once."""

import re
from typing import Any

import httpx2
import pytest
from sqlalchemy import insert, update

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import order, rows
from tests.web.store import event, form_of, staff

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
type Ledger = ledger.engine.Database
RETURN = "returns:web:RT-1"
BACK = f"/store/S1/returns/{RETURN}"
AT = f"{BACK}/exchange"


@pytest.fixture
async def apple(web: httpx2.AsyncClient) -> str:
    """An apple that was collected, 1.29 and 0.05 tax by card, is to come back to Store S1."""
    answer = await web.post("/api/v1/bopis-orders", json=order("W-1", quantity=1))
    own = str(answer.json()["journey_id"])
    await event(web, "bopis.picked", "p-1", journey_id=own, picker="p", lines=[{"line_id": "1", "quantity": 1}])
    await event(web, "bopis.handed_over", "h-1", journey_id=own, lines=None, actor="p")
    line = {"line_id": "1", "sku": "APPLE", "quantity": 1, "reason": "wrong_item"}
    wanted = {"return_id": "RT-1", "order_reference": "W-1", "returned_to": "S1", "currency": "USD", "lines": [line]}
    assert (await web.post("/api/v1/returns", json=wanted)).status_code == 201
    return RETURN


def taking(sku: str, units: int = 1, **more: str) -> dict[str, str]:
    return {"line": "1", "sku:1": sku, "units:1": str(units), **more}


async def agreed(client: httpx2.AsyncClient, chosen: dict[str, str], **more: str) -> httpx2.Response:
    """Look at what it comes to, and send the form of that page with what else somebody enters there."""
    page = await client.get(AT, params=chosen)
    assert "What it comes to" in page.text, page.text
    return await client.post(AT, data=form_of(page.text) | more)


async def swap(retailer: Ledger) -> dict[str, Any]:
    (row,) = [row for row in await rows(retailer, tables.journey) if row["id"] == RETURN]
    found: dict[str, Any] = row["detail"].get("exchange") or {}
    return found


async def replacements(retailer: Ledger) -> list[str]:
    found = await rows(retailer, tables.journey)
    return [row["id"] for row in found if row["kind"] == "bopis" and row["key"] != "W-1"]


async def price(retailer: Ledger, sku: str, minor: int) -> None:
    async with retailer.engine.begin() as conn:
        await conn.execute(update(tables.item).where(tables.item.c.sku == sku).values(price_minor=minor))


class TestChosen:
    async def test_the_way_there_and_what_is_often_taken(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        async with retailer.engine.begin() as conn:
            row = {"sku": "APPLE", "substitute_sku": "BREAD", "rank": 1}
            await conn.execute(insert(tables.substitute).values(**row))
        pia = await sign_in("pia.lund")
        assert f'href="{AT}">They want something else instead</a>' in (await pia.get(BACK)).text
        page = (await pia.get(AT)).text
        assert "1 × Apple <code>APPLE</code>" in page
        assert re.findall(r"sku%3A1=(\w+)", page) == ["APPLE", "BREAD"]
        assert "What it comes to" not in page
        assert await swap(retailer) == {}

    async def test_what_it_comes_to_stands_in_the_address(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        await price(retailer, "BREAD", 300)
        pia = await sign_in("pia.lund")
        page = (await pia.get(AT, params=taking("BREAD", 2))).text
        # 5 in 129 is taxed as 23 in 600
        for words in ("2 × Bread, 3.00 USD each, and 0.23 USD tax", "6.23 USD", "1.34 USD", "4.89 USD"):
            assert words in page, words
        assert 'name="tax:1" inputmode="decimal" maxlength="15" autocomplete="off" value="0.23"' in page
        assert re.search(r'name="how" value="\w+" checked', page) is None
        again = (await pia.get(AT, params=taking("BREAD", 2) | {"tax:1": "0.30", "taxed:1": "BREAD|2"})).text
        assert "6.30 USD" in again
        other = (await pia.get(AT, params=taking("BREAD", 1) | {"tax:1": "0.30", "taxed:1": "BREAD|2"})).text
        assert "and 0.12 USD tax" in other  # the tax of two is not that of one

    @pytest.mark.parametrize(
        ("chosen", "says"),
        [
            (taking("NOTHING"), "Nothing here is known under this SKU."),
            (taking("a b"), "Enter the SKU as it stands on the label."),
            (taking("BREAD", 0), "Enter how many of it, or clear its SKU."),
            (taking("") | {"units:1": "2"}, "Enter the SKU as it stands on the label."),
            (taking("BREAD") | {"units:1": "x"}, "Enter a whole number, 0 or more."),
            (taking("BREAD") | {"sku:2": "BREAD", "units:2": "1"}, "This stands above already"),
            (taking("BREAD") | {"line": "7"}, "Line 7 is not to be exchanged."),
            (taking("BREAD") | {"tax:1": "-1", "taxed:1": "BREAD|1"}, "Write an amount of USD such as 12.90"),
        ],
    )
    async def test_what_cannot_be_is_said_at_its_field(
        self, sign_in: SignIn, retailer: Ledger, apple: str, chosen: dict[str, str], says: str
    ) -> None:
        pia = await sign_in("pia.lund")
        page = await pia.get(AT, params=chosen)
        assert (page.status_code, says in page.text, "What it comes to" in page.text) == (422, True, False)
        answer = await pia.post(AT, data=chosen | {"form_id": "0" * 32})
        assert (answer.status_code, says in answer.text) == (422, True)
        assert await replacements(retailer) == []


class TestAgreed:
    async def test_the_same_again_waits_for_the_goods_and_is_picked_then(
        self, sign_in: SignIn, retailer: Ledger, apple: str
    ) -> None:
        pia = await sign_in("pia.lund")
        answer = await agreed(pia, taking("APPLE"))
        assert (answer.status_code, answer.headers["location"]) == (303, BACK)
        assert (await swap(retailer))["state"] == "waiting"
        page = (await pia.get(BACK)).text
        assert "take in what comes back. Then the other goods may be picked" in page
        assert "They want something else instead" not in page
        await pia.post(BACK, data=form_of(page))
        assert (await swap(retailer))["state"] == "applied"
        assert "paid by the return" in (await pia.get(BACK)).text
        (made,) = await replacements(retailer)
        (row,) = [row for row in await rows(retailer, tables.journey) if row["id"] == made]
        assert (row["source"], row["channel"], row["location"]) == ("web", "store", "S1")
        await assert_books_agree(retailer)

    async def test_what_costs_less_goes_back(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        await price(retailer, "BREAD", 100)
        pia = await sign_in("pia.lund")
        assert (await agreed(pia, taking("BREAD"))).status_code == 303
        found = await swap(retailer)
        assert (found["credit_minor"], found["back_minor"]) == (104, 30)
        assert "0.30 USD goes back to them." in (await pia.get(BACK)).text

    async def test_the_difference_is_paid_at_the_till(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        await price(retailer, "BREAD", 300)
        pia = await sign_in("pia.lund")
        answer = await agreed(pia, taking("BREAD"), how="till", tender="cash", receipt="T-99")
        assert answer.status_code == 303, answer.text
        found = await swap(retailer)
        assert (found["state"], found["credit_minor"], found.get("difference_minor", 0)) == ("waiting", 134, 0)
        paid = [
            (row["tender"], row["reference"], row["amount_minor"], row["captured_minor"])
            for row in await rows(retailer, tables.payment) if row["journey_id"] == found["order"]
        ]  # fmt: skip
        assert sorted(paid) == [("cash", "T-99", 178, 178), ("exchange", f"exchange:{RETURN}", 134, 0)]
        await assert_books_agree(retailer)

    async def test_the_difference_is_asked_by_link(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        await price(retailer, "BREAD", 300)
        pia = await sign_in("pia.lund")
        answer = await agreed(pia, taking("BREAD"), how="link")
        assert answer.status_code == 303, answer.text
        found = await swap(retailer)
        assert (found["state"], found["difference_minor"]) == ("asking", 178)
        mails = [row["template"] for row in await rows(retailer, tables.mail)]
        assert mails.count("exchange_asked") == 1
        assert "give nothing out before they have" in (await pia.get(BACK)).text

    async def test_sent_twice_it_is_one_order(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(AT, params=taking("APPLE"))).text)
        for _ in range(2):
            assert (await pia.post(AT, data=form)).status_code == 303
        assert len(await replacements(retailer)) == 1
        again = await pia.post(AT, data=form | {"form_id": "1" * 32})
        assert (again.status_code, "exchanged for order" in again.text) == (409, True)
        assert len(await replacements(retailer)) == 1


class TestRefused:
    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({}, "Choose how the customer pays what it costs more."),
            ({"how": "later"}, "Choose how the customer pays what it costs more."),
            ({"how": "till", "receipt": "T-1"}, "Choose what they paid by."),
            ({"how": "till", "tender": "cash"}, "Enter the number on the till"),
            ({"how": "till", "tender": "cash", "receipt": "no number"}, "Enter the number on the till"),
        ],
    )
    async def test_who_pays_is_never_guessed(
        self, sign_in: SignIn, retailer: Ledger, apple: str, more: dict[str, str], says: str
    ) -> None:
        await price(retailer, "BREAD", 300)
        pia = await sign_in("pia.lund")
        answer = await agreed(pia, taking("BREAD"), **more)
        assert (answer.status_code, says in answer.text) == (422, True)
        assert "What it comes to" in answer.text
        assert await replacements(retailer) == []

    async def test_a_price_that_has_changed_is_shown_again(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(AT, params=taking("BREAD"))).text)
        await price(retailer, "BREAD", 100)
        answer = await pia.post(AT, data=form)
        assert (answer.status_code, "is another one than you were shown" in answer.text) == (409, True)
        assert "1.04 USD" in answer.text
        assert await replacements(retailer) == []
        assert (await pia.post(AT, data=form_of(answer.text))).status_code == 303

    async def test_more_than_there_is(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        pia = await sign_in("pia.lund")
        answer = await agreed(pia, taking("BREAD", 4), how="link")
        assert (answer.status_code, "3 can be promised here, not 4" in answer.text) == (422, True)
        none = await agreed(pia, taking("RARE"))
        assert (none.status_code, "none can be promised here" in none.text) == (422, True)
        assert await replacements(retailer) == []

    async def test_whoever_has_no_mail_is_not_asked_by_link(
        self, sign_in: SignIn, retailer: Ledger, apple: str
    ) -> None:
        await price(retailer, "BREAD", 300)
        async with retailer.engine.begin() as conn:
            await conn.execute(update(tables.customer).values(email=None))
        pia = await sign_in("pia.lund")
        page = (await pia.get(AT, params=taking("BREAD"))).text
        assert re.search(r'name="how" value="link" disabled', page)
        assert "no customer whom we could ask by mail" in page
        answer = await agreed(pia, taking("BREAD"), how="link")
        assert (answer.status_code, "no customer whom we could ask" in answer.text) == (409, True)
        assert await replacements(retailer) == []
        assert await swap(retailer) == {}

    async def test_what_was_paid_back_is_not_exchanged(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(AT, params=taking("BREAD"))).text)
        await pia.post(BACK, data=form_of((await pia.get(BACK)).text))
        page = await pia.get(AT)
        assert "Nothing of this return can be exchanged any more." in page.text
        answer = await pia.post(AT, data=form)
        assert answer.status_code in (409, 422)
        assert await replacements(retailer) == []

    async def test_others(self, sign_in: SignIn, retailer: Ledger, apple: str) -> None:
        lea = await sign_in("lea.marx")
        assert (await lea.get(AT)).status_code == 404
        assert (await lea.post(AT, data=taking("BREAD") | {"form_id": "0" * 32})).status_code == 404
        ida = await sign_in("ida.noor")
        assert "not report it" in (await ida.get(AT)).text
        assert (await ida.post(AT, data=taking("BREAD") | {"form_id": "0" * 32})).status_code == 403
        pia = await sign_in("pia.lund")
        assert (await pia.post(AT, data=taking("BREAD") | {"form_id": "x"})).status_code == 422
        assert (await pia.get("/store/S1/returns/returns:web:RT-9/exchange")).status_code == 404
        assert await replacements(retailer) == []


async def test_only_for_goods_of_which_no_sale_is_known_somebody_says_how_prices_are_written(
    sign_in: SignIn, as_key: As, web: httpx2.AsyncClient, retailer: Ledger
) -> None:
    lines = [{"line": "1", "sku": "BREAD", "quantity": 1, "unit_price_minor": 129, "tax_minor": 5}]
    await event(as_key("pos"), "pos.sale", "s-1", location="S1", receipt="T-77", lines=lines)
    asked = {
        "bought_at": "store", "returned_to": "S1", "currency": "USD", "customer": {"email": "kim@customer.example"},
        "lines": [{"line_id": "1", "sku": "BREAD", "quantity": 1, "reason": "defective"}],
    }  # fmt: skip
    known = {"return_id": "RT-2", "receipt": {"number": "T-77", "location": "S1"}}
    pia = await sign_in("pia.lund")
    for more, is_asked in ((known, False), ({"return_id": "RT-3"}, True)):
        made = await web.post("/api/v1/returns", json=asked | more)
        assert made.status_code == 201, made.text
        at = f"/store/S1/returns/{made.json()['journey_id']}/exchange"
        page = (await pia.get(at)).text
        assert ("Our prices are without tax" in page) is is_asked, more


async def test_without_a_receipt_the_replacement_is_an_order_of_the_counter_and_found_by_its_number(
    sign_in: SignIn, retailer: Ledger
) -> None:
    await price(retailer, "BREAD", 129)
    pia = await sign_in("pia.lund")
    new = "/store/S1/returns/new"
    form = form_of((await pia.get(new)).text)
    form |= {"sku:1": "APPLE", "units:1": "1", "reason:1": "gift", "customer_mail": "kim@customer.example"}
    back = (await pia.post(new, data=form)).headers["location"]
    page = await pia.get(f"{back}/exchange", params={"sku:1": "BREAD", "units:1": "1"})
    assert "What it comes to" in page.text, page.text
    answer = await pia.post(
        f"{back}/exchange", data=form_of(page.text) | {"how": "till", "tender": "cash", "receipt": "T-5"}
    )
    assert (answer.status_code, answer.headers.get("location")) == (303, back), answer.text
    (made,) = await replacements(retailer)
    assert made.startswith("bopis:console:S1-X")
    number = made.rsplit(":", 1)[1]
    found = await pia.get("/store/S1/returns", params={"find": number})
    assert f"Order {number}" in found.text
    await pia.post(back, data=form_of((await pia.get(back)).text))
    assert "paid by the return" in (await pia.get(back)).text
