"""A day at the console in a real browser: queue, case, decision, approval, with and without JavaScript."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import Page, Route, expect

from ledger import tables
from ledger.approval import create_link
from ledger.transaction import Transaction
from tests.browser import NewContext
from tests.e2e.conftest import OpenPage, Site
from tests.web.retail import a_case

pytestmark = [pytest.mark.browser]
PHONE = {"width": 390, "height": 844}


async def choose(page: Page, option: str) -> None:
    """Choose a way out, confirm what it asks for, decide, and wait until the page says that it is recorded."""
    box = page.locator(".option").filter(has=page.locator(f'input[name="option"][value^="{option}"]'))
    await box.locator('input[name="option"]').check()
    for statement in await box.locator('input[name="confirmed"]').all():
        await statement.check()
    await page.get_by_role("button", name="Decide").click()
    await expect(page.get_by_role("heading", name=re.compile("^Applying"))).to_be_visible()


async def link_of(site: Site, approval_id: int) -> str:
    async def work(tx: Transaction) -> str:
        until = datetime.now(UTC) + timedelta(hours=8)
        return await create_link(tx, approval_id, "ana.ruiz", expires_at=until)

    return "/a/" + await site.database.write(work, actor="test", via="test")


async def look_again(page: Page, case_id: int, with_script: bool) -> None:
    """With its script a page that shows something under way looks again by itself; to open it then would meet that."""
    if not with_script:
        await page.goto(f"/console/cases/{case_id}")


async def hears_nothing(route: Route) -> None:
    """In place of the script that listens for changes: the page stays as it was opened."""
    await route.fulfill(body="", content_type="text/javascript")


class TestQueueToDecision:
    async def test_a_case_is_claimed_decided_and_shown_as_applied_only_when_it_is(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        journey_id, case_id = await site.failed_order("W-1")
        page = await open_page("sam.ortega", java_script_enabled=with_script)
        await page.get_by_role("link", name="Cases", exact=True).click()
        await page.get_by_role("button", name=f"Claim case {case_id}").click()
        await expect(page).to_have_url(re.compile(rf"/console/cases/{case_id}\?tab=all"))
        await expect(page.get_by_text("You, since")).to_be_visible()
        await expect(page.locator('input[name="option"]:checked')).to_have_count(0)
        await expect(page.get_by_text("Best", exact=True)).to_have_count(1)
        await page.goto(f"/console/cases/{case_id}")
        await choose(page, "other_store")
        await expect(page.get_by_role("heading", name=re.compile("^Applied"))).to_have_count(0)
        await site.apply(journey_id)
        if not with_script:
            await page.get_by_role("link", name="Look again").click()
        await expect(page.get_by_role("heading", name=re.compile("^Applied"))).to_be_visible()
        [journey] = await site.table(tables.journey)
        assert (journey["state"], journey["location"]) == ("reserved", "S2")

    async def test_a_dear_refund_waits_for_the_manager_whose_link_releases_it(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        journey_id, case_id = await site.failed_order("W-1", unit_price_minor=2500)
        sam = await open_page("sam.ortega", java_script_enabled=with_script)
        await sam.goto(f"/console/cases/{case_id}")
        await expect(sam.get_by_text("Needs approval")).not_to_have_count(0)
        await choose(sam, "cancel_refund")
        approval_id = await site.ask_approval(journey_id)
        await look_again(sam, case_id, with_script)
        await expect(sam.get_by_role("heading", name=re.compile("^Waiting for approval"))).to_be_visible()

        link = await link_of(site, approval_id)
        ana = await open_page(java_script_enabled=with_script, viewport=PHONE)
        for _ in range(2):
            await ana.goto(link)
        await expect(ana.get_by_text("For Ana Ruiz")).to_be_visible()
        await expect(ana.get_by_text("300.00 USD").first).to_be_visible()
        await expect(ana.locator("input:checked")).to_have_count(0)
        await ana.get_by_role("button", name="Send verdict").click()
        await expect(ana.get_by_text("nothing is chosen for you")).to_be_visible()
        await ana.get_by_label("Approve", exact=True).check()
        await ana.get_by_role("button", name="Send verdict").click()
        await expect(ana.get_by_text("Approved by Ana Ruiz")).to_be_visible()
        await expect(ana.get_by_role("button", name="Send verdict")).to_have_count(0)

        await site.apply(journey_id)
        await look_again(sam, case_id, with_script)
        await expect(sam.get_by_role("heading", name=re.compile("^Applied"))).to_be_visible()

    async def test_a_reject_gives_the_case_back_with_its_other_ways_out(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        journey_id, case_id = await site.failed_order("W-1", unit_price_minor=2500)
        sam = await open_page("sam.ortega", java_script_enabled=with_script)
        await sam.goto(f"/console/cases/{case_id}")
        await choose(sam, "cancel_refund")
        approval_id = await site.ask_approval(journey_id)
        ana = await open_page("ana.ruiz", java_script_enabled=with_script, viewport=PHONE)
        menu = ana.get_by_role("navigation", name="Main")
        await expect(menu.get_by_role("link", name="Approvals")).to_be_hidden()
        await menu.get_by_role("button", name="Menu").click()
        await menu.get_by_role("link", name="Approvals").click()
        await ana.get_by_role("link", name=re.compile("Refund")).click()
        await expect(ana).to_have_url(f"{site.url}/console/approvals/{approval_id}")
        await ana.get_by_label(re.compile("^Reject")).check()
        await ana.get_by_role("button", name="Send verdict").click()
        await expect(ana.get_by_text("Say why you reject.")).to_be_visible()
        await ana.get_by_label(re.compile("^Reject")).check()
        await ana.get_by_label("Reason or question").fill("Store S2 has twelve")
        await ana.get_by_role("button", name="Send verdict").click()
        await expect(ana.get_by_text("Rejected by Ana Ruiz")).to_be_visible()
        await site.give_back(journey_id)
        await look_again(sam, case_id, with_script)
        await expect(sam.get_by_role("heading", name=re.compile("^Not applied"))).to_be_visible()
        await expect(sam.locator('input[name="option"][value^="other_store"]').first).to_be_enabled()
        await expect(sam.locator('input[name="option"][value^="cancel_refund"]')).to_be_disabled()

    async def test_the_second_of_two_people_is_told_who_was_first(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        case_id = await a_case(site.database, "S1/APPLE")
        sam = await open_page("sam.ortega", java_script_enabled=with_script)
        ana = await open_page("ana.ruiz", java_script_enabled=with_script)
        await ana.route("**/static/live.js", hears_nothing)  # else the button is gone as soon as it is of no use
        for page in (sam, ana):
            await page.goto("/console/queue?tab=unassigned")
        await sam.get_by_role("button", name=f"Claim case {case_id}").click()
        await expect(sam).to_have_url(re.compile(rf"/console/cases/{case_id}\?tab=unassigned"))
        await ana.get_by_role("button", name=f"Claim case {case_id}").click()
        await expect(ana.get_by_role("alert")).to_contain_text("Sam Ortega")

    async def test_what_was_typed_and_chosen_outlives_a_session_that_ended(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        _, case_id = await site.failed_order("W-1")
        page = await open_page("sam.ortega", java_script_enabled=with_script)
        await page.goto(f"/console/cases/{case_id}?tab=all")
        await page.locator('input[name="option"][value="cancel_refund"]').check()
        await page.locator('input[value="cancel_refund#final"]').check()
        await page.get_by_label("Note (optional)").fill("twelve were counted this morning")
        await page.context.clear_cookies()
        await page.get_by_role("button", name="Decide").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_label("Mail address").fill("sam.ortega@stores.example")
        await page.get_by_label("Password").fill("long enough for a test")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("You were signed out before this was sent")).to_be_visible()
        for kept in ("cancel_refund", "cancel_refund#final"):
            await expect(page.locator(f'input[value="{kept}"]')).to_be_checked()
        await expect(page.get_by_label("Note (optional)")).to_have_value("twelve were counted this morning")
        assert await site.table(tables.case_decision) == []
        await page.get_by_role("button", name="Decide").click()
        await expect(page.get_by_role("status").filter(has_text="Applying")).to_be_visible()
        assert [row["option_id"] for row in await site.table(tables.case_decision)] == ["cancel_refund"]


class TestQueue:
    async def test_filters_survive_reload_and_the_back_button_shows_a_whole_page(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        await a_case(site.database, "an empty shelf")
        await a_case(site.database, "elsewhere")
        page = await open_page("sam.ortega", java_script_enabled=with_script)
        await page.goto("/console/queue")
        await expect(page.locator(".case-row")).to_have_count(2)
        await page.locator("summary", has_text="Filters").click()
        await page.get_by_label("Search cases").fill("empty shelf")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator(".case-row")).to_have_count(1)
        await page.reload()
        await expect(page.locator(".case-row")).to_have_count(1)
        await page.locator(".case-row h2 a").click()
        await expect(page).to_have_url(re.compile(r"/console/cases/\d+\?.*text=empty"))
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await page.go_back()
        await expect(page.locator(".case-row")).to_have_count(1)
        await expect(page.locator("header.top")).to_be_visible()

    async def test_a_refresh_moves_nothing_announces_what_is_new_and_keeps_the_selection(
        self, site: Site, open_page: OpenPage
    ) -> None:
        first = await a_case(site.database, "first")
        page = await open_page("sam.ortega")
        await page.clock.install()
        await page.goto("/console/queue")
        box = page.get_by_label(f"Select case {first}")
        await box.check()
        before = await page.locator(f"#case-{first}").bounding_box()
        second = await a_case(site.database, "second")
        await page.clock.fast_forward(16_000)
        news = page.get_by_role("link", name="1 new case: show it")
        await expect(news).to_be_visible()
        await expect(page.locator(".case-row")).to_have_count(1)
        assert await page.locator(f"#case-{first}").bounding_box() == before
        await news.click()
        await expect(page.locator(f"#case-{second}")).to_be_visible()
        await expect(box).to_be_checked()
        await expect(news).to_have_count(0)

    async def test_the_keys_move_select_and_open(self, site: Site, open_page: OpenPage) -> None:
        for subject in ("one", "two"):
            await a_case(site.database, subject)
        page = await open_page("sam.ortega")
        await page.goto("/console/queue")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        row = page.locator(".case-row").nth(1)
        await expect(row.get_by_role("checkbox")).to_be_checked()
        await page.keyboard.press("o")
        await expect(page).to_have_url(re.compile(r"/console/cases/\d+\?tab=all"))

    async def test_letters_typed_into_a_field_stay_letters(self, site: Site, open_page: OpenPage) -> None:
        await a_case(site.database, "one")
        page = await open_page("sam.ortega")
        await page.goto("/console/queue?text=o")
        await page.get_by_label("Search cases").press_sequentially("xj")
        await expect(page.get_by_label("Search cases")).to_have_value("xjo")
        await expect(page.locator(".case-row input:checked")).to_have_count(0)


class TestEveryPage:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    async def test_no_page_is_wider_than_a_phone_or_misses_a_heading(
        self, site: Site, open_page: OpenPage, scheme: str
    ) -> None:
        journey_id, case_id = await site.failed_order("W-1")
        page = await open_page("sam.ortega", viewport=PHONE, color_scheme=scheme)
        for path in (
            "/", "/console/queue", f"/console/cases/{case_id}", "/console/journeys", f"/console/journeys/{journey_id}",
            "/console/stock", "/console/stock?location=S1&sku=APPLE", "/console/approvals", "/console/refunds",
        ):  # fmt: skip
            await page.goto(path)
            await expect(page.locator("h1")).to_have_count(1)
            box = await page.locator("html").evaluate("page => [page.scrollWidth, page.clientWidth]")
            assert box[0] <= box[1], path
        await page.goto("/console/stock")
        await expect(page.get_by_label("SKU")).to_be_hidden()  # what is looked for comes first, not the filters
        await page.locator("summary", has_text="Filters").click()
        await expect(page.get_by_label("SKU")).to_be_visible()
        await page.set_viewport_size({"width": 1280, "height": 800})
        await page.goto("/console/stock")
        await expect(page.get_by_label("SKU")).to_be_visible()
        await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
        await page.goto(f"/console/cases/{case_id}")
        claim = page.get_by_role("button", name="Claim", exact=True)
        await expect(claim).to_be_in_viewport()  # below the thumb, however long the case is
        await page.get_by_role("heading", name="Runbook").scroll_into_view_if_needed()
        await expect(claim).to_be_in_viewport()
        await claim.click()
        await expect(page.get_by_text("You, since")).to_be_visible()
        await expect(claim).to_have_count(0)
        await page.locator(".option").first.scroll_into_view_if_needed()
        await expect(page.get_by_role("button", name="Decide", exact=True)).to_be_in_viewport()

    async def test_with_the_cdn_blocked_everything_still_works(
        self, site: Site, new_context: NewContext, open_page: OpenPage
    ) -> None:
        case_id = await a_case(site.database, "S1/APPLE")
        context = await new_context(base_url=site.url)
        await context.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(status=404, body=""))
        page = await open_page("sam.ortega", context=context)
        await page.goto("/console/queue")
        await page.get_by_role("button", name=f"Claim case {case_id}").click()
        await expect(page.get_by_text("You, since")).to_be_visible()
