"""Open pages hear of changes: two people at one queue, a page without a stream, a session that has ended."""

import re

from playwright.async_api import expect

from tests.e2e.conftest import OpenPage, Site, accounts, open_page, retailer, settings, site
from tests.web.retail import a_case

__all__ = ["accounts", "open_page", "retailer", "settings", "site"]
HEARS = re.compile("yes")


async def test_a_claim_is_seen_by_others_at_once_and_their_selection_stays(site: Site, open_page: OpenPage) -> None:
    first, second = await a_case(site.database, "first"), await a_case(site.database, "second")
    ana, sam = await open_page("ana.ruiz"), await open_page("sam.ortega")
    await sam.goto("/console/queue")
    await expect(sam.locator("body")).to_have_attribute("data-hears", HEARS)
    box = sam.get_by_label(f"Select case {second}")
    await box.check()
    row = sam.locator(f"#case-{first}")
    await expect(row).to_contain_text("unclaimed")
    await sam.locator(f"#case-{second} h2 a").focus()
    await ana.goto(f"/console/cases/{first}")
    await ana.get_by_role("button", name="Claim").first.click()
    await expect(ana.get_by_text("You, since")).to_be_visible()
    await expect(row).to_contain_text("Ana Ruiz")  # nobody has touched Sam's page
    await expect(box).to_be_checked()
    await expect(sam.locator(f"#case-{second} h2 a")).to_be_focused()
    assert [await one.get_attribute("id") for one in await sam.locator(".case-row").all()] == [
        f"case-{first}", f"case-{second}",
    ]  # fmt: skip
    # Ana's own page has no news: it did this itself. Sam's page of the case has.
    await sam.goto(f"/console/cases/{first}")
    await expect(sam.locator("body")).to_have_attribute("data-hears", HEARS)
    news = sam.get_by_role("link", name="This case has changed: show it")
    await expect(news).to_have_count(0)
    await ana.get_by_label("Comment").fill("counted")
    await ana.get_by_role("button", name="Add comment").click()
    await expect(ana.locator(".comment", has_text="counted")).to_be_visible()
    await ana.get_by_role("button", name="Release").click()
    await expect(news).to_be_visible()
    await expect(ana.get_by_role("link", name="This case has changed: show it")).to_have_count(0)
    await news.click()
    await expect(sam.locator(".comment", has_text="counted")).to_be_visible()


async def test_a_row_that_has_changed_is_asked_for_alone_and_with_the_list_where_it_does_not_come(
    site: Site, open_page: OpenPage
) -> None:
    first, second = await a_case(site.database, "first"), await a_case(site.database, "second")
    ana, sam = await open_page("ana.ruiz"), await open_page("sam.ortega")
    asked: list[str] = []
    sam.on("request", lambda request: asked.append(request.url))
    # The first page of all cannot know what was told before it: it looks once.
    async with sam.expect_response(re.compile("[?&]shown="), timeout=90_000):
        await sam.goto("/console/queue")
    await expect(sam.locator("body")).to_have_attribute("data-hears", HEARS)
    await ana.goto(f"/console/cases/{first}")
    await ana.get_by_role("button", name="Claim").first.click()
    await expect(sam.locator(f"#case-{first}")).to_contain_text("Ana Ruiz")
    assert any(url.endswith(f"/console/queue?tab=all&row={first}") for url in asked), [
        url for url in asked if "queue" in url
    ]
    await sam.route(re.compile(r"[?&]row="), lambda route: route.fulfill(body="", content_type="text/html"))
    await ana.goto(f"/console/cases/{second}")
    await ana.get_by_role("button", name="Claim").first.click()
    await expect(sam.locator(f"#case-{second}")).to_contain_text("Ana Ruiz")  # by the list
    assert [await one.get_attribute("id") for one in await sam.locator(".case-row").all()] == [
        f"case-{first}", f"case-{second}",
    ]  # fmt: skip


async def test_a_browser_without_streams_looks_by_itself(site: Site, open_page: OpenPage) -> None:
    first = await a_case(site.database, "first")
    page = await open_page("sam.ortega")
    await page.add_init_script("delete window.EventSource")
    await page.clock.install()
    await page.goto("/console/queue")
    await expect(page.locator(f"#case-{first}")).to_be_visible()
    await a_case(site.database, "second")
    await page.clock.fast_forward(16_000)
    await expect(page.get_by_role("link", name="1 new case: show it")).to_be_visible()
    await expect(page.locator("body")).not_to_have_attribute("data-hears", HEARS)


async def test_a_session_that_has_ended_elsewhere_is_said_on_the_open_page(site: Site, open_page: OpenPage) -> None:
    case_id = await a_case(site.database, "first")
    page = await open_page("sam.ortega")
    await page.goto(f"/console/cases/{case_id}")
    await expect(page.locator("body")).to_have_attribute("data-hears", HEARS)
    await page.get_by_label("Comment").fill("half a sentence")
    await page.context.request.post("/sign-out", headers={"Origin": site.url})
    again = page.get_by_role("link", name="You are signed out: sign in again")
    await expect(again).to_be_visible()
    await expect(page.get_by_label("Comment")).to_have_value("half a sentence")
    await again.click()
    await expect(page.get_by_label("Password")).to_be_visible()
