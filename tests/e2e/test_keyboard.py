"""A morning of exceptions without a mouse: twenty cases of every kind, decided by key one after the other."""

import re
from collections import Counter

import pytest
from playwright.async_api import Page, expect

from ledger import tables
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.twenty import KINDS, open_twenty

pytestmark = [pytest.mark.browser]


async def decide(page: Page) -> str:
    """Choose the first way out that may be chosen, by its number, say what it asks for, confirm. Returns its label."""
    box = page.locator(".option").filter(has=page.locator("input[data-option]:enabled")).first
    number = await box.locator("input[data-option]").get_attribute("data-option")
    label = await box.locator(".name").inner_text()
    asked = await box.locator("input[type=checkbox], select").count()
    lists = await box.locator("select").count()
    await expect(page.locator("input[name=option]:checked")).to_have_count(0)
    await page.keyboard.press(str(number))
    await expect(box.locator("input[data-option]")).to_be_checked()
    for place in range(asked):
        await page.keyboard.press("Enter")  # not sent: it goes to what is still to be said
        field = box.locator("input[type=checkbox], select").nth(place)
        await expect(field).to_be_focused()
        await page.keyboard.press("Space" if place >= lists else "ArrowDown")
    await page.keyboard.press("Enter")
    return label


async def test_twenty_mixed_cases_are_decided_by_keys_alone(site: Site, open_page: OpenPage) -> None:
    cases = await open_twenty(site)
    assert Counter(cases.values()) == Counter(KINDS)
    page = await open_page("sam.ortega")
    await page.goto("/console/queue?tab=unassigned")
    await expect(page.locator(".case-row").first).to_be_visible()
    await page.keyboard.press("j")
    await expect(page.locator(".case-row.on")).to_have_count(1)
    await page.keyboard.press("o")
    decided: list[int] = []
    while len(decided) < len(cases):
        await expect(page.locator(".crumbs a[data-key=n]")).to_be_visible()
        found = re.search(r"/console/cases/(\d+)\?", page.url)
        assert found is not None, page.url
        label = await decide(page)
        decided.append(int(found[1]))
        # The page after a decision says what was decided just before.
        await expect(page).to_have_url(re.compile(rf"after={found[1]}(&|$)"))
        await expect(page.locator("#decided")).to_contain_text(label)
    await expect(page.get_by_text("That was the end of this view.")).to_be_visible()
    assert sorted(decided) == sorted(cases)
    made = {row["case_id"]: row["decided_by"] for row in await site.table(tables.case_decision)}
    assert made == dict.fromkeys(cases, "sam.ortega")
