"""A morning of exceptions without a mouse: twenty cases of every kind, decided by key one after the other."""

import re
from collections import Counter
from datetime import timedelta

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import insert

from domain.case import SEVERITIES
from ledger import tables
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.twenty import KINDS, open_twenty
from tests.web.retail import NOW, a_case

pytestmark = [pytest.mark.browser]


async def ready(page: Page) -> None:
    """The page of a case has arrived, and its keys are listened to."""
    await expect(page.locator(".crumbs a[data-key=n]")).to_be_visible()
    await expect(page.locator("html[data-keys=ready]")).to_have_count(1)


async def decide(page: Page) -> str:
    """Choose the first way out that may be chosen, by its number, say what it asks for, confirm. Returns its label."""
    await ready(page)
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
        await ready(page)
        found = re.search(r"/console/cases/(\d+)\?", page.url)
        assert found is not None, page.url
        label = await decide(page)
        decided.append(int(found[1]))
        # The page after a decision says what was decided just before.
        await expect(page).to_have_url(re.compile(rf"after={found[1]}&"))
        await expect(page.locator("#decided")).to_contain_text(label)
    await expect(page.get_by_text("That was the end of this view.")).to_be_visible()
    assert sorted(decided) == sorted(cases)
    made = {row["case_id"]: row["decided_by"] for row in await site.table(tables.case_decision)}
    assert made == dict.fromkeys(cases, "sam.ortega")


async def test_a_decision_is_undone_and_a_case_put_aside_by_key(site: Site, open_page: OpenPage) -> None:
    body = {"cases": {"undo_s": dict.fromkeys(SEVERITIES, 3600)}}
    async with site.database.engine.begin() as conn:
        row = {"version": "an-hour", "effective_from": NOW - timedelta(days=1), "body": body}
        await conn.execute(insert(tables.policy_document).values(**row))
    first, second = [await a_case(site.database, subject) for subject in ("one", "two")]
    page = await open_page("sam.ortega")
    await page.goto(f"/console/cases/{first}?tab=all")
    await decide(page)
    await expect(page).to_have_url(re.compile(rf"/console/cases/{second}\?tab=all&after={first}&at="))
    await expect(page.locator("#decided")).to_contain_text("applies")
    await ready(page)
    await page.keyboard.press("u")
    await expect(page).to_have_url(re.compile(rf"/console/cases/{first}\?tab=all"))
    await expect(page.get_by_role("heading", name="Undone: Nothing to do")).to_be_visible()
    await ready(page)
    await page.keyboard.press("w")
    await expect(page.get_by_label("For what")).to_be_focused()
    await page.keyboard.type("the store counts it")
    await page.keyboard.press("Tab")
    await page.keyboard.type("4 h")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text(": the store counts it")).to_be_visible()
    states = {row["id"]: row["state"] for row in await site.table(tables.case_file)}
    assert states == {first: "waiting", second: "open"}


async def test_of_two_people_at_one_case_the_second_is_told_and_goes_on(site: Site, open_page: OpenPage) -> None:
    _, first = await site.failed_order("W-1")
    _, second = await site.failed_order("W-2")
    sam, ana = await open_page("sam.ortega"), await open_page("ana.ruiz")
    for page in (sam, ana):
        await page.goto("/console/queue")
        await page.locator(f"#case-{first} h2 a").click()
        await ready(page)
    await ana.get_by_label("Note (optional)").fill("called the customer")
    await decide(sam)
    await expect(sam.locator("#decided")).to_contain_text(f"Case {first}")
    await ana.locator("#ways").click()  # out of the field, where keys only write
    await decide(ana)
    await expect(ana.get_by_role("alert")).to_contain_text("being applied already")
    await ana.keyboard.press("n")
    await expect(ana).to_have_url(re.compile(rf"/console/cases/{second}\?tab=all"))
    made = [(row["case_id"], row["decided_by"]) for row in await site.table(tables.case_decision)]
    assert made == [(first, "sam.ortega")]
