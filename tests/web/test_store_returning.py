"""Returns at the counter, on a phone: found, begun, taken in; nothing counted twice, nothing taken for zero."""

from typing import Any

import httpx2
import pytest

import ledger.engine
from ledger import tables
from tests.ledger.support.books import assert_books_agree
from tests.web.conftest import As
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.store import event, facts, form_of, pick_all, place, staff

__all__ = ["accounts", "browse", "sign_in", "staff"]
pytestmark = pytest.mark.usefixtures("staff")
type Ledger = ledger.engine.Database
NEW = "/store/S1/returns/new"


@pytest.fixture
async def collected(web: httpx2.AsyncClient) -> str:
    """An order of two apples and a bread that its customer has taken home."""
    journey_id = await place(web, "W-1")
    await pick_all(web, journey_id)
    await event(web, "bopis.handed_over", "h-1", journey_id=journey_id, lines=None, actor="p")
    return journey_id


@pytest.fixture
async def sold(as_key: As) -> str:
    """A receipt of the till of Store S1: three breads."""
    lines = [{"line": "1", "sku": "BREAD", "quantity": 3, "unit_price_minor": 129, "tax_minor": 15}]
    await event(as_key("pos"), "pos.sale", "s-1", location="S1", receipt="T-77", lines=lines)
    return "T-77"


