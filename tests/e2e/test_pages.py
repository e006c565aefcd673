"""Every page as people meet it: readable for a screen reader, on a phone, in the dark; the eye led to what was said."""

import re

import pytest
from playwright.async_api import expect

from ledger import tables
from tests.browser import NewContext
from tests.e2e.axe import by_day_and_night
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_console import PHONE, choose, link_of
from tests.web.people import PASSWORD, email_of
from tests.web.retail import a_case

pytestmark = [pytest.mark.browser]
DESK = {"width": 1280, "height": 800}
# Pages of more than one look; that there is none without any is seen to by test_every_page.py.
PAGES = (
    "/console/queue?tab=mine",
    "/console/queue?kind=pick_short&bogus=1",
    "/console/approvals?view=pending",
    "/console/journeys?state=collected",
    "/console/stock?location=S1&sku=APPLE",
    "/console/figures?by=location",
    "/console/cases/999999",
)


NOT_GOOD = """<!doctype html><html lang="en"><title>Not good</title><style>body { background: #fff; color: #000 }
@media (prefers-color-scheme: dark) { body { background: #000; color: #333 } }</style>
<main><h1>Words that nobody reads by night</h1><img src="data:,"></main>"""


async def test_what_looks_for_mistakes_finds_them_by_day_and_by_night(new_context: NewContext) -> None:
    page = await (await new_context()).new_page()
    await page.set_content(NOT_GOOD)
    said = sorted(one.partition(":")[0] for one in await by_day_and_night(page))
    assert said == ["dark, color-contrast", "image-alt"]


class TestEveryPage:
    @pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
    async def test_nothing_is_out_of_reach(self, site: Site, open_page: OpenPage, viewport: dict[str, int]) -> None:
        journey_id, case_id = await site.failed_order("W-1", unit_price_minor=2500)
        long_words = "Unpronounceable" * 8
        await a_case(site.database, f"pos|unknown_sku|{long_words}", sku="")
        sam = await open_page("sam.ortega", viewport=viewport)
        await sam.goto(f"/console/cases/{case_id}")
        found = {f"case {case_id}": await by_day_and_night(sam)}
        await choose(sam, "cancel_refund")
        approval_id = await site.ask_approval(journey_id)
        link = await link_of(site, approval_id)
        stranger = await open_page(viewport=viewport)
        for path in ("/sign-in", link, f"{link}x"):
            await stranger.goto(path)
            found[path] = await by_day_and_night(stranger)
        # A page of its own: the one above may be about to follow what became of its decision.
        sam = await open_page(context=sam.context)
        for path in (
            *PAGES,
            f"/console/cases/{case_id}",
            f"/console/approvals/{approval_id}",
            f"/console/journeys/{journey_id}",
        ):
            await sam.goto(path)
            found[path] = await by_day_and_night(sam)
        assert {path: said for path, said in found.items() if said} == {}


