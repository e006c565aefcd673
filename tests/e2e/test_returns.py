"""A return from the counter to the console: taken back, inspected with a photo, written about, looked at again."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Page, expect

from ledger import links, tables
from ledger.transaction import Transaction
from settings import Settings
from tests.e2e.axe import violations
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_console import PHONE
from tests.e2e.test_pages import DESK
from tests.e2e.test_store import OpenStore, at_work, small_targets, web
from tests.web.conftest import settings_for
from tests.web.store import event, pick_all, place, staff

__all__ = ["at_work", "staff", "web"]
pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("staff")]
WORDS = "It has never worked, and I have sent it back twice."


@pytest.fixture
def settings(retailer_url: str, tmp_path: Path) -> Settings:
    """As for all pages; photos lie in a folder of this test."""
    return settings_for(retailer_url).model_copy(update={"photo_folder": tmp_path})


async def link_of(site: Site, journey_id: str, customer_id: str) -> str:
    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(days=2)
        return await links.create(tx, expires_at=until, journey_id=journey_id, customer_id=customer_id)

    return "/c/" + await site.database.write(work, actor="test", via="test")


async def drawn(page: Page) -> None:
    """Every photo on the page is one that a browser can draw."""
    photos = page.locator(".photos img")
    await expect(photos.first).to_be_visible()
    for number in range(await photos.count()):
        await expect(photos.nth(number)).not_to_have_js_property("naturalWidth", 0)


async def test_from_the_counter_to_the_decision(
    site: Site, web: httpx2.AsyncClient, at_work: OpenStore, open_page: OpenPage
) -> None:
    order = await place(web, "W-1")
    await pick_all(web, order)
    await event(web, "bopis.handed_over", "h-1", journey_id=order, lines=None, actor="p")

    page = await at_work("/store/S1")
    await page.get_by_role("link", name=re.compile("^Returns")).click()
    await expect(page.get_by_role("heading", name="Returns", exact=True)).to_be_visible()
    await page.get_by_label("Number of the return").fill("W-1")
    await page.get_by_role("button", name="Look it up").click()
    await expect(page.get_by_role("link", name=re.compile("Order W-1"))).to_be_visible()
    assert (await violations(page), await small_targets(page)) == ([], [])
    await page.get_by_role("link", name=re.compile("Order W-1")).click()
    await expect(page.get_by_role("heading", name="Take back of order W-1")).to_be_visible()
    assert (await violations(page), await small_targets(page)) == ([], [])
    await page.get_by_label("How many come back?").first.fill("1")
    await page.get_by_label("Why").first.select_option("defective")
    await page.get_by_role("button", name="Ask what may come back").click()
    await expect(page.get_by_role("heading", name=re.compile("Take in return"))).to_be_visible()
    assert (await violations(page), await small_targets(page)) == ([], [])
    await page.get_by_role("button", name="Take it in").click()
    await expect(page.get_by_role("link", name="Inspect 1 unit")).to_be_visible()
    await page.get_by_role("link", name="Inspect 1 unit").click()
    await expect(page.get_by_role("heading", name=re.compile("Inspect return"))).to_be_visible()
    picture: Any = {"name": "../../x.svg", "mimeType": "image/svg+xml", "buffer": await page.screenshot(type="jpeg")}
    await page.get_by_label("Photos").set_input_files(picture)
    await page.locator("select[name='condition:1']").select_option("used")
    await page.get_by_role("button", name="Add the photos only").click()
    await expect(page.get_by_text("1 photo added.")).to_be_visible()
    await expect(page.locator("select[name='condition:1']")).to_have_value("used")
    await drawn(page)
    assert (await violations(page), await small_targets(page)) == ([], [])
    await page.get_by_role("button", name="Save what I found").click()
    await expect(page.get_by_role("link", name=re.compile("Nothing more to inspect"))).to_be_visible()
    await _and_the_customer_writes(site, open_page, picture)


async def _and_the_customer_writes(site: Site, open_page: OpenPage, picture: Any) -> None:
    """What they send by the link in their mail is before whoever decides."""
    (back,) = [row for row in await site.table(tables.journey) if row["kind"] == "returns"]
    letter = await open_page("", viewport=PHONE)
    await letter.goto(await link_of(site, back["id"], back["customer_id"]))
    await expect(letter.get_by_role("heading", name="Your money is on its way")).to_be_visible()
    assert await violations(letter) == []
    await letter.get_by_label("Tell us").fill(WORDS)
    await letter.get_by_label("Photos, if they help").set_input_files(picture)
    await letter.get_by_role("button", name="Send").click()
    await expect(letter.get_by_text("Somebody looks at your return again and writes to you.")).to_be_visible()
    await drawn(letter)
    assert await violations(letter) == []

    (case,) = [row for row in await site.table(tables.case_file) if row["kind"] == "return_disputed"]
    desk = await open_page("sam.ortega", viewport=DESK)
    await desk.goto(f"/console/cases/{case['id']}")
    await expect(desk.get_by_text(WORDS).first).to_be_visible()
    await drawn(desk)
    assert await violations(desk) == []
    await desk.goto(f"/console/journeys/{back['id']}")
    await expect(desk.get_by_role("heading", name="Refund by tender")).to_be_visible()
    await expect(desk.get_by_role("heading", name="From the customer")).to_be_visible()
    assert await violations(desk) == []
