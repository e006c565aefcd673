"""A network that goes away between two presses, as in a back room: the page says so and keeps what was typed."""

from playwright.async_api import Page, expect

from tests.browser import NewContext
from tests.e2e.conftest import Site, accounts, retailer, settings, site
from tests.web.people import PASSWORD, email_of
from tests.web.retail import a_case

__all__ = ["accounts", "retailer", "settings", "site"]
SAID = "No answer came; the network may be gone."


async def signed_in(site: Site, new_context: NewContext) -> Page:
    page = await (await new_context(base_url=site.url)).new_page()
    await page.goto("/sign-in")
    await page.get_by_label("Mail address").fill(email_of("sam.ortega"))
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(site.url + "/")
    return page


async def test_a_form_without_an_answer_says_so_stays_and_is_sent_when_it_is_back(
    site: Site, new_context: NewContext
) -> None:
    case_id = await a_case(site.database, "first")
    page = await signed_in(site, new_context)
    await page.goto(f"/console/cases/{case_id}")
    await page.get_by_label("Comment").fill("The line was busy.")
    await page.context.set_offline(True)
    for _ in range(2):  # the second press says it once, too
        await page.get_by_role("button", name="Add comment").click()
        await expect(page.get_by_role("alert").filter(has_text=SAID)).to_be_focused()
    await expect(page.get_by_label("Comment")).to_have_value("The line was busy.")
    await page.context.set_offline(False)
    await page.get_by_role("button", name="Add comment").click()
    await expect(page.locator(".comment", has_text="The line was busy.")).to_have_count(1)
    await expect(page.get_by_text(SAID)).to_have_count(0)
    await expect(page.get_by_label("Comment")).to_have_value("")


async def test_a_list_that_cannot_refresh_itself_interrupts_nobody(site: Site, new_context: NewContext) -> None:
    await a_case(site.database, "first")
    page = await signed_in(site, new_context)
    await page.goto("/console/queue")
    await page.context.set_offline(True)
    async with page.expect_event("requestfailed"):
        await page.locator("#list").dispatch_event("refresh")
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    await expect(page.get_by_text(SAID)).to_have_count(0)
