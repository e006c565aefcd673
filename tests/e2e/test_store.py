"""A shift in the store on a phone: look, pick, hand over, put away; with and without a script, and on paper."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest
from playwright.async_api import Page, expect

from ledger import tables
from settings import CDN
from tests.browser import NewContext
from tests.e2e.axe import by_day_and_night
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_console import PHONE
from tests.e2e.test_pages import DESK
from tests.web.retail import key_text
from tests.web.store import code_of, event, pick_all, place, staff

__all__ = ["staff"]
pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("staff")]
OpenStore = Callable[..., Awaitable[Page]]


@pytest.fixture
async def web(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    """The shop's system at the running site."""
    headers = {"Authorization": f"Bearer {key_text('web')}"}
    async with httpx2.AsyncClient(base_url=site.url, headers=headers, timeout=120) as client:
        yield client


@pytest.fixture
def at_work(open_page: OpenPage) -> OpenStore:
    """`await at_work("/store/S1/pick", …)`: a page of Pia's phone, signed in."""

    async def made(path: str, person: str = "pia.lund", **options: object) -> Page:
        page = await open_page("", **{"viewport": PHONE, **options})
        await page.goto(f"/sign-in?next={path}")
        await page.get_by_label("Mail address").fill(f"{person}@stores.example")
        await page.get_by_label("Password").fill("long enough for a test")
        await page.get_by_role("button", name="Sign in").click()
        await page.wait_for_url(f"**{path}")
        return page

    return made