async def announced(web: httpx2.AsyncClient, at: str = "S1", **more: Any) -> dict[str, Any]:
    line = {"line_id": "1", "sku": "APPLE", "quantity": 2, "reason": "changed_mind"}
    wanted = {"return_id": "RT-1", "order_reference": "W-1", "returned_to": at, "currency": "USD", "lines": [line]}
    answer = await web.post("/api/v1/returns", json=wanted | {"method": "mail"} | more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def returned_units(retailer: Ledger, at: str = "S1") -> dict[str, int]:
    found = await rows(retailer, tables.stock)
    return {row["sku"]: row["customer_returned"] for row in found if row["location"] == at and row["customer_returned"]}


class TestBegun:
    async def test_of_an_order_from_the_number_to_the_inspection(
        self, sign_in: SignIn, retailer: Ledger, collected: str
    ) -> None:
        pia = await sign_in("pia.lund")
        found = await pia.get("/store/S1/returns", params={"find": "W-1"})
        assert f'href="{NEW}?sale=bopis%3Aweb%3AW-1"' in found.text
        page = await pia.get(NEW, params={"sale": collected})
        assert "Take back of order W-1" in page.text
        form = form_of(page.text) | {"quantity:1": "1", "reason:1": "wrong_size"}
        answer = await pia.post(NEW, data=form)
        assert answer.status_code == 303
        (made,) = [row for row in await rows(retailer, tables.journey) if row["kind"] == "returns"]
        assert (made["source"], made["state"], made["requested_by"]) == ("web", "authorized", "pia.lund")
        assert made["customer_id"] is not None  # the order's
        assert [row for row in await rows(retailer, tables.mail) if row["template"] == "return_authorized"] == []
        here = answer.headers["location"]
        page = await pia.get(here)
        assert "It may come back within 30 d" in page.text
        form = form_of(page.text)
        assert form["quantity:1"] == "1"
        done = await pia.post(here, data=form)
        assert "Saved" in done.text
        assert f'href="/store/S1/inspect/{made["id"]}">Inspect 1 unit</a>' in done.text
        assert await returned_units(retailer) == {"APPLE": 1}
        await assert_books_agree(retailer)

    async def test_of_a_receipt_whichever_store_gave_it(self, sign_in: SignIn, retailer: Ledger, sold: str) -> None:
        lea = await sign_in("lea.marx")
        nothing = await lea.get("/store/S2/returns", params={"find": sold})
        assert f"Nothing is known under {sold}." in nothing.text
        found = await lea.get("/store/S2/returns", params={"find": sold, "at": "S1"})
        assert "bought at Store S1: take something of it back" in found.text
        new = "/store/S2/returns/new"
        page = await lea.get(new, params={"sale": "receipt:pos:S1:T-77"})
        answer = await lea.post(new, data=form_of(page.text) | {"quantity:1": "2", "reason:1": "defective"})
        assert answer.status_code == 303, answer.text
        here = answer.headers["location"]
        await lea.post(here, data=form_of((await lea.get(here)).text))
        assert await returned_units(retailer, "S2") == {"BREAD": 2}
        again = await lea.get(new, params={"sale": "receipt:pos:S1:T-77"})
        assert '<span class="take-many figure">1 ×</span>' in again.text
        await assert_books_agree(retailer)

    async def test_without_a_receipt_and_for_somebody_who_leaves_an_address(
        self, sign_in: SignIn, retailer: Ledger
    ) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(NEW)).text)
        form |= {"sku:1": "RARE", "units:1": "1", "reason:1": "gift", "customer_name": "Kim Lee"}
        answer = await pia.post(NEW, data=form | {"customer_mail": "kim@customer.example"})
        assert answer.status_code == 303, answer.text
        (made,) = [row for row in await rows(retailer, tables.journey) if row["kind"] == "returns"]
        assert (made["source"], made["channel"]) == ("console", "store")
        (customer,) = await rows(retailer, tables.customer)
        assert customer["email"] == "kim@customer.example"

    async def test_the_same_form_twice_is_one_return(self, sign_in: SignIn, retailer: Ledger, collected: str) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(NEW, params={"sale": collected})).text)
        form |= {"quantity:1": "2", "reason:1": "wrong_size"}
        first = await pia.post(NEW, data=form)
        second = await pia.post(NEW, data=form)
        assert first.headers["location"] == second.headers["location"]
        other = await pia.post(NEW, data=form | {"quantity:1": "1"})
        assert (other.status_code, "sent before with something else" in other.text) == (409, True)
        assert len([row for row in await rows(retailer, tables.journey) if row["kind"] == "returns"]) == 1

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({}, "nothing is entered"),
            ({"quantity:1": "3", "reason:1": "gift"}, "2 of it can come back"),
            ({"quantity:1": "1"}, "Choose why it comes back"),
            ({"quantity:1": "many", "reason:1": "gift"}, "Enter a whole number"),
            ({"quantity:1": "1", "reason:1": "gift", "customer_mail": "nowhere"}, "no mail address"),
        ],
    )
    async def test_what_is_wrong_is_said_and_no_return_begins(
        self, sign_in: SignIn, retailer: Ledger, collected: str, typed: dict[str, str], says: str
    ) -> None:
        pia = await sign_in("pia.lund")
        form = form_of((await pia.get(NEW, params={"sale": collected})).text)
        answer = await pia.post(NEW, data=form | typed)
        assert answer.status_code == 422
        assert says in answer.text
        assert [row for row in await rows(retailer, tables.journey) if row["kind"] == "returns"] == []

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({"sku:1": "NEVER", "units:1": "1", "reason:1": "gift"}, "NEVER"),
            ({"sku:1": "two words", "units:1": "1", "reason:1": "gift"}, "Enter the SKU as it stands"),
            ({"sku:1": "APPLE", "units:1": "0", "reason:1": "gift"}, "Enter how many of it came"),
        ],
    )
    async def test_what_nobody_knows_is_not_taken_without_a_receipt(
        self, sign_in: SignIn, retailer: Ledger, typed: dict[str, str], says: str
    ) -> None:
        pia = await sign_in("pia.lund")
        answer = await pia.post(NEW, data=form_of((await pia.get(NEW)).text) | typed)
        assert answer.status_code in (404, 422)
        assert says in answer.text
        assert [row for row in await rows(retailer, tables.journey) if row["kind"] == "returns"] == []

    @pytest.mark.parametrize("sale", ["bopis:web:NEVER", "receipt:pos:S1:NEVER", "count:web:C-1", "receipt:"])
    async def test_a_sale_that_there_is_not(self, sign_in: SignIn, sale: str) -> None:
        assert (await (await sign_in("pia.lund")).get(NEW, params={"sale": sale})).status_code == 404


