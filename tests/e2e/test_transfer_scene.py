"""A transfer that comes short, by the pages of everybody who has a part in it, with the real servers behind them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import insert

from domain.case import SEVERITIES
from ledger.tables import credential, person, person_role, policy_document
from tests.e2e.conftest import served
from tests.e2e.test_console import PHONE
from tests.ledger.support.books import accounts, assert_books_agree
from tests.ledger.support.counting import Count
from tests.shop import TEA
from tests.web.conftest import settings_for
from tests.web.people import _HASH, PASSWORD
from tests.web.retail import NOW
from tests.workflows.conftest import hub
from tests.workflows.hub import BASE

if TYPE_CHECKING:
    from tests.browser import NewContext
    from tests.workflows.hub import Hub

__all__ = ["hub"]
pytestmark = [pytest.mark.browser]
POLICY = {
    "bands": {"transfer": {"manager_minor": 1_000, "finance_minor": 100_000}, "write_off_minor": 500},
    "cases": {"undo_s": dict.fromkeys(SEVERITIES, 0)},
}


async def _people(hub: Hub) -> None:
    """An associate at each store, and a password for Ana of regional operations; the others use their links."""
    changed = NOW - timedelta(days=365)
    async with hub.shop.database.engine.begin() as conn:
        await conn.execute(
            insert(policy_document).values(
                version="scene", effective_from=datetime(2020, 1, 1, tzinfo=UTC), body=POLICY
            )
        )
        for who, name, store in (("pia", "Pia Lund", "S1"), ("lea", "Lea Marx", "S2")):
            row = {"id": who, "name": name, "email": f"{who}@shop.example", "home_location": store}
            await conn.execute(insert(person).values(**row))
            await conn.execute(insert(person_role).values(person_id=who, role="store_associate", location=store))
        for who in ("pia", "lea", "ana"):
            await conn.execute(insert(credential).values(person_id=who, password_hash=_HASH, changed_at=changed))


async def _signed_in(page: Page, who: str) -> Page:
    await page.goto("/sign-in")
    await page.get_by_label("Mail address").fill(f"{who}@shop.example")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(re.compile("/(store.*)?$"))
    return page


async def _asked(hub: Hub, journey: str) -> int:
    """The approval that is pending, once its workflow has begun."""

    async def there() -> object:
        await hub.carry()
        return await hub.shop.value(
            "SELECT max(id) FROM approval WHERE journey_id = :id AND state = 'pending'", id=journey
        )

    return int(await hub.eventually(there))


async def _agrees(hub: Hub, page: Page, who: str, approval: int, amount: str) -> None:
    """Somebody opens the link that stands in their mail and approves."""
    found = re.search(rf"^{BASE}(/a/\S+)$", await hub.asked_by_mail(approval, who), re.MULTILINE)
    assert found is not None
    await page.goto(found[1])
    await expect(page.get_by_role("heading", level=1)).to_contain_text(amount)
    await page.get_by_label("Approve", exact=True).check()
    await page.get_by_role("button", name="Send verdict").click()
    await expect(page.get_by_text(re.compile("^Approved by"))).to_be_visible()


async def _decides(page: Page, case: int, way: str, cause: str = "") -> None:
    await page.goto(f"/console/cases/{case}")
    option = page.locator(".option").filter(has_text=way)
    await option.get_by_role("radio").check()
    for statement in await option.get_by_role("checkbox").all():
        await statement.check()
    if cause:
        await option.get_by_label("Root cause").select_option(label=cause)
    await page.get_by_role("button", name="Decide", exact=True).click()
    said = re.compile(f"^(Decided|Applying|Applied|Waiting for approval): {way}")
    await expect(page.get_by_role("heading", name=said)).to_be_visible()


async def _moves(pia: Page, lea: Page, journey: str) -> None:
    await pia.goto(f"/store/S1/send/{journey}")
    await pia.get_by_label("How many leave now?").fill("5")
    await pia.get_by_label("Carrier (if one takes it)").fill("Parcel Co")
    await pia.get_by_role("button", name="Send as entered").click()
    await expect(pia.get_by_text("5 sent in all")).to_be_visible()
    await lea.goto(f"/store/S2/receive/{journey}")
    await lea.get_by_label("Good").fill("3")
    await lea.get_by_label("Nothing more comes").check()
    await lea.get_by_role("button", name="Save what came").click()
    await expect(lea.get_by_text(re.compile(r"Saved \d\d:\d\d")).first).to_be_visible()


@pytest.mark.slow
async def test_asked_for_agreed_sent_come_short_counted_and_written_off(hub: Hub, new_context: NewContext) -> None:
    shop = hub.shop
    await _people(hub)
    async with served(settings_for(shop.database.url)) as url, hub.worker():
        phone = {"base_url": url, "viewport": PHONE, "java_script_enabled": False}
        ana = await _signed_in(await (await new_context(base_url=url, java_script_enabled=False)).new_page(), "ana")
        pia = await _signed_in(await (await new_context(**phone)).new_page(), "pia")
        lea = await _signed_in(await (await new_context(**phone)).new_page(), "lea")
        max_, fin = [await (await new_context(**phone)).new_page() for _ in range(2)]

        # Ana asks for five packs: worth 30.00, above the band.
        await ana.goto("/console/transfers/new")
        await ana.get_by_role("combobox", name="From", exact=True).select_option("S1")
        await ana.get_by_role("combobox", name="To", exact=True).select_option("S2")
        await ana.get_by_label(re.compile("^What goes")).fill(f"{TEA} 5")
        await ana.get_by_role("button", name="Look first").click()
        await expect(ana.get_by_text("A manager of Mainz has to agree.")).to_be_visible()
        await ana.get_by_role("button", name="Ask for it").click()
        await expect(ana.get_by_role("heading", name=re.compile("^Transfer "))).to_be_visible()
        journey = await shop.value("SELECT id FROM journey WHERE kind = 'transfer'")
        asked = await _asked(hub, journey)
        assert "If you approve: What Mainz can promise of it by then" in await hub.asked_by_mail(asked, "max")
        await _agrees(hub, max_, "max", asked, "30.00 EUR")
        await hub.until(journey, "ready_to_ship")

        # Pia sends all of them, Lea receives three and nothing more.
        await _moves(pia, lea, journey)

        # The case is Ana's: she has it counted first.
        first = await hub.open_case(journey, "transfer_short")
        await _decides(ana, first, "Have it counted at Wiesbaden")
        await hub.ended(f"case:{first}:1")
        count = await Count.newest(shop)
        await hub.until(count.id, "scheduled")
        await lea.goto(f"/console/counts/{count.id}/sheet")
        await lea.get_by_role("textbox").first.fill("8")
        await lea.get_by_role("button", name="Save").click()
        await expect(lea.get_by_text("Every line has a figure.")).to_be_visible()
        await lea.get_by_role("button", name="Hand the count in").click()
        await hub.ended(count.id)

        # Nothing turned up: it is written off, and finance agrees.
        again = await hub.open_case(journey, "transfer_short")
        await _decides(ana, again, "Accept and write off", "Lost by carrier")
        await _agrees(hub, fin, "fin", await _asked(hub, journey), "12.00 EUR")
        await hub.ended(journey)

        await ana.goto(f"/console/journeys/{journey}")
        for words in ("Closed", "Lost by carrier", "Transit loss", "every entry balances"):
            await expect(ana.get_by_text(words).first).to_be_visible()
        await ana.goto("/console/transfers/moving")
        await expect(ana.get_by_role("heading", name="Nothing is on its way")).to_be_visible()
    books = await accounts(shop.database)
    assert (books["transit_loss"], "goods_in_transit" in books) == (1_200, False)
    await assert_books_agree(shop.database)
