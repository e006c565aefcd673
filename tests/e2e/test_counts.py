"""A count in a browser: on a phone, with and without a script, blind, saved line by line, taken over, handed in."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.axe import violations
from tests.e2e.conftest import OpenPage
from tests.e2e.test_console import PHONE

pytestmark = [pytest.mark.browser]


async def test_counted_on_a_phone_and_taken_over_by_another(open_page: OpenPage, *, with_script: bool) -> None:
    ana = await open_page("ana.ruiz", java_script_enabled=with_script, viewport=PHONE)
    await ana.goto("/console/counts")
    await ana.get_by_role("combobox", name="Place").last.select_option("S1")
    await ana.get_by_label(re.compile("SKUs")).fill("APPLE BREAD")
    await ana.get_by_role("button", name="Open a count").click()
    await ana.get_by_role("link", name="Open the sheet").click()
    await expect(ana.get_by_text("2 left.")).to_be_visible()
    assert " 10" not in await ana.locator("main").inner_text()
    apple = ana.locator("li", has_text="Apple")
    await apple.get_by_role("textbox").fill("10")
    await apple.get_by_role("button", name="Save").click()
    await expect(apple.get_by_text(re.compile("^saved"))).to_be_visible()
    await expect(apple.get_by_role("textbox")).to_have_value("10")

    sam = await open_page("sam.ortega", java_script_enabled=with_script, viewport=PHONE)
    await sam.goto(ana.url.split("#")[0])
    bread = sam.locator("li", has_text="Bread")
    await bread.get_by_role("textbox").fill("3")
    await bread.get_by_role("button", name="Save").click()
    await expect(sam.get_by_role("alert")).to_contain_text("counts this on another device")
    await sam.get_by_role("button", name="Count on this device from here on").click()
    await expect(sam.get_by_text("1 left.")).to_be_visible()
    await expect(sam.get_by_role("alert")).to_have_count(0)
    await expect(bread.get_by_role("textbox")).to_have_value("")
    await bread.get_by_role("textbox").fill("3")
    await bread.get_by_role("button", name="Save").click()
    await expect(sam.get_by_text("Every line has a figure.")).to_be_visible()
    await sam.get_by_role("button", name="Hand the count in").click()
    await expect(sam.get_by_text("Counted: 2 of 2.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_its_pages_are_readable_by_everybody(open_page: OpenPage, scheme: str) -> None:
    page = await open_page("ana.ruiz", viewport=PHONE, color_scheme=scheme)
    await page.goto("/console/counts")
    assert await violations(page) == []
    await page.get_by_role("combobox", name="Place").last.select_option("S1")
    await page.get_by_role("button", name="Open a count").click()
    await expect(page.get_by_role("link", name="Open the sheet")).to_be_visible()
    assert await violations(page) == []
    await page.get_by_role("link", name="Open the sheet").click()
    await expect(page.get_by_role("button", name="Save").first).to_be_visible()
    assert await violations(page) == []
