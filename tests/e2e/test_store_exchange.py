"""An exchange at the counter, on a phone, with and without a script: chosen, worked out, agreed to, goods taken in."""

import re

import httpx2
import pytest
from playwright.async_api import expect

from ledger import tables
from tests.e2e.axe import violations
from tests.e2e.conftest import Site
from tests.e2e.test_store import OpenStore, at_work, small_targets, web
from tests.web.store import event, pick_all, place, staff

__all__ = ["at_work", "staff", "web"]
pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("staff")]


async def test_something_else_instead_paid_at_the_till(
    site: Site, web: httpx2.AsyncClient, at_work: OpenStore, with_script: bool
) -> None:
    order = await place(web, "W-1")
    await pick_all(web, order)
    await event(web, "bopis.handed_over", "h-1", journey_id=order, lines=None, actor="p")
    line = {"line_id": "1", "sku": "APPLE", "quantity": 1, "reason": "wrong_item"}
    wanted = {"return_id": "RT-1", "order_reference": "W-1", "returned_to": "S1", "currency": "USD", "lines": [line]}
    assert (await web.post("/api/v1/returns", json=wanted)).status_code == 201

    async def looked_at() -> None:
        """In the dark and by day; a page without a script has none that could look."""
        for scheme in ("dark", "light") if with_script else ():
            await page.emulate_media(color_scheme=scheme)
            assert (await violations(page), await small_targets(page)) == ([], [])

    page = await at_work("/store/S1/returns/returns:web:RT-1", java_script_enabled=with_script)
    await page.get_by_role("link", name="They want something else instead").click()
    await expect(page.get_by_role("heading", name="What they take instead")).to_be_visible()
    await looked_at()
    await page.get_by_label("SKU on its label").fill("BREAD")
    await page.get_by_label("How many").first.fill("2")
    await page.get_by_role("button", name="See what it comes to").click()
    await expect(page.get_by_role("heading", name="What it comes to")).to_be_visible()
    await expect(page.get_by_role("group", name="How they pay 1.29 USD")).to_be_visible()
    await looked_at()
    await page.get_by_label("Here, at the till").check()
    await page.get_by_role("button", name="Exchange it").click()
    await expect(page.get_by_text("Choose what they paid by.")).to_be_visible()
    await expect(page.get_by_label("Here, at the till")).to_be_checked()
    await page.get_by_label("At the till: paid by").select_option("card")
    await page.get_by_label("At the till: number on the receipt").fill("T-1")
    await page.get_by_role("button", name="Exchange it").click()
    await expect(page.get_by_text("waits for the goods")).to_be_visible()
    await looked_at()
    await page.get_by_role("button", name="Take it in").click()
    await expect(page.get_by_text("paid by the return")).to_be_visible()
    await expect(page.get_by_role("link", name=re.compile("look again"))).to_be_visible()
    (made,) = [row for row in await site.table(tables.journey) if "-X" in row["key"]]
    assert (made["kind"], made["state"], made["channel"]) == ("bopis", "placed", "store")
