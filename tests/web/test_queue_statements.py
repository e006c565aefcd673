"""What a page of the queue and the page of a case ask of PostgreSQL: few statements, and no more for more rows."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from fastapi import FastAPI

import ledger.engine
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case

__all__ = ["accounts", "browse", "sign_in"]

# Once its process has the places, which its first page reads. Who asks; their zone, the mark of the places, saved
# views; the rows; those of one cause, names of items and every count.
PAGE = 4
# Who asks; the case; its place and policy, its order with lines and sales, what belongs to the case and what stands
# beside it; for the ways out the places about it with their shelves and hours, items, warehouses, substitutes, whom one
# can write to and what was offered; policies of places near by, names of items.
CASE = 5
# Who asks; their zone; the rows; those of one cause, names of items.
ROWS = 4
REFRESH = 5  # the rows that are shown are read again; nothing is counted, no view read


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    """What is sent meanwhile, but for waking the relays, which happens whenever it happens."""
    sent: list[str] = []

    def note(statement: str, _: object) -> None:
        if not statement.startswith("NOTIFY"):
            sent.append(statement)

    with app.state.database.heard(note):
        yield sent


async def test_a_page_and_its_refresh_are_few_statements(
    app: FastAPI, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    numbers = [await a_case(retailer, f"S1/{name}") for name in ("APPLE", "one", "two", "three")]
    sam = await sign_in("sam.ortega")
    await sam.get("/console/queue")
    with statements(app) as of_the_page:
        page = await sam.get("/console/queue")
    shown = "&".join(f"shown={number}" for number in numbers)
    with statements(app) as of_the_refresh:
        part = await sam.get(f"/console/queue?{shown}", headers={"HX-Request": "true", "HX-Request-Type": "partial"})
    for number in numbers:
        assert [f'id="case-{number}"' in answer.text for answer in (page, part)] == [True, True]
    assert 0 < len(of_the_page) <= PAGE, "\n".join(of_the_page)
    assert 0 < len(of_the_refresh) <= REFRESH, "\n".join(of_the_refresh)


async def test_a_text_is_not_looked_for_again_to_count_what_the_page_shows_whole(
    app: FastAPI, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    for name in ("APPLE", "one", "two"):
        await a_case(retailer, f"S1/{name}")
    sam = await sign_in("sam.ortega")
    with statements(app) as sent:
        page = await sam.get("/console/queue?text=S1/")
    assert "3 cases<span data-refreshes" in page.text
    asked = [part for one in sent for part in one.split("ARRAY(SELECT asked_")]  # several by one statement
    assert any("ILIKE" in one for one in asked)
    assert [one for one in asked if "ILIKE" in one and "count(*)" in one] == []


async def test_who_opens_a_page_does_not_wait_for_lists_that_refresh_themselves(
    app: FastAPI, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    number = await a_case(retailer, "S1/APPLE")
    sam = await sign_in("sam.ortega")
    address, partial = f"/console/queue?shown={number}", {"HX-Request": "true", "HX-Request-Type": "partial"}
    async with app.state.refreshing.lane:
        refresh = asyncio.create_task(sam.get(address, headers=partial))
        assert f'id="case-{number}"' in (await sam.get("/console/queue")).text
        assert f'id="case-{number}"' in (await sam.get(address)).text  # a page, whatever its address says
        assert not refresh.done()
    assert f'id="case-{number}"' in (await refresh).text


async def test_rows_that_have_changed_are_asked_for_alone(
    app: FastAPI, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    numbers = [await a_case(retailer, f"S1/{name}") for name in ("APPLE", "one", "two")]
    sam = await sign_in("sam.ortega")
    await sam.get("/console/queue")
    partial = {"HX-Request": "true", "HX-Request-Type": "partial"}
    for case_id, act in ((numbers[0], "claim"), (numbers[1], "claim")):
        assert (await sam.post(f"/console/cases/{case_id}/{act}")).status_code == 303
    with statements(app) as sent:
        part = await sam.get(f"/console/queue?tab=unassigned&row={numbers[0]}&row={numbers[2]}", headers=partial)
    assert 0 < len(sent) <= ROWS, "\n".join(sent)
    assert re.findall(r'<li [^>]*id="case-(\d+)"[^>]* hx-swap-oob="outerMorph"', part.text) == [
        str(number) for number in (numbers[0], numbers[2])
    ]
    claimed, free = part.text.split("</li>")[:2]
    assert ("Sam Ortega" in claimed, "Left this list" in claimed) == (True, True)
    assert ("unclaimed" in free, "Left this list" in free) == (True, False)
    for word in ('id="news"', "pager", 'id="several"', "<h1>", f"case-{numbers[1]}"):
        assert word not in part.text


async def test_rows_of_other_regions_and_what_is_no_number_are_not_answered(
    sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    number = await a_case(retailer, "S1/APPLE")
    partial = {"HX-Request": "true", "HX-Request-Type": "partial"}
    far = await (await sign_in("sol.byrne")).get(f"/console/queue?row={number}", headers=partial)
    assert (far.status_code, "case-row" in far.text) == (200, False)
    sam = await sign_in("sam.ortega")
    odd = await sam.get("/console/queue?row=x&row=-1&row=99999999999999999999", headers=partial)
    assert (odd.status_code, 'id="news"' in odd.text) == (200, True)  # none of them is a row: the list
    page = await sam.get(f"/console/queue?row={number}")  # opened by hand: a page as any other
    assert ("<h1>Cases</h1>" in page.text, "hx-swap-oob" in page.text, "Not understood" in page.text) == (
        True, False, False,
    )  # fmt: skip


async def test_the_page_of_a_case_is_few_statements(
    app: FastAPI, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
) -> None:
    number = await failed_order(web, retailer)
    sam = await sign_in("sam.ortega")
    await sam.get(f"/console/cases/{number}")  # reads the policy that its order keeps
    with statements(app) as of_the_case:
        page = await sam.get(f"/console/cases/{number}")
    assert "Cancel and refund" in page.text
    assert 0 < len(of_the_case) <= CASE, "\n".join(of_the_case)
    assert len(set(of_the_case)) == len(of_the_case), "nothing is asked twice"