class TestAnswers:
    """After an answer that replaces part of the page, the eye and the focus are where it says something."""

    async def test_a_refusal_far_up_is_brought_into_view_and_focused(
        self, site: Site, open_page: OpenPage, with_script: bool
    ) -> None:
        _, case_id = await site.failed_order("W-1")
        page = await open_page("sam.ortega", java_script_enabled=with_script, viewport={"width": 1280, "height": 500})
        await page.goto(f"/console/cases/{case_id}")
        await page.locator('input[name="option"][value^="other_store"]').check()
        await page.get_by_role("button", name="Decide").click()
        await expect(page.get_by_role("alert")).to_be_in_viewport()
        await expect(page.get_by_role("alert")).to_contain_text("needs your word")
        if with_script:
            await expect(page.get_by_role("alert")).to_be_focused()
        await expect(page.locator('input[name="option"][value^="other_store"]')).to_be_checked()

    async def test_a_list_that_refreshes_itself_leaves_the_focus_where_it_is(
        self, site: Site, open_page: OpenPage
    ) -> None:
        first = await a_case(site.database, "first")
        page = await open_page("sam.ortega")
        await page.clock.install()
        await page.goto("/console/queue")
        await page.keyboard.press("j")
        link = page.locator(f"#case-{first} h2 a")
        await expect(link).to_be_focused()
        second = await a_case(site.database, "second")
        await page.clock.fast_forward(16_000)
        news = page.get_by_role("link", name="1 new case: show it")
        await expect(news).to_be_visible()
        await expect(link).to_be_focused()
        await news.click()
        await expect(page.locator(f"#case-{second}")).to_be_visible()
        await page.keyboard.press("j")
        await page.keyboard.press("k")
        await page.keyboard.press("x")
        await expect(page.get_by_label(f"Select case {first}")).to_be_checked()
        await page.keyboard.press("j")
        await expect(page.locator(f"#case-{second} h2 a")).to_be_focused()

    async def test_a_comment_that_was_taken_does_not_come_back(self, site: Site, open_page: OpenPage) -> None:
        case_id = await a_case(site.database, "S1/APPLE")
        page = await open_page("sam.ortega")
        await page.goto(f"/console/cases/{case_id}")
        await page.get_by_label("Comment").fill("counted")
        await page.get_by_role("button", name="Add comment").click()
        await expect(page.locator(".comment", has_text="counted")).to_be_visible()
        await page.get_by_label("Note (optional)").fill("half a thought")
        await page.get_by_role("button", name="Claim", exact=True).click()
        await expect(page.get_by_text("You, since")).to_be_visible()
        await expect(page.get_by_label("Note (optional)")).to_have_value("half a thought")
        await expect(page.get_by_label("Comment")).to_have_value("")
        await page.reload()
        await expect(page.get_by_label("Note (optional)")).to_have_value("half a thought")
        await expect(page.get_by_label("Comment")).to_have_value("")
        assert [row["kind"] for row in await site.table(tables.case_event)].count("comment") == 1

    async def test_on_a_shared_device_nobody_finds_what_somebody_else_had_typed(
        self, site: Site, open_page: OpenPage
    ) -> None:
        case_id = await a_case(site.database, "S1/APPLE")
        page = await open_page("sam.ortega")
        note = page.get_by_label("Note (optional)")
        await page.goto(f"/console/cases/{case_id}")
        await note.fill("half a thought")
        for person, there in (("ana.ruiz", ""), ("sam.ortega", "half a thought")):
            await page.context.clear_cookies()  # the session ends, and somebody signs in on the same device
            await page.goto("/sign-in")
            await page.get_by_label("Mail address").fill(email_of(person))
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(site.url + "/")
            await page.goto(f"/console/cases/{case_id}")
            await expect(note).to_have_value(there)


class TestKeys:
    async def test_search_and_help_are_one_key_away(self, site: Site, open_page: OpenPage) -> None:
        page = await open_page("sam.ortega")
        await page.goto("/console/queue")
        await page.keyboard.press("/")
        await expect(page.get_by_label("Search cases")).to_be_focused()
        await page.keyboard.type("?")  # inside a field a key only writes
        await expect(page.get_by_label("Search cases")).to_have_value("?")
        await page.get_by_role("heading", name="Cases").click()
        await page.keyboard.press("?")
        await expect(page).to_have_url(f"{site.url}/console/help")

    async def test_the_switch_turns_them_off_for_this_browser(self, site: Site, open_page: OpenPage) -> None:
        await a_case(site.database, "first")
        page = await open_page("sam.ortega")
        await page.goto("/console/help")
        await page.get_by_role("button", name="Switch the keys off").click()
        await expect(page.get_by_role("status").filter(has_text="off in this browser")).to_be_visible()
        await page.goto("/console/queue")
        await page.keyboard.press("j")
        await expect(page.locator(".case-row.on")).to_have_count(0)
        await page.goto("/console/help")
        await page.get_by_role("button", name="Switch the keys on").click()
        await expect(page.get_by_role("status").filter(has_text="The keys are on")).to_be_visible()
        await page.goto("/console/queue")
        await page.keyboard.press("j")
        await expect(page.locator(".case-row.on")).to_have_count(1)

    async def test_without_a_script_there_is_no_switch(self, site: Site, open_page: OpenPage) -> None:
        page = await open_page("sam.ortega", java_script_enabled=False)
        await page.goto("/console/help")
        await expect(page.get_by_role("button", name=re.compile("Switch the keys"))).to_have_count(0)


class TestPaper:
    async def test_a_printed_case_shows_its_ways_out_and_nothing_to_press(
        self, site: Site, open_page: OpenPage
    ) -> None:
        _, case_id = await site.failed_order("W-1")
        page = await open_page("sam.ortega")
        await page.goto(f"/console/cases/{case_id}")
        await page.emulate_media(media="print")
        await expect(page.locator(".option .name").first).to_be_visible()
        for pressed in await page.locator("button, textarea, input:not([type=hidden]), nav").all():
            await expect(pressed).to_be_hidden()
