"""Every page that the application has, read from its routes: nobody can forget a new one. Nothing of it is out of reach
of a screen reader, of a thumb, in the dark or on a phone.
"""

import re
from typing import Any

import pytest
from sqlalchemy import insert

from ledger import tables
from ledger.transaction import Transaction
from tests.e2e.axe import IN_THE_DARK, wrong
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_console import PHONE
from tests.e2e.test_pages import DESK
from tests.web.conftest import app, as_key, web
from tests.web.people import browse, sign_in
from tests.web.routes import ROUTES, Route, ids
from tests.web.store import staff

__all__ = ["app", "as_key", "browse", "ids", "sign_in", "staff", "web"]
pytestmark = [pytest.mark.browser]
# Not pages: a file, what answers with another page, what never ends, what programs ask for.
NOT_PAGES = re.compile(r"\.(csv|pdf)$|/next$|/decision$|/live|/stream|^/(healthz|readyz|metrics)$")
PAGES = [route for route in ROUTES if route.method == "GET" and not route.is_api and not NOT_PAGES.search(route.path)]
PAGES.append(Route("GET", "/nowhere"))  # what stands where nothing is
ON_A_PHONE = ("target-size", "scrollable-region-focusable")
# What of a page moves sideways below a thumb. Tabs may, a page cannot show all of them at once; so may lines of a file.
SIDEWAYS = """[document.documentElement, ...document.querySelectorAll("main *:not(.tabs, pre)")]
    .filter(one => one === document.documentElement || /auto|scroll/.test(getComputedStyle(one).overflowX))
    .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.outerHTML.slice(0, 200))"""
# A table that becomes cards on a phone names in each cell the column that it stands in. What is drawn, and what a row
# is about, need no name.
# A thumb's width: everything to press that does not stand within a sentence, a box or a dot with the words beside it.
SMALL = """[...document.querySelectorAll("button, .button, select, textarea, input, summary, nav a, .task")]
    .filter(one => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length)
    .map(one => (/checkbox|radio/.test(one.type) && one.closest("label")) || one)
    .filter(one => { const { width, height } = one.getBoundingClientRect(); return width > 1 && height < 43.5; })
    .map(one => `${Math.round(one.getBoundingClientRect().height)} px: ${one.outerHTML.slice(0, 120)}`)"""
UNNAMED = """[...document.querySelectorAll("table.stacks")].flatMap(table => {
    const said = one => one.textContent.replace(/\\s+/g, " ").trim();
    const heads = [...table.tHead.rows[0].cells].map(one => one.querySelector(".unseen") ? null : said(one));
    return [...table.rows].filter(row => row.parentNode !== table.tHead).flatMap(row => {
        let at = 0;
        return [...row.cells].map((cell, number) => {
            const head = heads[at], name = cell.dataset.label ?? null;
            at += cell.colSpan;
            const isTotal = cell.tagName === "TH" && row.parentNode === table.tFoot;
            const needs = number > 0 && !isTotal && cell.colSpan === 1 && head !== null && cell.childNodes.length > 0;
            const free = name === null && !needs;
            const left = parseFloat(getComputedStyle(cell, "::before").marginLeft);
            if (name && left + parseFloat(getComputedStyle(cell).paddingLeft) < -1) return `${name} is cut off`;
            return free || name === head ? null : `${name} stands below ${head}: ${said(cell)}`;
        });
    });
}).filter(one => one)"""


async def anybody(database: Any) -> None:
    """Sam may open everything: also what is for stores, finance and the owners of integrations."""

    async def work(tx: Transaction) -> None:
        for role in ("admin", "store_manager"):
            await tx.conn.execute(insert(tables.person_role).values(person_id="sam.ortega", role=role))

    await database.write(work, actor="test", via="test")


def test_the_pages_are_found() -> None:
    assert len(PAGES) > 30
    assert {"/", "/sign-in", "/console/figures", "/store/{location}/pick/{journey_id}"} <= {page.path for page in PAGES}


@pytest.mark.parametrize("part", range(3))
async def test_nothing_is_out_of_reach(
    part: int, ids: dict[str, str], staff: None, site: Site, open_page: OpenPage
) -> None:
    await anybody(site.database)
    page = await open_page("sam.ortega", viewport=DESK, reduced_motion="reduce")
    found = {}
    for route in PAGES[part::3]:
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
        answer = await page.goto(route.with_ids(ids))
        assert answer is not None, route.path
        assert answer.status < 500, route.path
        assert "text/html" in answer.headers["content-type"], f"{route.path}: no page; say so in NOT_PAGES"
        await page.wait_for_load_state("load")
        said = await wrong(page)
        await page.emulate_media(color_scheme="dark")
        said += [f"dark, {one}" for one in await wrong(page, IN_THE_DARK)]
        await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        said += [f"phone, {one}" for one in await wrong(page, ON_A_PHONE)]
        said += [f"phone, moves sideways: {one}" for one in await page.evaluate(SIDEWAYS)]
        said += [f"phone, low for a thumb: {one}" for one in await page.evaluate(SMALL)]
        said += [f"phone, a cell without its name: {one}" for one in await page.evaluate(UNNAMED)]
        if said:
            found[route.path] = said
    assert found == {}
