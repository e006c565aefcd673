"""The contract of docs/adding-a-journey.md: every kind of journey brings each of its parts."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import httpx2
import pytest
from jinja2 import TemplateNotFound

import ledger.engine
import starts
import worker
from domain.ids import journey_id
from domain.journey_kinds import JOURNEY_KINDS
from domain.webhooks import EVENTS
from ledger.decisions.effects import ABANDON
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import order
from web.journeys import PARTS, due_of
from web.pages import templates

__all__ = ["accounts", "browse", "sign_in"]
STATES = Path(__file__).parents[2] / "docs" / "states"
KINDS = pytest.mark.parametrize("kind", list(JOURNEY_KINDS))


def lacks(kind: str) -> list[str]:
    """What a kind of journey has not brought."""
    found = []
    for name in ("page", "beside"):
        try:
            templates.get_template(f"journeys/{kind}/{name}.html")
        except TemplateNotFound:
            found.append(f"the template journeys/{kind}/{name}.html")
    parts: dict[str, Collection[str]] = {
        "its parts in web.journeys": PARTS,
        "its events in domain.webhooks": EVENTS,
        "how it is abandoned in ledger.decisions.effects": ABANDON,
        "its workflow in starts.WORKFLOWS": starts.WORKFLOWS,
        "its workflow in worker.WORKFLOWS": {flow.__temporal_workflow_definition.name for flow in worker.WORKFLOWS},  # type: ignore[attr-defined]
    }
    found += [said for said, there in parts.items() if kind not in there]
    if not (STATES / f"{kind}.md").exists():
        found.append(f"the figure docs/states/{kind}.md: run python docs/states.py")
    return found


class TestContract:
    @KINDS
    def test_a_kind_brings_each_of_its_parts(self, kind: str) -> None:
        assert lacks(kind) == []

    def test_a_kind_without_parts_would_be_noticed(self) -> None:
        assert len(lacks("unheard_of")) == 8

    @KINDS
    def test_no_part_is_left_of_a_kind_that_is_gone(self, kind: str) -> None:
        assert kind in PARTS
        assert set(PARTS) == set(JOURNEY_KINDS)
        assert set(ABANDON) == set(JOURNEY_KINDS)

    @KINDS
    def test_a_due_instant_without_words_of_its_own_is_still_named(self, kind: str) -> None:
        assert due_of(journey_id(kind, "web", "1"), "something_odd_2").name == "Something odd"

    def test_no_shared_template_asks_for_a_kind_of_journey(self) -> None:
        shared = [
            file for file in Path(templates.loader.searchpath[0]).rglob("*.html")  # type: ignore[union-attr]
            if not any(part in JOURNEY_KINDS or part in ("counts", "store", "mail") for part in file.parts)
        ]  # fmt: skip
        assert len(shared) > 30
        asking = [
            f"{file.name}: {word}" for file in shared for kind in JOURNEY_KINDS
            for word in (f'startswith("{kind}:', f'journey.kind == "{kind}"', f'order.kind == "{kind}"')
            if word in file.read_text()
        ]  # fmt: skip
        assert asking == []


class TestOnThePages:
    @KINDS
    async def test_the_menu_marks_its_list_and_nothing_else(self, sign_in: SignIn, kind: str) -> None:
        page = (await (await sign_in("sam.ortega")).get(JOURNEY_KINDS[kind].list_page)).text
        menu = page[page.index('<nav aria-label="Main">') : page.index("</nav>")]
        in_more = JOURNEY_KINDS[kind].section == "more"
        assert re.findall('aria-current="page">([^<]+)<', menu) == ["More" if in_more else JOURNEY_KINDS[kind].plural]

    @KINDS
    async def test_its_list_is_in_the_menu_or_on_the_page_of_the_rest(self, sign_in: SignIn, kind: str) -> None:
        sam, way = await sign_in("sam.ortega"), JOURNEY_KINDS[kind].list_page.replace("&", "&amp;")
        menu, more = [(await sam.get(path)).text for path in ("/", "/console/more")]
        menu = menu[menu.index('<nav aria-label="Main">') : menu.index("</nav>")]
        more = more[more.index("</nav>") :]
        assert [f'href="{way}"' in page for page in (menu, more)] in ([True, False], [False, True])

    async def test_an_order_is_drawn_with_where_it_is(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        await failed_order(web, retailer)
        page = (await (await sign_in("sam.ortega")).get("/console/journeys/bopis:web:W-1")).text
        assert '<ol class="way" aria-label="Progress">' in page
        assert '<li class="here" aria-current="step"><span>Reservation failed</span>' in page
        assert '<li class="ahead"><span>Ready for pickup</span>' in page

    async def test_a_case_shows_its_journey_and_leads_to_its_page(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer)
        page = (await (await sign_in("sam.ortega")).get(f"/console/cases/{case_id}")).text
        assert '<a href="/console/journeys/bopis:web:W-1">Order W-1</a>' in page

    async def test_the_first_page_says_how_much_is_under_way(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        await failed_order(web, retailer)
        await web.post("/api/v1/bopis-orders", json=order("W-2"))
        page = (await (await sign_in("sam.ortega")).get("/")).text
        assert '<a href="/console/journeys?state=open"><b>2</b>Orders, 1 with an open case</a>' in page
        assert '<a href="/console/counts"><b>0</b>Counts</a>' in page
        elsewhere = (await (await sign_in("sol.byrne")).get("/")).text
        assert '<a href="/console/journeys?state=open"><b>0</b>Orders</a>' in elsewhere

    async def test_the_list_takes_a_kind_and_names_one_that_there_is_not(
        self, sign_in: SignIn, web: httpx2.AsyncClient
    ) -> None:
        await web.post("/api/v1/bopis-orders", json=order("W-1"))
        sam = await sign_in("sam.ortega")
        assert ">W-1</a>" in (await sam.get("/console/journeys?kind=bopis")).text
        page = (await sam.get("/console/journeys?kind=unheard_of")).text
        assert "Not understood and left out: <code>kind=unheard_of</code>" in page
        answer = await sam.get("/console/journeys?kind=count")
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/counts")
