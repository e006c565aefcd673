"""A promotion that runs, with its latest look, what was proposed and prices that are not right, for everybody."""

from __future__ import annotations

import re

import httpx2
import pytest
from playwright.async_api import expect
from sqlalchemy import text

from tests.e2e.axe import by_day_and_night
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_console import PHONE
from tests.e2e.test_pages import DESK
from tests.web.conftest import app, as_key, web
from tests.web.test_looks import ABOUT, PAGE, that_runs

__all__ = ["app", "as_key", "web"]
pytestmark = [pytest.mark.browser]
HEADINGS = ("Sold against forecast", "Places by cover", "Proposed between places", "Prices at the channels")


async def test_nothing_of_a_running_promotion_is_out_of_reach(
    web: httpx2.AsyncClient, site: Site, open_page: OpenPage
) -> None:
    await that_runs(web, site.database)
    async with site.database.engine.begin() as conn:  # a channel has refused a price of it
        await conn.execute(
            text(
                "WITH p AS (INSERT INTO publication (journey_id, phase, channel, run, prices, wrong, error, began_at)"
                " VALUES (:about, 'publish', 'pos', 3, 2, 1, '', now()) RETURNING id)"
                " INSERT INTO price_publication (publication_id, location, sku, valid_from, wanted_minor, seen_minor,"
                " attempts, run, error) SELECT id, 'S1', 'APPLE', now(), 103, 129, 2, 2, 'shows another price' FROM p"
            ),
            {"about": ABOUT},
        )
    found = {}
    for name, viewport in (("desk", DESK), ("phone", PHONE)):
        page = await open_page("sam.ortega", viewport=viewport)
        await page.goto(PAGE)
        for heading in HEADINGS:
            await expect(page.get_by_role("heading", name=heading)).to_be_visible()
        await expect(page.get_by_role("img", name="Units sold, and forecast")).to_be_visible()
        await expect(page.get_by_text(re.compile("had 25 receipts in the last 2 hours")).first).to_be_visible()
        for summary in await page.locator("main details summary").all():
            await summary.click()
        if said := await by_day_and_night(page):
            found[name] = said
    assert found == {}