class TestTakenIn:
    async def test_a_parcel_by_its_reference_wherever_it_lands(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, collected: str
    ) -> None:
        label = (await announced(web))["label"]
        pia, lea = await sign_in("pia.lund"), await sign_in("lea.marx")
        assert "Return RT-1" in (await pia.get("/store/S1/returns")).text
        assert "Return RT-1" not in (await lea.get("/store/S2/returns")).text
        assert (await lea.get("/store/S2/returns/returns:web:RT-1")).status_code == 404
        found = await lea.get("/store/S2/returns", params={"find": label.lower()})
        here = f"/store/S2/returns/{label}"
        assert f'href="{here}"' in found.text
        page = await lea.get(here)
        assert "It was expected elsewhere." in page.text
        form = form_of(page.text)
        assert form["quantity:1"] == ""  # a parcel is counted
        answer = await lea.post(here, data=form | {"quantity:1": "2"})
        assert "Inspect 2 units" in answer.text
        assert (await returned_units(retailer, "S2"), await returned_units(retailer)) == ({"APPLE": 2}, {})
        await assert_books_agree(retailer)

    async def test_what_was_announced_is_found_by_the_number_of_its_order_too(
        self, sign_in: SignIn, web: httpx2.AsyncClient, collected: str
    ) -> None:
        label = (await announced(web))["label"]
        here = await (await sign_in("pia.lund")).get("/store/S1/returns", params={"find": "W-1"})
        assert 'href="/store/S1/returns/returns:web:RT-1"' in here.text.split("To come here")[0]
        there = await (await sign_in("lea.marx")).get("/store/S2/returns", params={"find": "W-1"})
        assert f'href="/store/S2/returns/{label}"' in there.text

    async def test_in_parts_with_something_else_in_the_parcel(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, collected: str
    ) -> None:
        await announced(web)
        pia, here = await sign_in("pia.lund"), "/store/S1/returns/returns:web:RT-1"
        form = form_of((await pia.get(here)).text)
        await pia.post(here, data=form | {"quantity:1": "1", "more": "yes"})
        assert [row["kind"] for row in await rows(retailer, tables.case_file)] == []
        form = form_of((await pia.get(here)).text)
        await pia.post(here, data=form | {"quantity:1": "1", "other": "BREAD", "units": "1"})
        assert await returned_units(retailer) == {"APPLE": 2, "BREAD": 1}
        assert [row["kind"] for row in await rows(retailer, tables.case_file)] == ["return_mismatch"]

    async def test_a_double_press_counts_once_and_a_stale_page_asks_to_look_again(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, collected: str
    ) -> None:
        await announced(web)
        pia, here = await sign_in("pia.lund"), "/store/S1/returns/returns:web:RT-1"
        form = form_of((await pia.get(here)).text) | {"quantity:1": "1", "more": "yes"}
        stale = form_of((await pia.get(here)).text) | {"quantity:1": "1"}
        await pia.post(here, data=form)
        assert "nothing counts twice" in (await pia.post(here, data=form)).text
        answer = await pia.post(here, data=stale)
        assert (answer.status_code, "Somebody has taken goods of this return in" in answer.text) == (409, True)
        assert form_of(answer.text)["quantity:1"] == "1"
        assert await returned_units(retailer) == {"APPLE": 1}

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({}, "nothing is entered"),
            ({"quantity:1": "0"}, "nothing is entered"),
            ({"quantity:1": "-1"}, "Enter a whole number"),
            ({"quantity:1": "1", "units": "1"}, "Enter the SKU of what came"),
            ({"quantity:1": "1", "other": "BREAD", "units": "0"}, "Enter how many of it came"),
            ({"quantity:1": "1", "other": "NEVER", "units": "1"}, "NEVER"),
        ],
    )
    async def test_what_is_wrong_is_said_and_nothing_is_taken_in(
        self,
        sign_in: SignIn,
        web: httpx2.AsyncClient,
        retailer: Ledger,
        collected: str,
        typed: dict[str, str],
        says: str,
    ) -> None:
        await announced(web)
        pia, here = await sign_in("pia.lund"), "/store/S1/returns/returns:web:RT-1"
        answer = await pia.post(here, data=form_of((await pia.get(here)).text) | typed)
        assert answer.status_code == 422
        assert says in answer.text
        assert (await facts(retailer), await returned_units(retailer)) == ([], {})

    async def test_who_may_only_look_takes_nothing_in(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: Ledger, collected: str
    ) -> None:
        await announced(web)
        here = "/store/S1/returns/returns:web:RT-1"
        form = form_of((await (await sign_in("pia.lund")).get(here)).text) | {"quantity:1": "1"}
        for person, status in (("ida.noor", 403), ("sol.byrne", 404), ("lea.marx", 404)):
            client = await sign_in(person)
            assert (await client.post(here, data=form)).status_code == status, person
            assert (await client.post(NEW, data=form)).status_code == status, person
        assert await facts(retailer) == []
