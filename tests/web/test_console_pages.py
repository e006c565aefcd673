"""The first page, orders and stock: figures lead to what they count, postings balance, time can be skipped."""

import re
from collections.abc import Callable

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

import ledger.engine
from domain.case import CaseOption, Consequence, StockEffect
from ledger import tables
from ledger.transaction import Transaction
from tests.web.people import SignIn, accounts, browse, failed_order, sign_in
from tests.web.retail import a_case, order, rows
from web.app import STATIC
from web.journeys import due_of
from web.pages import templates

__all__ = ["accounts", "browse", "sign_in"]
# What the content security policy would stop in the browser, so that a page would quietly lack it.
FORBIDDEN = re.compile(r"""\sstyle=|<style|\son\w+=|\shx-on|<script>|["']js:|hx-trigger="[^"]*\[""")


class TestHome:
    async def test_each_figure_leads_to_exactly_the_cases_that_it_counts(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        for number in range(3):
            await failed_order(web, retailer, f"W-{number}")
        await a_case(retailer, "not a promise")
        sam = await sign_in("sam.ortega")
        page = (await sam.get("/")).text
        figure = re.search(r'href="([^"]+)"><b>(\d+)</b>promises at risk', page)
        assert figure is not None
        assert figure[2] == "3"
        found = await sam.get(figure[1].replace("&amp;", "&"))
        assert found.text.count('<li class="case-row"') == 3

    async def test_pinned_stories_open_their_case(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        case_id = await failed_order(web, retailer, "W-1")
        [journey] = await rows(retailer, tables.journey)

        async def pin(tx: Transaction) -> None:
            row = {"journey_id": journey["id"], "rank": 1, "title": "Not on the shelf", "story": "Found later."}
            await tx.conn.execute(insert(tables.pinned_story).values(row))

        await retailer.write(pin, actor="test", via="test")
        sam, sol = await sign_in("sam.ortega"), await sign_in("sol.byrne")
        assert f'href="/console/cases/{case_id}"' in (await sam.get("/")).text
        assert "Not on the shelf" not in (await sol.get("/")).text

    @pytest.mark.parametrize(("demo", "links"), [(True, 1), (False, 0)])
    async def test_the_demos_mailbox_is_one_click_away_and_nobody_elses_is(
        self, sign_in: SignIn, app: FastAPI, demo: bool, links: int
    ) -> None:
        changed = {"mailbox_url": "http://127.0.0.1:9/mails", "demo": demo}
        app.state.settings = app.state.settings.model_copy(update=changed)
        page = (await (await sign_in("sam.ortega")).get("/console/help")).text
        assert page.count('href="http://127.0.0.1:9/mails"') == links

    async def test_without_refunds_the_page_behind_the_figure_says_so(self, sign_in: SignIn) -> None:
        assert "No refund was confirmed today" in (await (await sign_in("sam.ortega")).get("/console/refunds")).text


class TestOrder:
    async def test_it_shows_lines_customer_movements_and_postings_that_balance(
        self, sign_in: SignIn, web: httpx2.AsyncClient
    ) -> None:
        placed = (await web.post("/api/v1/bopis-orders", json=order("W-1"))).json()
        page = (await (await sign_in("sam.ortega")).get(f"/console/journeys/{placed['journey_id']}")).text
        for words in ("Noor Haddad", "Apple", "Reserved", "Balanced", "Store S1", "pay_1", "2.68 USD"):
            assert words in page
        assert "Does not balance" not in page

    async def test_an_order_of_another_region_does_not_exist(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        placed = (await web.post("/api/v1/bopis-orders", json=order("W-1"))).json()
        sol = await sign_in("sol.byrne")
        assert (await sol.get(f"/console/journeys/{placed['journey_id']}")).status_code == 404
        assert (await sol.post(f"/console/journeys/{placed['journey_id']}/skip")).status_code == 404
        assert "W-1" not in (await sol.get("/console/journeys")).text

    async def test_an_order_id_may_hold_any_character(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        placed = await web.post("/api/v1/bopis-orders", json=order("W-ä?#%&+1"))
        assert placed.status_code == 201, placed.text
        sam = await sign_in("sam.ortega")
        listed = (await sam.get("/console/journeys")).text
        found = re.search(r'<td><a href="(/console/journeys/[^"]+)">', listed)
        assert found is not None
        assert (await sam.get(found[1])).status_code == 200

    async def test_skipping_says_beforehand_what_it_passes_and_moves_the_clock(
        self, sign_in: SignIn, web: httpx2.AsyncClient, retailer: ledger.engine.Database
    ) -> None:
        placed = (await web.post("/api/v1/bopis-orders", json=order("W-1"))).json()
        sam = await sign_in("sam.ortega")
        path = f"/console/journeys/{placed['journey_id']}"
        before = (await sam.get(path)).text
        assert "This happens, for real:" in before
        assert "Pick check: noted if nothing is picked by then" in before
        assert (await sam.post(f"{path}/skip")).status_code == 303
        assert "clock is 3 h ahead" in (await sam.get(path)).text
        [row] = await rows(retailer, tables.journey)
        assert row["clock_offset_s"] == 10_800

    async def test_the_timeline_keeps_what_happened_twice(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        placed = (await web.post("/api/v1/bopis-orders", json=order("W-1"))).json()
        sam = await sign_in("sam.ortega")
        path = f"/console/journeys/{placed['journey_id']}"
        for _ in range(2):
            assert (await sam.post(f"{path}/skip")).status_code == 303
        assert (await sam.get(path)).text.count("skipped 3 h.") == 2

    @pytest.mark.parametrize(
        ("due", "title"),
        [("offer", "Customer's answer"), ("window_reminder_last", "Reminder"), ("window_reminder_2", "Reminder")],
    )
    def test_what_an_order_waits_for_has_words_of_its_own(self, due: str, title: str) -> None:
        said = due_of("bopis:web:W-1", due)
        assert said.name == title
        assert said.causes != "it goes on"

    async def test_who_may_only_look_cannot_skip(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        placed = (await web.post("/api/v1/bopis-orders", json=order("W-1"))).json()
        ida = await sign_in("ida.noor")
        assert "Skip 3 h" not in (await ida.get(f"/console/journeys/{placed['journey_id']}")).text
        assert (await ida.post(f"/console/journeys/{placed['journey_id']}/skip")).status_code == 404


class TestStock:
    async def test_the_promise_is_worked_out_step_by_step(self, sign_in: SignIn, web: httpx2.AsyncClient) -> None:
        await web.post("/api/v1/bopis-orders", json=order("W-1"))
        page = (await (await sign_in("sam.ortega")).get("/console/stock?location=S1&sku=APPLE")).text
        for words in ("Safety stock", "Confidence buffer", "Promised to", "bopis:web:W-1", "Store S2", "Received"):
            assert words in page

    async def test_stock_of_another_region_does_not_exist(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        assert (await sam.get("/console/stock?location=S9&sku=APPLE")).status_code == 404
        assert "Store S9" not in (await sam.get("/console/stock")).text

    async def test_a_search_finds_by_part_of_the_name(self, sign_in: SignIn) -> None:
        sam = await sign_in("sam.ortega")
        found = (await sam.get("/console/stock?text=bre")).text
        assert "Bread" in found
        assert ">Apple<" not in found


class TestTemplates:
    def test_no_template_needs_an_inline_script_or_style_or_eval(self) -> None:
        assert templates.loader is not None
        names = [name for name in templates.loader.list_templates() if name.endswith(".html") and "mail/" not in name]
        assert len(names) > 10
        for name in names:
            source, _, _ = templates.loader.get_source(templates, name)
            assert not FORBIDDEN.search(source), name

    @pytest.mark.parametrize(
        "bad",
        ['<p style="x">', "<button onclick=x>", '<div hx-on:click="x">', "<style>", "<script>let", 'hx-vals="js:{}"'],
    )
    def test_the_check_above_can_fail(self, bad: str) -> None:
        assert FORBIDDEN.search(bad)


class TestHelp:
    async def test_it_lists_every_key_that_there_is(self, sign_in: SignIn) -> None:
        page = (await (await sign_in("sam.ortega")).get("/console/help")).text
        source = (STATIC / "keys.js").read_text()
        acted_on = re.findall(r'^    "?([a-z/?])"?: \(\)', source, re.MULTILINE)
        assert len(acted_on) >= 8
        for key in acted_on:
            assert f"<kbd>{key}</kbd>" in page, key
        assert 'data-switch="keys" hidden' in page  # shown by the script: without it there is nothing to switch
        assert "Sam Ortega" in page

    async def test_nobody_reads_it_without_signing_in(self, browse: Callable[[], httpx2.AsyncClient]) -> None:
        assert (await browse().get("/console/help")).status_code == 303


class TestConsequences:
    def test_many_items_are_summed_up_and_can_be_unfolded(self) -> None:
        moved = [StockEffect(location="S1", sku=f"K{number}", quantity=2, effect="released") for number in range(6)]
        option = CaseOption(id="x", label="X", consequence=Consequence(stock=(*moved, effect_at("S2"))))
        said = templates.get_template("parts.html").module.consequence(option, {}, {})  # type: ignore[attr-defined]
        assert "Released: 12 units of 6 items at S1" in said
        assert said.count("2 × K") == 6
        assert "Reserved: 1 × TEA at S2" in " ".join(said.split())

    def test_items_of_one_name_are_told_apart_by_their_sku(self) -> None:
        option = CaseOption(id="x", label="X", consequence=Consequence(stock=(effect_at("S2"),)))
        names = {"TEA": "Tea", "TEA-2": "Tea"}
        said = templates.get_template("parts.html").module.consequence(option, names, {})  # type: ignore[attr-defined]
        assert "1 × Tea <code>TEA</code>" in said


def effect_at(location: str) -> StockEffect:
    return StockEffect(location=location, sku="TEA", quantity=1, effect="reserved")
