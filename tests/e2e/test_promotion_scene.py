"""A promotion from its form to the vendor's money, by the pages of all who have a part in it, with the real servers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import insert

from bench.channel import Channel
from domain.case import SEVERITIES
from ledger.journeys import skip_time
from ledger.tables import credential, person, person_role, policy_document
from tests.e2e.conftest import served
from tests.e2e.test_console import PHONE
from tests.e2e.test_transfer_scene import _agrees, _asked, _decides, _signed_in
from tests.ledger.support.books import accounts, assert_books_agree
from tests.ledger.support.funding import sell
from tests.ledger.support.till import event
from tests.shop import ADA, TEA
from tests.web.conftest import settings_for
from tests.web.people import _HASH
from tests.web.retail import NOW
from tests.workflows.conftest import hub

if TYPE_CHECKING:
    from tests.browser import NewContext
    from tests.workflows.hub import Hub

__all__ = ["hub"]
pytestmark = [pytest.mark.browser]
DAY = timedelta(days=1)
POLICY = {
    "bands": {"claim": {"manager_minor": 1_000, "finance_minor": 1_500}, "write_off_minor": 500},
    "cases": {"undo_s": dict.fromkeys(SEVERITIES, 0)},
}
BEGINS = (datetime.now(UTC) + 3 * DAY).replace(hour=10, minute=0, second=0, microsecond=0)
ENDS = BEGINS + 7 * DAY


async def _people(hub: Hub) -> None:
    """Two merchandisers, of whom one defines and the other agrees by link; a password for those who use the console."""
    changed = NOW - timedelta(days=365)
    async with hub.shop.database.engine.begin() as conn:
        await conn.execute(
            insert(policy_document).values(
                version="scene", effective_from=datetime(2020, 1, 1, tzinfo=UTC), body=POLICY
            )
        )
        for who, name in (("mia", "Mia Roth"), ("mo", "Mo Stern")):
            await conn.execute(insert(person).values(id=who, name=name, email=f"{who}@shop.example"))
            await conn.execute(insert(person_role).values(person_id=who, role="merchandiser"))
        for who in ("mia", "ana"):
            await conn.execute(insert(credential).values(person_id=who, password_hash=_HASH, changed_at=changed))


async def _records_an_agreement(mia: Page) -> None:
    await mia.goto("/console/funding/new")
    for label, text in (
        ("Number", "V-1"), ("Vendor, its code", "TEACO"), ("Vendor, its name", "Tea & Co."), ("Document", "V-1.pdf"),
        ("Signed on", "2026-01-10"), ("How much: an amount", "4.00"),
    ):  # fmt: skip
        await mia.get_by_label(label).first.fill(text)
    await mia.get_by_label("Mail address for claims").fill("claims@teaco.example")
    await mia.get_by_label("From", exact=True).fill(f"{NOW - DAY:%Y-%m-%dT%H:%M}")
    await mia.get_by_label("Until").fill(f"{NOW + 60 * DAY:%Y-%m-%dT%H:%M}")
    await mia.get_by_role("button", name="Record it").click()
    await expect(mia.get_by_role("heading", name="Agreement V-1")).to_be_visible()


async def _defines(mia: Page) -> None:
    """Below the floor that she names: merchandising and finance have to agree."""
    await mia.goto("/console/promotions/new")
    await mia.get_by_label("Name, as people know it").fill("Tea days")
    await mia.get_by_label("Code that tills and web write").fill("TEA-DAYS")
    await mia.get_by_label("How much: 20").fill("20")
    await mia.get_by_label("What for: on each line").fill(f"{TEA} 100")
    await mia.get_by_label("And these places").fill("S1 S2")
    await mia.get_by_label("Begins").fill(f"{BEGINS:%Y-%m-%dT%H:%M}")
    await mia.get_by_label("Ends").fill(f"{ENDS:%Y-%m-%dT%H:%M}")
    await mia.get_by_label("Least margin").fill("60")
    await mia.get_by_label("A vendor pays").fill("V-1")
    await mia.get_by_role("button", name="Look first").click()
    for words in ("300.00 EUR given", "Merchandising, then finance", "400.00 EUR at forecast"):
        await expect(mia.get_by_text(words)).to_be_visible()
    await mia.get_by_role("button", name="Submit it").click()
    await expect(mia.get_by_role("heading", name="Promotion TEA-DAYS")).to_be_visible()


async def _skip_to(hub: Hub, journey: str, at: datetime) -> None:
    """A minute after an instant of the promotion's own clock."""
    ahead = await hub.shop.value("SELECT clock_offset_s FROM journey WHERE id = :id", id=journey)
    left = (at + timedelta(minutes=1) - datetime.now(UTC)).total_seconds() - ahead
    await skip_time(hub.shop.database, journey, ADA, seconds=int(left), via="test")


