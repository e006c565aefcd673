"""Gathering goods for their vendor at the console: what waits where, made into a document once, refused by name."""

from __future__ import annotations

import re

import httpx2
import pytest
from sqlalchemy import insert

import ledger.engine
from ledger import tables
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import rows
from tests.web.test_api_vendor_returns import claims, collected, wanted

__all__ = ["accounts", "browse", "claims", "collected", "sign_in"]  # fixtures
type Ledger = ledger.engine.Database
LIST = "/console/vendor-returns"
NEW = f"{LIST}/new"
FORM = {"form_id": "0" * 32, "location": "S1", "vendor": "ACME", "quantity:BREAD": "2"}


async def documents(retailer: Ledger) -> list[tuple[str, str, str, str]]:
    found = await rows(retailer, tables.vendor_return)
    return [(row["id"], row["vendor"], row["state"], row["requested_by"]) for row in found]


async def test_from_the_list_to_the_document(sign_in: SignIn, claims: httpx2.AsyncClient, retailer: Ledger) -> None:
    sam = await sign_in("sam.ortega")
    assert f'href="{NEW}">Gather goods</a>' in (await sam.get(LIST)).text
    page = (await sam.get(NEW)).text
    assert f'href="{NEW}?location=S1">Store S1</a>' in page
    page = (await sam.get(NEW, params={"location": "S1"})).text
    assert re.search(r'name="quantity:BREAD"[^>]* value=""', page)  # nothing is chosen
    assert re.search(r'>nobody yet</td><td class="num"[^>]*>2</td>', page)
    filled = (await sam.get(NEW, params={"location": "S1", "fill": "all"})).text
    assert re.search(r'name="quantity:BREAD"[^>]* value="2"', filled)
    form_id = re.search(r'name="form_id" value="(\w+)"', page)
    assert form_id
    made = [await sam.post(LIST, data=FORM | {"form_id": form_id[1], "quantity:BREAD": "1"}) for _ in range(2)]
    own = f"vendor_return:console:S1-V{form_id[1][:10].upper()}"
    assert [one.headers.get("location") for one in made] == [f"{LIST}/{own}"] * 2
    assert await documents(retailer) == [(own, "ACME", "open", "sam.ortega")]
    assert "Return S1-V" in (await sam.get(f"{LIST}/{own}")).text
    again = (await sam.get(NEW, params={"location": "S1", "vendor": "ACME", "fill": "vendor"})).text
    assert "What ACME took the last time" in again
    assert re.search(r'>ACME</td><td class="num"[^>]*>1</td>', again)
    assert re.search(r'name="quantity:BREAD"[^>]* value="1"', again)
    other = await sam.post(LIST, data=FORM | {"form_id": form_id[1]})
    assert (other.status_code, "was sent before with something else" in other.text) == (409, True)
    assert 'value="2"' in other.text
    assert len(await documents(retailer)) == 1


async def test_what_is_gathered_or_has_left_waits_no_more(
    sign_in: SignIn, claims: httpx2.AsyncClient, retailer: Ledger
) -> None:
    sam = await sign_in("sam.ortega")
    assert (await claims.post("/api/v1/vendor-returns", json=wanted())).status_code == 201
    for act in ("", ":ship", ""):
        if act:
            assert (await claims.post(f"/api/v1/vendor-returns/VR-1{act}", json={})).status_code == 200
        assert "Nothing waits to go back" in (await sam.get(NEW)).text
    assert "Nothing waits at Store S1" in (await sam.get(NEW, params={"location": "S1"})).text


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"vendor": ""}, 422, "Enter the vendor&#39;s code"),
        ({"vendor": "two words"}, 422, "Enter the vendor&#39;s code"),
        ({"quantity:BREAD": ""}, 422, "nothing is entered"),
        ({"quantity:BREAD": "0"}, 422, "nothing is entered"),
        ({"quantity:BREAD": "two"}, 422, "Enter how many of BREAD go back"),
        ({"quantity:BREAD": "3"}, 409, "2 units of BREAD wait at S1"),
        ({"quantity:NEVER": "1"}, 422, "NEVER is not in the master data. Correct the line, or"),
        ({"quantity:two words": "1"}, 422, "String should match"),
        ({"location": ""}, 422, "Choose where the goods wait."),
        ({"location": "S404"}, 422, "S404 is not in the master data. Correct the code, or"),
        ({"location": "S9"}, 404, "There is no location S9 that you may act for."),
        ({"form_id": "x"}, 422, "This form is not one of ours."),
    ],
)
async def test_what_cannot_be_is_said_and_what_was_typed_is_kept(
    sign_in: SignIn, claims: httpx2.AsyncClient, retailer: Ledger, more: dict[str, str], status: int, says: str
) -> None:
    sam = await sign_in("sam.ortega")
    answer = await sam.post(LIST, data=FORM | more)
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    if (FORM | more)["location"] == "S1" and "quantity:BREAD" in more:
        assert f'value="{more["quantity:BREAD"]}"' in answer.text
    assert await documents(retailer) == []


async def test_who_may(sign_in: SignIn, claims: httpx2.AsyncClient, retailer: Ledger) -> None:
    ida = await sign_in("ida.noor")
    assert "not make them" in (await ida.get(NEW)).text
    assert NEW not in (await ida.get(LIST)).text
    assert (await ida.post(LIST, data=FORM)).status_code == 404
    sol = await sign_in("sol.byrne")  # of another region
    assert "Nothing waits to go back" in (await sol.get(NEW)).text
    page = (await sol.get(NEW, params={"location": "S1"})).text
    assert "BREAD" not in page
    assert (await sol.post(LIST, data=FORM)).status_code == 404
    async with retailer.engine.begin() as conn:
        row = {"person_id": "ida.noor", "role": "store_manager", "location": "S1"}
        await conn.execute(insert(tables.person_role).values(**row))
    assert (await ida.post(LIST, data=FORM)).status_code == 303
    assert len(await documents(retailer)) == 1
