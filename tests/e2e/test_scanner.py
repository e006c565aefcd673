"""A robot browser with scripts and cookies opens links from mails and presses every button of every form, unasked."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import expect

from ledger import links
from ledger.approval import create_link
from ledger.transaction import Transaction
from tests.browser import NewContext
from tests.conftest import Database
from tests.e2e.conftest import served
from tests.ledger.support.offers import Asked, asked
from tests.ledger.support.orders import pick
from tests.ledger.support.returning import Back, collected
from tests.ledger.test_quorum import ask
from tests.shop import Shop, open_shop
from tests.web.conftest import settings_for
from tests.web.routes import everything
from tests.web.test_customer_links import mailed
from tests.web.test_exchange_links import dear
from tests.web.test_exchange_links import mailed as mailed_exchange

pytestmark = [pytest.mark.browser]
# Past what the browser itself would ask for first: robots do not fill in required fields.
PRESS = "number => { const form = document.forms[number]; form.noValidate = true; form.requestSubmit(); }"


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()


async def approvers_link(shop: Shop, *, days: int, code: str | None = None) -> str:
    number = await ask(shop, "any")

    async def work(tx: Transaction) -> str:
        until = await tx.now() + timedelta(days=days)
        return await create_link(tx, number, "max", expires_at=until, code=code)

    return "/a/" + await shop.database.write(work, actor="test", via="test")


async def returners_link(shop: Shop) -> str:
    """Of a customer who brings something back, and may say there what is not right."""
    back = await Back.open(shop, await collected(shop, 1))
    customer = (await back.row())["customer_id"]

    async def work(tx: Transaction) -> str:
        until = await tx.now() + timedelta(days=2)
        return await links.create(tx, expires_at=until, journey_id=back.id, customer_id=customer)

    return "/c/" + await shop.database.write(work, actor="test", via="test")


async def test_it_changes_nothing_whatever_it_presses(shop: Shop, new_context: NewContext) -> None:
    back = [await mailed_exchange(await dear(shop)), await returners_link(shop)]
    await shop.put("S1", 5)
    offered = await asked(shop)
    waits = await shop.order(1, at="S2")
    await pick(shop, waits, 1)
    paths = [
        await approvers_link(shop, days=1),
        await approvers_link(shop, days=1, code="012345"),
        await approvers_link(shop, days=-1),
        await mailed(offered),
        await mailed(Asked(shop, waits), about="pickup"),
        *back,
        "/console/approvals",
    ]
    before = await everything(shop.database)
    async with served(settings_for(shop.database.url)) as url:
        page = await (await new_context(base_url=url)).new_page()
        for path in paths:
            await page.goto(path)
            await expect(page.locator("form button").first).to_be_visible()
            for number in range(await page.evaluate("document.forms.length")):
                await page.goto(path)
                await expect(page.locator("form button").first).to_be_visible()
                async with page.expect_navigation() as navigation:
                    await page.evaluate(PRESS, number)
                answer = await navigation.value
                assert answer is not None
                assert answer.request.method == "POST"
                assert answer.status in (401, 403, 422), (path, number, answer.status)
                await expect(page.get_by_role("alert")).to_be_visible()
    assert await everything(shop.database) == before
