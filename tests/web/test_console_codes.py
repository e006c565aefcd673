"""Codes: every root cause and reason with where it is asked for and how often it was given, each figure its cases."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import httpx2
import pytest
from sqlalchemy import insert, update

import ledger.engine
from domain import adjustments, codes, count, returns, transfer
from domain.case_kinds import KINDS
from ledger import tables
from tests.web.people import SignIn, accounts, browse, sign_in
from tests.web.retail import a_case

__all__ = ["accounts", "browse", "sign_in"]
CASE = re.compile(r'href="/console/cases/(\d+)\?')


async def closed(
    database: ledger.engine.Database, subject: str, cause: str | None, *, location: str = "S1", days_ago: float = 1
) -> int:
    """A case that somebody resolved, naming why."""
    number = await a_case(database, subject, location=location)
    at = datetime.now(UTC) - timedelta(days=days_ago)
    async with database.engine.begin() as conn:
        await conn.execute(
            update(tables.case_file)
            .where(tables.case_file.c.id == number)
            .values(state="resolved", opened_at=at, closed_at=at, next_due_at=None, root_cause=cause)
        )
    return number


async def policy_asks(database: ledger.engine.Database, causes: dict[str, list[str]], **where: str) -> None:
    async with database.engine.begin() as conn:
        body = {"cases": {"root_causes": causes}}
        start = datetime(2021, 1, 1, tzinfo=UTC)
        await conn.execute(
            insert(tables.policy_document).values(version="causes", effective_from=start, body=body, **where)
        )


def row_of(page: str, cause: str) -> str:
    found = re.search(rf'<tr><th scope="row">{cause}</th>.*?</tr>', page, re.DOTALL)
    assert found is not None, cause
    return unescape(found[0])


async def counted(client: httpx2.AsyncClient, way: str) -> int:
    return len(set(CASE.findall((await client.get(way)).text)))


class TestRootCauses:
    async def test_every_cause_that_is_asked_for_stands_there_used_or_not(self, sign_in: SignIn) -> None:
        page = (await (await sign_in("sam.ortega")).get("/console/codes")).text
        for cause in {*count.ROOT_CAUSES, *transfer.ROOT_CAUSES}:
            said = row_of(page, cause.replace("_", " ").capitalize())
            assert '<span class="soft">0</span>' in said
        both = row_of(page, "Theft suspected")
        assert KINDS["count_variance"].title in both
        assert KINDS["transfer_short"].title in both

    async def test_each_figure_is_the_number_of_cases_behind_it(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        for number in range(3):
            await closed(retailer, f"a{number}", "misplaced", location="S2" if number else "S1")
        await closed(retailer, "b", "theft_suspected")
        await closed(retailer, "none", None)
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/console/codes")).text
        said = row_of(page, "Misplaced")
        ways = re.findall(r'<a href="([^"]+)"[^>]*>(\d+)</a>', said)
        assert [times for _, times in ways] == ["3", "3"]  # over all kinds, and of the one kind
        for way, times in ways:
            assert await counted(sam, way) == int(times)
        assert page.index(">Misplaced<") < page.index(">Theft suspected<")  # most often first
        assert "not asked any more" in said  # no policy asks for it at this kind

    async def test_what_the_policy_of_a_place_asks_for_stands_at_that_place(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        await policy_asks(retailer, {"pick_short": ["worn_label"]}, location="S2")
        sam = await sign_in("sam.ortega")
        assert "Worn label" not in (await sam.get("/console/codes?place=S1")).text
        assert KINDS["pick_short"].title in row_of((await sam.get("/console/codes?place=S2")).text, "Worn label")

    @pytest.mark.parametrize(("days_ago", "is_counted"), [(28.5, True), (31.5, False)])
    async def test_thirty_days_count(
        self, sign_in: SignIn, retailer: ledger.engine.Database, *, days_ago: float, is_counted: bool
    ) -> None:
        await closed(retailer, "a", "misplaced", days_ago=days_ago)
        said = row_of((await (await sign_in("sam.ortega")).get("/console/codes")).text, "Misplaced")
        assert ("root_cause=misplaced" in said) is is_counted

    async def test_cases_of_other_regions_are_not_counted(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        await closed(retailer, "a", "misplaced")
        page = (await (await sign_in("sol.byrne")).get("/console/codes")).text
        assert "root_cause=misplaced" not in page

    @pytest.mark.parametrize("place", ["S9", "NOWHERE"])
    async def test_a_place_that_one_does_not_see_is_not_there(self, sign_in: SignIn, place: str) -> None:
        answer = await (await sign_in("sam.ortega")).get(f"/console/codes?place={place}")
        assert answer.status_code == 404
        assert "that you see" in answer.text


class TestReasons:
    async def test_every_reason_of_every_kind_of_document_stands_there(self, sign_in: SignIn) -> None:
        page = (await (await sign_in("sam.ortega")).get("/console/codes")).text
        for code in {*adjustments.REASONS, *returns.REASONS, *count.REASONS, *transfer.REASONS}:
            assert f">{code.replace('_', ' ').capitalize()}<" in page
        for one in codes.REASONS:
            assert one.title in page

    async def test_adjustments_are_counted_and_found_by_their_reason(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        sam = await sign_in("sam.ortega")
        for number, reason in enumerate(("found", "found", "booking_error")):
            form = {"adjustment_id": f"A{number}", "location": "S1", "sku": "APPLE", "quantity": "1", "reason": reason}
            assert (await sam.post("/console/stock/adjustments", data=form)).status_code == 303
        page = (await sam.get("/console/codes")).text
        ways = dict(re.findall(r'href="(/console/adjustments\?reason=\w+)">(\d+)<', page))
        assert ways == {"/console/adjustments?reason=found": "2", "/console/adjustments?reason=booking_error": "1"}
        for way, times in ways.items():
            assert (await sam.get(way)).text.count('href="/console/stock?') == int(times)
        empty = (await sam.get("/console/adjustments?reason=stolen")).text
        assert "Nothing was corrected for this reason" in empty
        assert "because of" in empty.lower()


class TestWhatComesBack:
    async def test_its_root_causes_stand_beside_it_and_lead_to_its_cases(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        for number in range(3):
            await closed(retailer, f"a{number}", "misplaced" if number else "wrong_uom")
        sam = await sign_in("sam.ortega")
        page = unescape((await sam.get("/")).text)
        ways = re.findall(r'<a href="([^"]*root_cause=misplaced[^"]*)">misplaced</a> \(2\)', page)
        assert len(ways) == 2  # beside the item, and beside its place
        for way in ways:
            assert await counted(sam, way) == 2
        assert page.index("because of") < page.index("wrong uom")

    async def test_without_a_root_cause_nothing_is_said(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        for number in range(2):
            await closed(retailer, f"a{number}", None)
        page = (await (await sign_in("sam.ortega")).get("/")).text
        assert "Recurring" in page
        assert "because of" not in page
