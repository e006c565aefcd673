"""Views that people keep of the queue, its rows as a table, and a refresh that moves nothing."""

import asyncio
import csv
import io
import re
from typing import Any

import httpx2
import pytest

import ledger.engine
from ledger import tables
from ledger.reads.case_lists import list_cases
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, rows
from tests.web.test_console_queue import PARTIAL, listed

__all__ = ["accounts", "browse", "sign_in"]
VIEWS = "/console/views"
QUEUE = "/console/queue"


class TestSavedViews:
    async def test_a_view_is_kept_shown_and_forgotten(self, sign_in: SignIn, retailer: ledger.engine.Database) -> None:
        sam = await sign_in("sam.ortega")
        data = {"name": "Dear  ones", "query": "tab=mine&severity=high&cursor=abc"}
        saved = await sam.post(VIEWS, data=data)
        assert (saved.status_code, saved.headers["location"]) == (303, f"{QUEUE}?tab=mine&severity=high")
        assert f'href="{QUEUE}?tab=mine&amp;severity=high"' in (await sam.get(QUEUE)).text
        [view] = await rows(retailer, tables.saved_view)
        assert view["name"] == "Dear ones"
        gone = await sam.post(f"{VIEWS}/{view['id']}/delete", data={"back": "tab=all"})
        assert (gone.status_code, gone.headers["location"]) == (303, f"{QUEUE}?tab=all")
        assert await rows(retailer, tables.saved_view) == []

    async def test_a_shared_view_is_offered_to_others_who_cannot_delete_it(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        sam, sol = await sign_in("sam.ortega"), await sign_in("sol.byrne")
        await sam.post(VIEWS, data={"name": "Ours", "query": "tab=all", "shared": "true"})
        await sam.post(VIEWS, data={"name": "My own", "query": "tab=mine"})
        page = (await sol.get(QUEUE)).text
        assert "Shared by Sam Ortega" in page
        assert "My own" not in page
        ours = next(view["id"] for view in await rows(retailer, tables.saved_view) if view["name"] == "Ours")
        refused = await sol.post(f"{VIEWS}/{ours}/delete", data={"back": "tab=all"})
        assert refused.status_code == 404
        assert len(await rows(retailer, tables.saved_view)) == 2

    @pytest.mark.parametrize(
        ("data", "status", "words"),
        [
            ({"name": "", "query": "tab=all"}, 422, "Give the view a name"),
            ({"name": "x" * 61, "query": "tab=all"}, 422, "Give the view a name"),
            ({"name": "Odd", "query": "tab=all&colour=red"}, 422, "colour=red"),
            ({"name": "ONCE", "query": "tab=all"}, 409, "already"),
        ],
    )
    async def test_what_cannot_be_kept_is_refused_in_words(
        self, sign_in: SignIn, data: dict[str, str], status: int, words: str
    ) -> None:
        sam = await sign_in("sam.ortega")
        await sam.post(VIEWS, data={"name": "Once", "query": "tab=mine"})
        refused = await sam.post(VIEWS, data=data)
        assert refused.status_code == status
        assert words in refused.text

    async def test_there_is_an_end_to_views(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        for number in range(40):
            await sam.post(VIEWS, data={"name": f"View {number}", "query": "tab=all"})
        assert (await sam.post(VIEWS, data={"name": "One more", "query": "tab=all"})).status_code == 409

    async def test_a_script_in_a_name_stays_text(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        await sam.post(VIEWS, data={"name": "<script>alert(1)</script>", "query": "tab=all"})
        assert "<script>alert" not in (await sam.get(QUEUE)).text


class TestTable:
    async def table(self, browser: httpx2.AsyncClient, query: str = "") -> list[dict[str, str]]:
        answer = await browser.get(f"/console/queue.csv{query}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert re.search(r'attachment; filename="cases-\d{8}-\d{4}Z.csv"', answer.headers["content-disposition"])
        return list(csv.DictReader(io.StringIO(answer.text)))

    async def test_it_has_every_row_of_the_query_and_no_other_regions(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        wanted = [await a_case(retailer, f"case {number}") for number in range(3)]
        await a_case(retailer, "south", location="S9")
        sam = await sign_in("sam.ortega")
        assert sorted(int(row["id"]) for row in await self.table(sam)) == wanted
        assert await self.table(sam, "?severity=low") == []

    async def test_it_goes_on_beyond_a_chunk(
        self, sign_in: SignIn, retailer: ledger.engine.Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.console.csv_exports.CHUNK_ROWS", 2)
        wanted = [await a_case(retailer, f"case {number}") for number in range(5)]
        assert sorted(int(row["id"]) for row in await self.table(await sign_in("sam.ortega"))) == wanted

    async def test_a_cut_is_said_in_the_last_row(
        self, sign_in: SignIn, retailer: ledger.engine.Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.console.csv_exports.CHUNK_ROWS", 1)
        monkeypatch.setattr("web.console.csv_exports.MOST_ROWS", 2)
        for number in range(3):
            await a_case(retailer, f"case {number}")
        found = await self.table(await sign_in("sam.ortega"))
        assert len(found) == 3
        assert found[-1]["id"].startswith("Cut off after 2 rows")

    @pytest.mark.parametrize("subject", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1"])
    async def test_no_cell_is_a_formula(self, sign_in: SignIn, retailer: ledger.engine.Database, subject: str) -> None:
        await a_case(retailer, subject)
        [found] = await self.table(await sign_in("sam.ortega"))
        assert found["subject"] == f"'{subject}"

    async def test_a_third_one_waits_until_one_of_two_is_there(
        self, sign_in: SignIn, retailer: ledger.engine.Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A thousand at once are two that are read and many that are told to come again."""
        await a_case(retailer, "a case")
        sam, ana = await sign_in("sam.ortega"), await sign_in("ana.ruiz")
        under_way, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def held(*asked: Any, **more: Any) -> Any:
            under_way.release()
            await go_on.wait()
            return await list_cases(*asked, **more)

        monkeypatch.setattr("web.console.queue.list_cases", held)
        first = [asyncio.create_task(self.table(sam)) for _ in range(2)]
        for _ in first:
            await under_way.acquire()
        refused = await asyncio.gather(*(sam.get("/console/queue.csv") for _ in range(20)))
        assert {answer.status_code for answer in refused} == {503}
        assert "2 tables are on their way to you already" in refused[0].text
        other = asyncio.create_task(self.table(ana))  # others have their turn
        await under_way.acquire()
        monkeypatch.setattr("web.console.csv_exports.MOST_AT_ONCE", 3)
        assert "to others just now" in (await (await sign_in("fin.weber")).get("/console/queue.csv")).text
        go_on.set()
        assert [len(found) for found in await asyncio.gather(*first, other)] == [1, 1, 1]
        assert len(await self.table(sam)) == 1

    async def test_what_is_not_understood_is_refused(self, sign_in: SignIn) -> None:
        answer = await (await sign_in("sam.ortega")).get("/console/queue.csv?colour=red")
        assert answer.status_code == 422
        assert "colour=red" in answer.text

    async def test_nobody_gets_it_without_signing_in(self, web: httpx2.AsyncClient) -> None:
        assert (await web.get("/console/queue.csv")).status_code == 303


class TestRefresh:
    async def test_rows_stay_where_they_are_and_what_is_new_is_announced(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        first, second = [await a_case(retailer, subject) for subject in ("one", "two")]
        sam = await sign_in("sam.ortega")
        await a_case(retailer, "three")
        shown = f"{QUEUE}?shown={second}&shown={first}"
        part = (await sam.get(shown, headers=PARTIAL)).text
        assert listed(part.replace(" left", "")) == [second, first]
        assert "1 new case: show it" in part
        assert len(listed((await sam.get(QUEUE, headers=PARTIAL)).text)) == 3

    async def test_a_row_that_no_longer_belongs_stays_and_says_so(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        case_id = await a_case(retailer, "one")
        sam = await sign_in("sam.ortega")
        await sam.post(f"/console/cases/{case_id}/claim", data={"version": "1"})
        part = (await sam.get(f"{QUEUE}?tab=unassigned&shown={case_id}", headers=PARTIAL)).text
        assert "Left this list" in part
        assert f'id="case-{case_id}"' in part

    async def test_a_case_of_another_region_is_not_shown_for_the_asking(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        south = await a_case(retailer, "south", location="S9")
        sam = await sign_in("sam.ortega")
        part = (await sam.get(f"{QUEUE}?shown={south}&shown=x&shown=99999999999999999999", headers=PARTIAL)).text
        assert listed(part) == []


class TestSearch:
    @pytest.mark.parametrize("words", ["Haddad", "noor", "NOOR.HADDAD"])
    async def test_a_customer_finds_the_cases_of_the_order(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database, words: str
    ) -> None:
        case_id = await failed_order(web, retailer, "W-1")
        await a_case(retailer, "another")
        async with retailer.engine.begin() as conn:
            await conn.execute(tables.customer.update().values(email="noor.haddad@mail.example"))
        sam, sol = await sign_in("sam.ortega"), await sign_in("sol.byrne")
        assert listed((await sam.get(QUEUE, params={"text": words})).text) == [case_id]
        assert listed((await sol.get(QUEUE, params={"text": words})).text) == []
