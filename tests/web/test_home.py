"""The first page: each role has its own, and every figure on it is the number of rows behind its link."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, NamedTuple

import httpx2
import pytest
from sqlalchemy import text

import ledger.engine
from tests.web.links import form_of
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, an_approval
from web.console.home import HOMES
from web.console.home_sections import SECTIONS

__all__ = ["accounts", "browse", "sign_in"]
LINK = re.compile(r'<a [^>]*?href="(/console/queue[^"]*)"[^>]*>(.*?)</a>', re.DOTALL)
CASE = re.compile(r'href="/console/cases/(\d+)\?')  # in a row of its own, or under the row that stands for its cause


class Figure(NamedTuple):
    way: str
    cases: int


def figures(page: str) -> list[Figure]:
    """Every link into the queue that says a number of cases, as a tile, in a cell, or as a mark of a chart."""
    found = []
    for way, inside in LINK.findall(page):
        tile = re.match(r"\s*<b>(\d+)</b>", inside) or re.match(r"\s*(\d+)\s*(?:<|$)", inside)
        mark = re.search(r"<title>[^<]*: (\d+)(?: cases?)?</title>", inside)
        in_words = re.search(r"in (\d+) cases?", inside)
        for one in (tile, mark, in_words):
            if one is not None:
                found.append(Figure(unescape(way), int(one[1])))
                break
    return found


async def change(database: ledger.engine.Database, statement: str, **values: Any) -> None:
    async with database.engine.begin() as conn:
        await conn.execute(text(statement), values)


@pytest.fixture
async def a_day(web: httpx2.AsyncClient, retailer: ledger.engine.Database) -> None:
    """Cases of several kinds and ages, open, overdue, healed and decided."""
    now = datetime.now(UTC)
    for number in range(2):
        await failed_order(web, retailer, f"W-{number}")
    for number, (kind, opened_h, due_h) in enumerate(
        [
            ("negative_inventory", 1, 1.5), ("negative_inventory", 9, -2), ("count_variance", 30, 3.5),
            ("sync_gap", 100, 30), ("event_rejected", 2, 5.5), ("refund_failed", 50, 2.5), ("pick_short", 5, -1),
        ]
    ):  # fmt: skip
        case_id = await a_case(retailer, f"s{number}", location="S2" if number % 2 else "S1")
        await change(
            retailer,
            "UPDATE case_file SET kind = :kind, opened_at = :opened, next_due_at = :due, owner_role ="
            " CASE :kind WHEN 'refund_failed' THEN 'finance' ELSE owner_role END WHERE id = :id",
            id=case_id, kind=kind, opened=now - timedelta(hours=opened_h), due=now + timedelta(hours=due_h),
        )  # fmt: skip
    for subject, state, resolution, by in (
        ("kept", "resolved", "other_store:S2", "sam.ortega"),
        ("given up", "resolved", "cancel_refund", "sam.ortega"),
        ("healed", "cancelled", "self_healed", None),
        ("by itself", "resolved", "substitute", "endcap"),
    ):
        case_id = await a_case(retailer, subject)
        await change(
            retailer,
            "UPDATE case_file SET state = :state, resolution = :resolution, resolved_by = :by, closed_at = now(),"
            " next_due_at = NULL WHERE id = :id",
            id=case_id, state=state, resolution=resolution, by=by,
        )  # fmt: skip


@pytest.mark.parametrize("role", [*HOMES, "planner"])
async def test_each_figure_of_each_role_is_the_number_of_rows_behind_it(
    role: str, a_day: None, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    await change(retailer, "UPDATE person_role SET role = :role WHERE person_id = 'sam.ortega'", role=role)
    sam = await sign_in("sam.ortega")
    page = await sam.get("/")
    assert page.status_code == 200, page.text
    found = figures(page.text)
    assert sum(one.cases > 0 for one in found) >= 8
    behind = {}
    for one in found:
        queue = (await sam.get(one.way)).text
        assert "Not understood" not in queue, one.way
        behind[one] = len(set(CASE.findall(queue)))
    assert behind == {one: one.cases for one in found}


async def test_todays_strip_counts_what_it_says(a_day: None, sign_in: SignIn) -> None:
    page = (await (await sign_in("sam.ortega")).get("/")).text
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition('<div class="strip">')[2].partition("</div>")[0]))
    assert "1 healed by itself" in said
    assert "2 decided by people" in said
    assert "5.16 USD kept for customers in 2 cases" not in said  # what healed itself was kept as well
    assert "7.74 USD kept for customers in 3 cases" in said


@pytest.mark.parametrize(
    ("role", "first", "never"),
    [
        ("regional_ops", "Worth opening first|Queues", "Decided last"),
        ("finance", "Waits for your word", "Comes back"),
        ("merchandiser", "Waits for your word", "Comes back"),
        ("auditor", "Decided last", "Queues"),
        ("store_manager", "Your stores?", "Reported in vain"),
        ("integration_owner", "Reported in vain", "Comes back"),
    ],
)
async def test_a_role_begins_with_what_is_its_own(
    role: str, first: str, never: str, a_day: None, sign_in: SignIn, retailer: ledger.engine.Database
) -> None:
    await change(retailer, "UPDATE person_role SET role = :role WHERE person_id = 'sam.ortega'", role=role)
    page = (await (await sign_in("sam.ortega")).get("/")).text
    headings = re.findall(r'<h2 id="[^"]+">([^<]+)</h2>', page)
    assert re.fullmatch(first, headings[0]), headings
    assert never not in headings


async def test_of_another_region_nothing_is_counted(a_day: None, sign_in: SignIn) -> None:
    page = (await (await sign_in("sol.byrne")).get("/")).text
    assert [one for one in figures(page) if one.cases] == []


async def test_somebody_without_a_role_sees_an_empty_day(sign_in: SignIn, retailer: ledger.engine.Database) -> None:
    await change(retailer, "DELETE FROM person_role WHERE person_id = 'sam.ortega'")
    page = await (await sign_in("sam.ortega")).get("/")
    assert page.status_code == 200
    assert "No clock runs out" in page.text


def test_every_section_has_its_template_and_stands_on_a_page() -> None:
    from web.pages import templates

    used = {"mentions"} | {name for sections in HOMES.values() for name in sections}  # that one is on every page
    assert used == set(SECTIONS)
    for name in used:
        templates.get_template(f"home/{name}.html")


class TestQuestions:
    """What approvers ask before they decide waits on the first page of whoever is to answer."""

    async def ask(self, retailer: ledger.engine.Database, sign_in: SignIn, words: str, **more: Any) -> int:
        number = await an_approval(retailer, **more)
        path = f"/console/approvals/{number}"
        ana = await sign_in("ana.ruiz")
        form = form_of((await ana.get(path)).text) | {"verdict": "ask", "note": words}
        assert (await ana.post(f"{path}/verdict", data=form)).status_code == 303
        return number

    async def test_it_stands_first_with_its_words_and_leads_to_all_of_them(
        self, retailer: ledger.engine.Database, sign_in: SignIn
    ) -> None:
        await an_approval(retailer)  # about which nobody asks
        number = await self.ask(retailer, sign_in, "Which <order> is it?", requester="endcap")
        other = await self.ask(retailer, sign_in, "Why so much?", amount_minor=4_000)
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/")).text
        assert re.findall(r'<h2 id="[^"]+">([^<]+)</h2>', page)[0] == "Waits for your answer"
        for words in ("“Which &lt;order&gt; is it?”", "“Why so much?”", "Ana Ruiz", "40.00 USD"):
            assert words in page, words
        way, count = re.findall(r'<a href="(/console/approvals[^"]*)">(\d+) questions wait for you</a>', page)[0]
        listed = re.findall(r'<tr data-approval="(\d+)"', (await sam.get(way)).text)
        assert sorted(listed) == sorted([str(number), str(other)])
        assert int(count) == len(listed)

    async def test_answered_it_waits_no_more(self, retailer: ledger.engine.Database, sign_in: SignIn) -> None:
        number = await self.ask(retailer, sign_in, "Which order is it?")
        sam = await sign_in("sam.ortega")
        assert "1 question waits for you" in (await sam.get("/")).text
        assert (await sam.post(f"/console/approvals/{number}/answer", data={"text": "W-1."})).status_code == 303
        assert "Waits for your answer" not in (await sam.get("/")).text
        assert "No question waits for your answer" in (await sam.get("/console/approvals?view=answers")).text

    async def test_nobody_of_another_region_is_asked(self, retailer: ledger.engine.Database, sign_in: SignIn) -> None:
        await self.ask(retailer, sign_in, "Which order is it?", requester="key:web")
        sol = await sign_in("sol.byrne")
        assert "Waits for your answer" not in (await sol.get("/")).text
        assert "data-approval" not in (await sol.get("/console/approvals?view=answers")).text


class TestMore:
    async def test_each_way_leads_to_a_page_that_the_reader_may_open(self, sign_in: SignIn) -> None:
        for person in ("sam.ortega", "ida.noor", "fin.weber", "ana.ruiz"):
            client = await sign_in(person)
            page = (await client.get("/console/more")).text
            ways = re.findall(r'class="task" href="([^"]+)"', page)
            assert "/console/webhooks" not in ways  # not for these roles
            assert {way: (await client.get(way)).status_code for way in ways} == dict.fromkeys(ways, 200)

    async def test_adjustments_are_listed_with_who_and_why(
        self, sign_in: SignIn, retailer: ledger.engine.Database
    ) -> None:
        sam, sol = await sign_in("sam.ortega"), await sign_in("sol.byrne")
        form = {"adjustment_id": "A-1", "location": "S1", "sku": "APPLE", "quantity": "-1", "reason": "damaged"}
        assert (await sam.post("/console/stock/adjustments", data=form)).status_code == 303
        page = (await sam.get("/console/adjustments")).text
        for words in ("Apple", "Damaged", "Sam Ortega", "0.70 USD", "Store S1", "Posted"):
            assert words in page
        assert "Nothing waits" in (await sam.get("/console/adjustments?view=open")).text
        assert "Apple" in (await sam.get("/console/adjustments?view=closed")).text
        assert "Apple" not in (await sol.get("/console/adjustments")).text