async def small_targets(page: Page) -> list[str]:
    """What a thumb would miss: buttons, links that stand alone, and fields of less than 44 px."""
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll('main button, main a.task, main a.button, main select,'
          + ' main input:not([type=hidden], [type=radio], [type=checkbox]), main label.check')]
          .filter((one) => !one.classList.contains('unseen') && one.checkVisibility())
          .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
          .filter(([, box]) => box.height < 44 || box.width < 44).map(([html]) => html)"""
    )
    return found


class TestShift:
    async def test_what_was_entered_outlives_a_session_that_ended(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore, with_script: bool
    ) -> None:
        await place(web, "W-1")
        page = await at_work("/store/S1", java_script_enabled=with_script)
        await page.get_by_role("link", name=re.compile("Next: pick order W-1")).click()
        await page.get_by_label("Found").nth(1).fill("0")
        await page.get_by_label("If fewer, why?").nth(1).select_option("damaged")
        await page.context.clear_cookies()
        await page.get_by_role("button", name="Save all as entered").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_label("Mail address").fill("pia.lund@stores.example")
        await page.get_by_label("Password").fill("long enough for a test")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("You were signed out before this was sent")).to_be_visible()
        await expect(page.get_by_label("Found").nth(1)).to_have_value("0")
        await expect(page.get_by_label("If fewer, why?").nth(1)).to_have_value("damaged")
        assert [row for row in await site.table(tables.movement) if row["kind"] == "picked"] == []
        await page.get_by_role("button", name="Save all as entered").click()
        await expect(page.get_by_text(re.compile(r"Saved \d\d:\d\d CES?T")).first).to_be_visible()

    async def test_a_line_is_saved_in_place_and_the_other_keeps_what_was_typed(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore, with_script: bool
    ) -> None:
        await place(web, "W-1")
        page = await at_work("/store/S1", java_script_enabled=with_script)
        await page.get_by_role("link", name=re.compile("Next: pick order W-1")).click()
        await page.get_by_label("Found").nth(1).fill("0")
        await page.get_by_label("If fewer, why?").nth(1).select_option("damaged")
        await page.get_by_role("button", name="Save Apple").click()
        said = page.get_by_text(re.compile(r"Saved \d\d:\d\d CES?T"))
        await expect(said).to_be_visible()
        if with_script:
            await expect(said).to_be_focused()
        await expect(page.get_by_label("Found")).to_have_value("0")
        await expect(page.get_by_label("If fewer, why?")).to_have_value("damaged")
        await page.get_by_role("button", name="Save all as entered").click()
        await expect(page.get_by_text("Your part is done.")).to_be_visible()

    async def test_enter_in_a_field_saves_nothing_and_says_what_to_press(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore, with_script: bool
    ) -> None:
        journey_id = await place(web, "W-1")
        page = await at_work(f"/store/S1/pick/{journey_id}", java_script_enabled=with_script)
        await page.get_by_label("Found").first.fill("1")
        await page.get_by_label("Found").first.press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("Press Save at the line")
        await expect(page.get_by_label("Found").first).to_have_value("1")
        assert [row["type"] for row in await site.table(tables.event_inbox)] == []

    async def test_a_customer_collects_with_a_code(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore, with_script: bool
    ) -> None:
        journey_id = await place(web, "W-1")
        await pick_all(web, journey_id)
        page = await at_work("/store/S1/hand-over", java_script_enabled=with_script)
        await page.get_by_label("Order number, pickup code or name").fill("haddad")
        await page.get_by_role("button", name="Find").click()
        await expect(page.get_by_role("heading", name="What does the customer show?")).to_be_visible()
        await page.get_by_label("Pickup code").last.fill("nonsense")
        await page.get_by_label("Somebody else: who to the customer?").fill("neighbour")
        await page.get_by_role("button", name="Handed over").click()
        await expect(page.get_by_text("This is not the code of this order.")).to_be_visible()
        await expect(page.get_by_label("Somebody else: who to the customer?")).to_have_value("neighbour")
        await page.get_by_label("Pickup code").last.fill(await code_of(site.database, journey_id))
        await page.get_by_role("button", name="Handed over").click()
        await expect(page.get_by_text("The order is complete.")).to_be_visible()
        [journey] = await site.table(tables.journey)
        assert journey["state"] == "collected"

    async def test_goods_of_a_cancelled_order_are_put_away(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore, with_script: bool
    ) -> None:
        journey_id = await place(web, "W-1")
        await pick_all(web, journey_id)
        await event(web, "bopis.cancelled", "c-1", journey_id=journey_id)
        page = await at_work("/store/S1", java_script_enabled=with_script)
        await page.get_by_role("link", name=re.compile("Next: put away order W-1")).click()
        await page.get_by_label("Good, back on the shelf").first.fill("1")
        await page.get_by_label("Damaged").first.fill("1")
        await page.get_by_role("button", name="Put away as entered").click()
        await expect(page.get_by_text(re.compile(r"Saved \d\d:\d\d CES?T"))).to_be_visible()
        await page.get_by_role("link", name=re.compile("Nothing more to put away")).click()
        await expect(page.get_by_text("Nothing to do now")).to_be_visible()

    async def test_a_pick_is_saved_when_the_script_cannot_be_loaded(
        self, site: Site, web: httpx2.AsyncClient, new_context: NewContext, open_page: OpenPage
    ) -> None:
        journey_id = await place(web, "W-1")
        context = await new_context(base_url=site.url, viewport=PHONE)
        await context.route(
            f"{CDN}/**", lambda route: route.fulfill(status=200, body="", content_type="text/javascript")
        )
        page = await context.new_page()
        await page.goto(f"/sign-in?next=/store/S1/pick/{journey_id}")
        await page.get_by_label("Mail address").fill("pia.lund@stores.example")
        await page.get_by_label("Password").fill("long enough for a test")
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Save all as entered").click()
        await expect(page.get_by_text("All is picked.")).to_be_visible()


class TestReach:
    async def test_nothing_is_out_of_reach_or_too_small_for_a_thumb(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore
    ) -> None:
        first, ready, gone = [await place(web, f"W-{number}") for number in (1, 2, 3)]
        await pick_all(web, ready)
        await pick_all(web, gone)
        await event(web, "bopis.cancelled", "c-1", journey_id=gone)
        await event(web, "bopis.arrived", "a-1", journey_id=ready, bay="3")
        lines = [{"line": "1", "sku": "APPLE", "quantity": 6, "unit_price_minor": 129}]
        await event(web, "pos.sale", "s-1", location="S1", receipt="r-1", lines=lines)
        paths = (
            "/store/S1",
            "/store/S1/pick",
            f"/store/S1/pick/{first}",
            f"/store/S1/verify/{first}",
            f"/store/S1/pick/{gone}",
            "/store/S1/hand-over",
            f"/store/S1/hand-over/{ready}",
            f"/store/S1/hand-over/{first}",
            "/store/S1/put-away",
            f"/store/S1/put-away/{gone}",
            "/console/help",
        )
        found: dict[str, list[str]] = {}
        for size in (PHONE, DESK):
            page = await at_work("/store/S1", viewport=size)
            for path in paths:
                await page.goto(path)
                said = await by_day_and_night(page)
                said += await small_targets(page) if size is PHONE and path.startswith("/store") else []
                found[f"{path} {size['width']}"] = said
            await page.goto(f"/store/S1/pick/{first}")
            await page.get_by_label("Found").first.fill("9")
            await page.get_by_role("button", name="Save all as entered").click()
            await expect(page.get_by_text(re.compile("The order still wants"))).to_be_visible()
            found[f"refused {size['width']}"] = await by_day_and_night(page)
        chooser = await at_work("/store", "ana.ruiz")
        found["/store"] = [*await by_day_and_night(chooser), *await small_targets(chooser)]
        assert {path: said for path, said in found.items() if said} == {}


class TestPaper:
    async def test_a_printed_pick_list_has_barcodes_and_room_to_write_and_nothing_to_press(
        self, site: Site, web: httpx2.AsyncClient, at_work: OpenStore
    ) -> None:
        await place(web, "W-1")
        page = await at_work("/store/S1/pick")
        await expect(page.get_by_role("img", name="Barcode W-1")).to_be_hidden()
        await page.emulate_media(media="print")
        for name in ("Barcode W-1", "Barcode APPLE", "Barcode BREAD"):
            await expect(page.get_by_role("img", name=name)).to_be_visible()
        await expect(page.get_by_text("found ______").first).to_be_visible()
        for pressed in await page.locator("button, input:not([type=hidden]), nav").all():
            await expect(pressed).to_be_hidden()
