"""A customer on a phone, without JavaScript: opens the link from the mail, answers, and reads what became of it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, expect

from tests.browser import NewContext
from tests.conftest import Database
from tests.e2e.conftest import served
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import pick
from tests.shop import TEA, Shop, open_shop
from tests.web.conftest import settings_for
from tests.web.test_customer_links import mailed

pytestmark = [pytest.mark.browser]
PHONE = {"width": 390, "height": 844}


@dataclass
class Street:
    """A shop, and a phone of somebody who walks by."""

    shop: Shop
    url: str
    new_context: NewContext

    async def open(self, path: str) -> Page:
        context = await self.new_context(base_url=self.url, viewport=PHONE, java_script_enabled=False, is_mobile=True)
        page = await context.new_page()
        await page.goto(path)
        return page


@pytest.fixture
async def street(database: Database, new_context: NewContext) -> AsyncIterator[Street]:
    shop = await open_shop(database.url)
    async with served(settings_for(database.url)) as url:
        yield Street(shop, url, new_context)
    await shop.database.dispose()


async def fits(page: Page) -> None:
    """Nothing hangs over the edge, and what is to be touched is large enough for a thumb."""
    await page.wait_for_load_state("load")  # words are there before the style is
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for control in await page.locator("label.option, button").all():
        box = await control.bounding_box()
        assert box is not None
        assert box["height"] >= 44, await control.inner_text()


async def test_a_substitute_is_accepted(street: Street) -> None:
    order = await asked(street.shop, price_minor=1_400)
    page = await street.open(await mailed(order))
    await expect(page.get_by_role("heading", name="We do not have 3 x Green tea")).to_be_visible()
    await fits(page)
    await expect(page.locator("input:checked")).to_have_count(0)
    await page.get_by_role("button", name="Send my answer").click()
    await expect(page.get_by_text("nothing is chosen for you")).to_be_visible()
    await page.get_by_label("Yes, please").check()
    await page.get_by_role("button", name="Send my answer").click()
    await expect(page.get_by_role("heading", name="Thank you: it is yours")).to_be_visible()
    await expect(page.get_by_role("button")).to_have_count(0)
    await fits(page)
    assert (await order.situation()).state == "reserved"


async def test_something_is_left_out(street: Street) -> None:
    order = await asked(street.shop)
    page = await street.open(await mailed(order))
    await page.get_by_label("Leave it out").check()
    await page.get_by_role("button", name="Send my answer").click()
    await expect(page.get_by_text("the money for it goes back")).to_be_visible()
    assert await order.units() == {TEA: (5, 5)}


async def test_of_two_tabs_the_second_reads_what_the_first_said(street: Street) -> None:
    order = await asked(street.shop)
    path = await mailed(order)
    first, second = await street.open(path), await street.open(path)
    await first.get_by_label("Yes, please").check()
    await second.get_by_label("Cancel the whole order").check()
    await first.get_by_role("button", name="Send my answer").click()
    await second.get_by_role("button", name="Send my answer").click()
    await expect(second.get_by_role("alert")).to_contain_text("answered already")
    await expect(second.get_by_role("heading", name="Thank you: it is yours")).to_be_visible()


async def test_found_while_the_page_was_open(street: Street) -> None:
    order = await asked(street.shop)
    page = await street.open(await mailed(order))
    lines = [{"sku": TEA, "quantity": 3}]
    await street.shop.report("stock.received", location="S1", document="D1", lines=lines)
    await page.get_by_label("Yes, please").check()
    await page.get_by_role("button", name="Send my answer").click()
    await expect(page.get_by_role("heading", name="You need not answer any more")).to_be_visible()
    await expect(page.get_by_text("what was missing has turned up")).to_be_visible()


async def test_a_ready_order_is_kept_longer(street: Street) -> None:
    order = Asked(street.shop, await street.shop.order(2))
    await pick(street.shop, order.journey, 2)
    page = await street.open(await mailed(order, about="pickup"))
    await expect(page.get_by_role("heading", name="Your order waits at Mainz")).to_be_visible()
    await fits(page)
    before = await page.locator("time").first.inner_text()
    await page.get_by_label(re.compile("^Keep it longer")).check()
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_label(re.compile("^Keep it longer"))).to_have_count(0)
    assert await page.locator("time").first.inner_text() != before