async def _publishes(hub: Hub, mia: Page, journey: str, pos: Channel) -> None:
    """A store's till refuses its price; when it has begun, the case is hers, and the till is right when she retries."""
    await _skip_to(hub, journey, BEGINS - DAY)
    await hub.until(journey, "publishing")
    await _skip_to(hub, journey, BEGINS)
    await hub.until(journey, "active")
    asked = await hub.open_case(journey, "promo_price_conflict")
    await mia.goto(f"/console/cases/{asked}")
    await expect(mia.get_by_text("pos does not show the prices").first).to_be_visible(timeout=90_000)
    pos.refuses = lambda _cell: False
    await _decides(mia, asked, "Have the prices looked at and sent again now")
    await hub.ended(f"case:{asked}:1")

    async def all_right() -> bool:
        await hub.carry()
        wrong = await hub.shop.value("SELECT count(*) FROM price_publication WHERE state <> 'right'")
        assert wrong == 0, f"{wrong} prices are not right"
        return True

    await hub.eventually(all_right)


async def _claims(hub: Hub, ana: Page, fin: Page) -> str:
    """Ana claims what has accrued, finance agrees by link; the vendor takes a part of it off."""
    await ana.goto("/console/funding/console:V-1")
    await ana.get_by_role("button", name="Claim 20.00 EUR now").click()
    await expect(ana.get_by_role("heading", name="Vendor claim V-1-1")).to_be_visible()
    claim = str(await hub.shop.value("SELECT id FROM journey WHERE kind = 'claim'"))
    await _agrees(hub, fin, "fin", await _asked(hub, claim), "20.00 EUR")
    await hub.until(claim, "sent")
    await ana.goto("/console/vendor-claims?tab=vendor")
    await ana.get_by_role("link", name="V-1-1").click()
    await expect(ana.get_by_role("heading", name="The vendor's answer")).to_be_visible()
    await ana.get_by_label("Accepted, in EUR").fill("12.00")
    await ana.get_by_label("Reason").select_option("over_cap")
    await ana.get_by_label("What is accepted is").select_option("deduction")
    await ana.get_by_role("button", name="Record these amounts").click()
    await expect(ana.get_by_text("In part")).to_be_visible()
    return claim


@pytest.mark.slow
async def test_defined_agreed_published_sold_ended_claimed_short_and_written_off(
    hub: Hub, new_context: NewContext
) -> None:
    shop = hub.shop
    await _people(hub)
    channels = {name: Channel(name, {TEA: 1_500}) for name in ("web", "pos")}
    channels["pos"].refuses = lambda cell: cell[0] == "S1"
    hub.channels.update({name: one.port() for name, one in channels.items()})
    async with served(settings_for(shop.database.url)) as url, hub.worker():
        plain = {"base_url": url, "java_script_enabled": False}
        mia = await _signed_in(await (await new_context(**plain)).new_page(), "mia")
        ana = await _signed_in(await (await new_context(**plain)).new_page(), "ana")
        mo, fin = [await (await new_context(**plain, viewport=PHONE)).new_page() for _ in range(2)]

        await _records_an_agreement(mia)
        await _defines(mia)
        journey = str(await shop.value("SELECT id FROM journey WHERE kind = 'promotion'"))
        await _agrees(hub, mo, "mo", await _asked(hub, journey), "300.00 EUR")
        await _agrees(hub, fin, "fin", await _asked(hub, journey), "300.00 EUR")
        await hub.until(journey, "approved")

        await _publishes(hub, mia, journey, channels["pos"])
        line = {
            "line": "1", "sku": TEA, "quantity": 5, "unit_price_minor": 1_200, "regular_price_minor": 1_500,
            "promotion_id": "TEA-DAYS",
        }  # fmt: skip
        sold = event("E-1", "pos.sale", {"location": "S1", "receipt": "R-1", "lines": [line]})
        await sell(shop, sold | {"occurred_at": NOW.isoformat()})
        await mia.goto(f"/console/journeys/{journey}")
        await expect(mia.get_by_text("20.00 EUR for 5 units")).to_be_visible()

        # It is over: the regular price is back everywhere.
        await _skip_to(hub, journey, ENDS)
        await hub.until(journey, "ended")
        shown = {one.shows(code, TEA, ENDS + DAY).price_minor for one in channels.values() for code in ("S1", "S2")}
        assert shown == {1_500}
        await mia.goto(f"/console/journeys/{journey}")
        await expect(mia.get_by_text(re.compile("The promotion is over")).first).to_be_visible()

        claim = await _claims(hub, ana, fin)
        short = await hub.open_case(claim, "claim_short_paid")
        await _decides(ana, short, "Write it off")
        await _agrees(hub, fin, "fin", await _asked(hub, claim), "8.00 EUR")
        await hub.ended(claim)
        await ana.goto(f"/console/journeys/{claim}")
        for words in ("Settled", "Funding written off", "every entry balances"):
            await expect(ana.get_by_text(words).first).to_be_visible()
        await ana.get_by_role("link", name="TEA-DAYS").click()
        await expect(ana.get_by_role("heading", name="Promotion TEA-DAYS")).to_be_visible()
    books = await accounts(shop.database)
    assert (books["funding_written_off"], books["accounts_payable"], books.get("vendor_claims", 0)) == (800, 1_200, 0)
    await assert_books_agree(shop.database)
