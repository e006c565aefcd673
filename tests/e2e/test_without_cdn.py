"""The console where the CDN gives no htmx: refused by a firewall, or never answered. Everything is done without it, and
nothing says otherwise.
"""

import asyncio
import re

from playwright.async_api import BrowserContext, Page, Route, expect

from settings import CDN
from tests.browser import NewContext
from tests.e2e.conftest import OpenPage, Site, accounts, open_page, retailer, settings, site
from tests.web.people import PASSWORD, email_of
from tests.web.retail import a_case

__all__ = ["accounts", "open_page", "retailer", "settings", "site"]
CHANGED = "Cases have changed: show them"


async def refused(site: Site, new_context: NewContext) -> BrowserContext:
    """A browser behind a firewall that refuses the CDN."""
    context = await new_context(base_url=site.url)
    await context.route(f"{CDN}/**", lambda route: route.abort())
    return context


async def behind_it(site: Site, new_context: NewContext, person: str) -> Page:
    """Somebody signed in there."""
    page = await (await refused(site, new_context)).new_page()
    await page.goto("/sign-in")
    await page.get_by_label("Mail address").fill(email_of(person))
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(site.url + "/")
    return page


async def test_a_cdn_that_never_answers_holds_up_no_page(site: Site, new_context: NewContext) -> None:
    over = asyncio.Event()

    async def silence(route: Route) -> None:
        await over.wait()
        await route.abort()

    context = await new_context(base_url=site.url)
    await context.route(f"{CDN}/**", silence)
    page = await context.new_page()
    await page.goto("/sign-in", wait_until="domcontentloaded", timeout=20_000)
    await expect(page.get_by_label("Password")).to_be_visible()
    assert await page.evaluate("document.documentElement.dataset.keys") == "ready"  # our own scripts have run
    over.set()


async def test_a_comment_that_was_taken_is_not_offered_again(site: Site, new_context: NewContext) -> None:
    first, second = await a_case(site.database, "first"), await a_case(site.database, "second")
    page = await behind_it(site, new_context, "sam.ortega")
    await page.goto(f"/console/cases/{second}")
    await page.get_by_label("Comment").fill("half a sentence")
    await page.goto(f"/console/cases/{first}")
    await page.get_by_label("Comment").fill("The line was busy.")
    await page.get_by_role("button", name="Add comment").click()
    await expect(page.locator(".comment", has_text="The line was busy.")).to_have_count(1)
    await expect(page.get_by_label("Comment")).to_have_value("")
    await page.goto(f"/console/cases/{second}")
    await expect(page.get_by_label("Comment")).to_have_value("half a sentence")  # which nobody has sent


async def test_a_queue_that_does_not_refresh_itself_says_so_and_tells_of_news(
    site: Site, new_context: NewContext, open_page: OpenPage
) -> None:
    case_id = await a_case(site.database, "first")
    sam, ana = await behind_it(site, new_context, "sam.ortega"), await open_page("ana.ruiz")
    await sam.goto("/console/queue")
    await expect(sam.get_by_text("refreshes by itself")).to_be_hidden()
    await expect(sam.locator("body")).to_have_attribute("data-hears", re.compile("yes"))
    await expect(sam.get_by_role("link", name=CHANGED)).to_have_count(0)
    await ana.goto("/console/queue")
    await expect(ana.get_by_text("refreshes by itself")).to_be_visible()
    await ana.goto(f"/console/cases/{case_id}")
    await ana.get_by_role("button", name="Claim").first.click()
    await sam.get_by_role("link", name=CHANGED).click()
    await expect(sam.locator(f"#case-{case_id}")).to_contain_text("Ana Ruiz")
    await expect(sam.get_by_role("link", name=CHANGED)).to_have_count(0)


async def test_where_it_refreshes_itself_nothing_is_to_be_pressed(site: Site, open_page: OpenPage) -> None:
    case_id = await a_case(site.database, "first")
    sam, ana = await open_page("sam.ortega"), await open_page("ana.ruiz")
    await sam.goto("/console/queue")
    await expect(sam.locator("body")).to_have_attribute("data-hears", re.compile("yes"))
    await ana.goto(f"/console/cases/{case_id}")
    await ana.get_by_role("button", name="Claim").first.click()
    await expect(sam.locator(f"#case-{case_id}")).to_contain_text("Ana Ruiz")
    await expect(sam.get_by_role("link", name=CHANGED)).to_have_count(0)


async def test_what_was_asked_for_is_not_asked_for_again_by_the_way_back(site: Site, new_context: NewContext) -> None:
    page = await behind_it(site, new_context, "sam.ortega")
    await page.goto("/console/transfers/new")
    await page.locator("select[name=from]").select_option("S1")
    await page.locator("select[name=to]").select_option("S2")
    await page.get_by_label("What goes").fill("APPLE 2")
    await page.get_by_role("button", name="Ask for it").click()
    await page.wait_for_url(re.compile("/console/journeys/transfer:"))
    await page.go_back()
    await expect(page.get_by_role("button", name="Ask for it")).to_be_visible()
    await expect(page.get_by_label("What goes")).to_have_value("")
    await expect(page.locator("select[name=from]")).to_have_value("")
