"""A comment that tells a colleague and begins with a canned reply, with a script and without."""

import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import OpenPage, Site


@pytest.mark.parametrize("with_script", [True, False], ids=["script", "plain"])
async def test_a_colleague_is_told_and_answers(site: Site, open_page: OpenPage, with_script: bool) -> None:
    _, case_id = await site.failed_order("W-1")
    sam = await open_page("sam.ortega", java_script_enabled=with_script)
    await sam.goto(f"/console/cases/{case_id}")
    comment = sam.get_by_role("textbox", name="Comment", exact=True)
    await comment.fill("Rang at nine.")
    await sam.get_by_text("Tell somebody").click()
    await sam.get_by_role("checkbox", name=re.compile("^Ana Ruiz")).check()
    await sam.get_by_label("Canned reply").select_option(label="Other store agreed")
    await sam.get_by_role("button", name="Insert").click()
    await expect(comment).to_have_value("Rang at nine.\nThe customer agrees to collect order W-1 elsewhere.")
    await expect(sam.get_by_role("checkbox", name=re.compile("^Ana Ruiz"))).to_be_checked()
    await sam.get_by_role("button", name="Add comment").click()
    await expect(sam.get_by_text("Told: Ana Ruiz")).to_be_visible()
    await expect(comment).to_have_value("")

    ana = await open_page("ana.ruiz", java_script_enabled=with_script)
    await ana.goto("/")
    await ana.get_by_role("link", name=re.compile("comment waits for you")).click()
    await expect(ana.locator(f"#case-{case_id}")).to_be_visible()
    await ana.goto(f"/console/cases/{case_id}")
    await expect(ana.get_by_role("heading", name="You are mentioned")).to_be_visible()
    await ana.get_by_role("textbox", name="Comment", exact=True).fill("Then I send it there.")
    await ana.get_by_role("button", name="Add comment").click()
    await expect(ana.get_by_text("Then I send it there.")).to_be_visible()
    await expect(ana.get_by_role("heading", name="You are mentioned")).to_have_count(0)
