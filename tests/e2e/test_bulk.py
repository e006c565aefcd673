"""Several cases at once in a browser: tick, look, choose, call off; readable on a phone and in the dark."""

import re
from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from domain.messages import Step
from ledger import bulk
from tests.e2e.axe import violations
from tests.e2e.conftest import OpenPage, Site
from tests.e2e.test_console import PHONE

pytestmark = [pytest.mark.browser]


async def test_ticked_cases_are_decided_after_a_look_at_what_it_would_do(
    site: Site, open_page: OpenPage, with_script: bool
) -> None:
    cases = [(await site.failed_order(f"W-{number}"))[1] for number in range(2)]
    page = await open_page("sam.ortega", java_script_enabled=with_script)
    await page.goto("/console/queue")
    # One row stands for both, which have one cause; unfolded, each can be ticked.
    await expect(page.locator(".case-row")).to_have_count(1)
    await page.get_by_text("2 cases of one cause").click()
    for case_id in cases:
        await page.get_by_label(f"Select case {case_id}").check()
    await page.get_by_role("button", name="Decide selected").click()
    await expect(page.get_by_role("heading", name="Decide 2 cases at once")).to_be_visible()
    await expect(page.locator("input[name=option]:checked")).to_have_count(0)
    await page.locator("input[name=option][value=cancel_refund]").check()
    await page.get_by_role("button", name="Decide for all that it fits").click()
    await expect(page.get_by_text("Nothing has happened yet")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/console/bulk/\d+$"))
    number = int(page.url.rsplit("/", 1)[1])
    await bulk.on_due(site.database, Step(subject=str(number), occurrence="1", at=datetime.now(UTC)))
    if with_script:
        await expect(page.get_by_text("2 decided")).to_be_visible()  # by itself
        await expect(page.get_by_role("button", name="Stop; leave the rest")).to_have_count(0)
    else:
        await page.get_by_role("link", name="Look again").click()
        await expect(page.get_by_text("2 decided")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_within_reach_on_a_phone_and_can_be_called_off(
    site: Site, open_page: OpenPage, scheme: str
) -> None:
    cases = [(await site.failed_order(f"W-{number}"))[1] for number in range(2)]
    page = await open_page("sam.ortega", viewport=PHONE, color_scheme=scheme)
    await page.goto("/console/queue")
    await page.get_by_text("2 cases of one cause").click()
    await expect(page.get_by_role("button", name="Decide the 2 together")).to_be_visible()
    assert await violations(page) == []
    await page.goto(f"/console/cases/{cases[0]}")
    await page.get_by_role("link", name="All of them").click()
    await expect(page.get_by_role("heading", name="2 open")).to_be_visible()
    assert await violations(page) == []
    await page.goto(f"/console/cases/{cases[0]}")
    await page.get_by_role("button", name="Decide them together").click()
    await expect(page.get_by_role("heading", name="Decide 2 cases at once")).to_be_visible()
    assert await violations(page) == []
    await page.locator("input[name=option][value=cancel_refund]").check()
    await page.get_by_role("button", name="Decide for all that it fits").click()
    await expect(page.get_by_text("Nothing has happened yet")).to_be_visible()
    assert await violations(page) == []
    await page.get_by_role("button", name="Call it off").click()
    await expect(page.get_by_text("2 left alone")).to_be_visible()
