"""What axe finds wrong with a page. Its script is given to each document once, however often it is asked, and only what
is wrong is described: to name every element that is right takes longer than to look.
"""

from typing import Any

from axe_playwright_python.base import AXE_SCRIPT  # type: ignore[import-untyped]
from playwright.async_api import Page

WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
IN_THE_DARK = ("color-contrast",)  # of the rest nothing depends on colours
_THERE = "typeof axe === 'object'"
_RUN = "options => axe.run(options).then(found => found.violations)"
SETTLED = """Promise.all(document.getAnimations()
    .filter(one => one instanceof CSSTransition).map(one => one.finished.catch(() => null)))"""


async def wrong(page: Page, rules: tuple[str, ...] = WCAG) -> list[str]:
    """Each element that breaks one of the rules, or a rule with one of these tags."""
    if not await page.evaluate(_THERE):
        await page.evaluate(AXE_SCRIPT)
    options = {"runOnly": list(rules), "resultTypes": ["violations"]}
    found: list[dict[str, Any]] = await page.evaluate(_RUN, options)
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


async def violations(page: Page) -> list[str]:
    """What axe finds wrong with a page, and whether it is wider than its window."""
    await page.wait_for_load_state("load")  # a page that is still arriving has no headings yet
    await page.evaluate(SETTLED)  # one that turns dark has the colours of neither for a moment
    said = await wrong(page)
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return [*said, *(["wider than the window"] if wide else [])]


async def by_day_and_night(page: Page) -> list[str]:
    """The same in light, and whether it can be read in the dark, too. The page stays light.

    Colours change at once: what is folded away would never end its transition.
    """
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    said = await violations(page)
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    said += [f"dark, {one}" for one in await wrong(page, IN_THE_DARK)]
    await page.emulate_media(color_scheme="light", reduced_motion="reduce")
    return said
