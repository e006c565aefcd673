"""Every page that a customer opens by a link: on a phone, by day and in the dark, for a screen reader."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, expect

from ledger import links
from ledger.transaction import Transaction
from tests.e2e.axe import violations
from tests.e2e.test_customer import PHONE, Street, fits, street
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import pick
from tests.ledger.support.returning import Back, collected
from tests.web.test_customer_links import mailed
from tests.web.test_exchange_links import dear
from tests.web.test_exchange_links import mailed as mailed_exchange

__all__ = ["street"]
pytestmark = [pytest.mark.browser]


async def seen(page: Page, heading: str) -> None:
    """A page has arrived, and nothing of it is out of reach, by day and in the dark."""
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    await fits(page)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        assert (heading, scheme, await violations(page)) == (heading, scheme, [])


async def opened(street: Street, path: str) -> Page:
    """With a script, which none of these pages has: what looks for violations is one."""
    context = await street.new_context(base_url=street.url, viewport=PHONE, is_mobile=True, reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(path)
    return page


async def test_a_dearer_exchange_from_the_question_to_the_payment(street: Street) -> None:
    swap = await dear(street.shop)
    path = await mailed_exchange(swap)
    page = await opened(street, path)
    await seen(page, "Would you pay 5.00 EUR more?")
    await page.get_by_role("button", name="Send my answer").click()
    await expect(page.get_by_role("alert")).to_contain_text("nothing is chosen for you")
    await seen(page, "Would you pay 5.00 EUR more?")
    await page.get_by_label("Yes, charge 5.00 EUR").check()
    await page.get_by_role("button", name="Send my answer").click()
    await seen(page, "Thank you: the payment is on its way")
    await swap.carry_on()
    await page.goto(path)
    await seen(page, "Thank you: you have paid")


async def test_an_exchange_that_is_none_any_more(street: Street) -> None:
    swap = await dear(street.shop)
    page = await opened(street, await mailed_exchange(swap))
    await street.shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
    await page.get_by_label("No, give me my money").check()
    await page.get_by_role("button", name="Send my answer").click()
    await seen(page, "You need not answer any more")


async def test_an_offer_and_a_pickup(street: Street) -> None:
    order = await asked(street.shop, price_minor=1_400)
    page = await opened(street, await mailed(order))
    await seen(page, "We do not have 3 x Green tea")
    await page.get_by_label("Yes, please").check()
    await page.get_by_role("button", name="Send my answer").click()
    await seen(page, "Thank you: it is yours")
    ready = Asked(street.shop, await street.shop.order(1, at="S2"))
    await pick(street.shop, ready.journey, 1)
    await page.goto(await mailed(ready, about="pickup"))
    await seen(page, "Your order waits at Wiesbaden")


async def test_a_return_that_is_seen_otherwise(street: Street) -> None:
    back = await Back.open(street.shop, await collected(street.shop, 1))
    row = await back.row()

    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(days=2)
        return await links.create(tx, expires_at=until, journey_id=back.id, customer_id=row["customer_id"])

    path = "/c/" + await street.shop.database.write(work, actor="test", via="test")
    page = await opened(street, path)
    await expect(page.get_by_label("Tell us")).to_be_visible()
    await seen(page, await page.get_by_role("heading", level=1).inner_text())
    await page.get_by_label("Tell us").fill("It is broken.")
    await page.get_by_role("button", name="Send", exact=True).click()
    await expect(page.get_by_text("Somebody looks at your return again and writes to you.")).to_be_visible()
    await seen(page, await page.get_by_role("heading", level=1).inner_text())
    await page.goto(f"{path}x")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert await violations(page) == []
