"""Not on the shelf, a substitute offered, found by the count: the whole scene by the pages of those who play in it,
with the real servers behind them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import insert

from ledger.tables import credential, person, person_role
from tests.e2e.conftest import served
from tests.e2e.test_console import PHONE
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.counting import Count
from tests.ledger.support.offers import Asked, with_substitute
from tests.ledger.support.offers import line as of_tea
from tests.web.conftest import settings_for
from tests.web.people import _HASH, PASSWORD
from tests.web.retail import NOW
from tests.web.test_customer_links import mailed
from tests.workflows.conftest import hub

if TYPE_CHECKING:
    from tests.browser import NewContext
    from tests.workflows.hub import Hub

__all__ = ["hub"]
pytestmark = [pytest.mark.browser]


async def _accounts(hub: Hub) -> None:
    """An associate at the store, and a password for her and for Ana of regional operations."""
    changed = NOW - timedelta(days=365)
    async with hub.shop.database.engine.begin() as conn:
        pia = {"id": "pia", "name": "Pia Lund", "email": "pia@shop.example", "home_location": "S1"}
        await conn.execute(insert(person).values(**pia))
        await conn.execute(insert(person_role).values(person_id="pia", role="store_associate", location="S1"))
        for who in ("pia", "ana"):
            await conn.execute(insert(credential).values(person_id=who, password_hash=_HASH, changed_at=changed))


async def _signed_in(page: Page, who: str) -> Page:
    await page.goto("/sign-in")
    await page.get_by_label("Mail address").fill(f"{who}@shop.example")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(re.compile("/(store.*)?$"))
    return page


async def _picks(page: Page, order: str, found: int, why: str = "") -> None:
    await page.goto(f"/store/S1/pick/{order}")
    await page.get_by_label("Found").first.fill(str(found))
    if why:
        await page.get_by_label("If fewer, why?").first.select_option(why)
    await page.get_by_role("button", name="Save Green tea").click()
    await expect(page.get_by_text(re.compile(r"Saved \d\d:\d\d")).first).to_be_visible()


@pytest.mark.slow
async def test_everybody_does_their_part_and_the_customer_gets_the_tea(hub: Hub, new_context: NewContext) -> None:
    shop = hub.shop
    await _accounts(hub)
    await with_substitute(shop)
    async with served(settings_for(shop.database.url)) as url, hub.worker():
        phone = {"base_url": url, "viewport": PHONE, "java_script_enabled": False}
        pia = await _signed_in(await (await new_context(**phone)).new_page(), "pia")
        kim = await (await new_context(**phone)).new_page()
        ana = await _signed_in(await (await new_context(base_url=url, java_script_enabled=False)).new_page(), "ana")

        journey = await shop.order(2, lines=[of_tea(2)])
        await hub.until(journey, "reserved")
        await _picks(pia, journey, 0, "not_in_stock")
        await hub.until(journey, "substituting")

        link = await mailed(Asked(shop, journey))
        await kim.goto(link)
        await expect(kim.get_by_role("heading", name="We do not have 2 x Green tea")).to_be_visible()

        count = await Count.newest(shop)
        await hub.until(count.id, "scheduled")
        await pia.goto(f"/console/counts/{count.id}/sheet")
        await pia.get_by_role("textbox").first.fill("5")
        await pia.get_by_role("button", name="Save").click()
        await expect(pia.get_by_text("Every line has a figure.")).to_be_visible()
        await pia.get_by_role("button", name="Hand the count in").click()
        await hub.ended(count.id)
        await hub.until(journey, "reserved")

        await kim.reload()
        await expect(kim.get_by_role("heading", name="You need not answer any more")).to_be_visible()
        await expect(kim.get_by_text("what was missing has turned up")).to_be_visible()

        await _picks(pia, journey, 2)
        await hub.until(journey, "ready_for_pickup")
        await pia.goto("/store/S1/hand-over")
        await pia.get_by_label("Order number, pickup code or name").fill("kim")
        await pia.get_by_role("button", name="Find").click()
        await expect(pia.get_by_role("heading", name="What does the customer show?")).to_be_visible()
        code = await shop.value("SELECT detail ->> 'pickup_code' FROM journey WHERE id = :id", id=journey)
        await pia.get_by_label("Pickup code").last.fill(code)
        await pia.get_by_role("button", name="Handed over").click()
        await expect(pia.get_by_text("The order is complete.")).to_be_visible()
        await hub.ended(journey)

        await ana.goto(f"/console/journeys/{journey}")
        for words in ("Collected", "Balanced", "2 units handed over"):
            await expect(ana.get_by_text(words).first).to_be_visible()
        await ana.goto("/console/queue?tab=all")
        await expect(ana.locator(".case-row")).to_have_count(0)
    await assert_books_agree(shop.database)
