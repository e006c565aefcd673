"""Takes the pictures of the documents: `python docs/screenshots.py [folder of a running Endcap]`.

Signs in to a running demo by its `access.json`, as somebody of regional operations and as the managers of stores, opens
the link in a customer's mail, and writes `docs/screenshots/*.png`. It changes nothing but its own sessions: a decision
for several cases is shown as its preview, and not made. What the demo cannot show just now is named; its picture stays.
"""

import email
import email.policy
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).parent / "screenshots"
SIZES = {"desk": ViewportSize(width=1280, height=860), "phone": ViewportSize(width=390, height=844)}
# As `make browser` looks for one; the first is Debian's Chromium without windows.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LINK = re.compile(r"/c/[\w~.-]+")


@dataclass(frozen=True)
class Picture:
    """What is photographed: its file's name, who looks (a role; none: whoever has the link), how to get there, on what.

    `open` leads the page to it and says whether there is such a thing now.
    """

    name: str
    role: str | None
    open: Callable[[Page, dict[str, Any]], bool]
    sizes: tuple[str, ...] = ("desk",)
    schemes: tuple[Literal["light", "dark"], ...] = ("light",)

    def files(self) -> list[str]:
        return [f"{self.name}-{size}-{scheme}.png" for size in self.sizes for scheme in self.schemes]


def at(address: str) -> Callable[[Page, dict[str, Any]], bool]:
    def go(page: Page, access: dict[str, Any]) -> bool:
        page.goto(access["base_url"] + address)
        return True

    return go


def first(address: str, link: str, *others: str) -> Callable[[Page, dict[str, Any]], bool]:
    """The first thing of a list: the page behind the first `link` (CSS) of the page at `address`, or, where that list
    is empty, of the first of the `others` that is not.
    """

    def go(page: Page, access: dict[str, Any]) -> bool:
        for one in (address, *others):
            page.goto(access["base_url"] + one)
            found = page.locator(link)
            if found.count():
                page.goto(access["base_url"] + (found.first.get_attribute("href") or ""))
                return True
        return False

    return go


def preview(page: Page, access: dict[str, Any]) -> bool:
    """Three cases of one kind, as they would be decided together."""
    page.goto(access["base_url"] + "/console/queue?kind=reservation_failure")
    boxes = page.get_by_role("checkbox", name="Select case")
    for number in range(min(3, boxes.count())):
        boxes.nth(number).check()
    page.get_by_role("button", name="Decide selected").click()
    return boxes.count() == 0


def asked(page: Page, access: dict[str, Any]) -> bool:
    """The page behind the newest mail that asks a customer something; else of the newest with a link."""
    letters: list[tuple[bool, int, str]] = []
    for file in sorted(Path(access["mailbox"]).glob("*.eml"), reverse=True):
        letter = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        body = letter.get_body(("plain",))
        link = LINK.search(body.get_content()) if body is not None else None
        if link is not None:
            letters.append((" is ready " in letter["Subject"], len(letters), link.group()))
    if not letters:
        return False
    page.goto(access["base_url"] + min(letters)[2])
    return True


def busy_store(page: Page, access: dict[str, Any]) -> bool:
    """The first page of a store where something is to be picked."""
    page.goto(access["base_url"] + "/store")
    return page.locator('.story[href*="/pick/"]').count() > 0


BOTH: tuple[str, ...] = ("desk", "phone")
PICTURES = (
    Picture("today", "regional_ops", at("/"), schemes=("light", "dark")),
    Picture("cases", "regional_ops", at("/console/queue"), BOTH, ("light", "dark")),
    Picture(
        "case",
        "regional_ops",
        first("/console/queue?kind=reservation_failure,pick_short,reservation_lost", ".case-row h2 a"),
        BOTH,
    ),
    Picture("bulk", "regional_ops", preview),
    Picture(
        "order",
        "regional_ops",
        first("/console/journeys?state=collected", 'tbody a[href^="/console/journeys/"]'),
    ),
    Picture(
        "transfer",
        "regional_ops",
        first(
            "/console/journeys?kind=transfer&state=discrepancy_review",
            'tbody a[href^="/console/journeys/transfer"]',
            "/console/journeys?kind=transfer&state=in_transit",
        ),
    ),
    Picture(
        "return",
        "regional_ops",
        first(
            "/console/journeys?kind=returns&state=closed",
            'tbody a[href^="/console/journeys/returns"]',
            "/console/journeys?kind=returns",
        ),
    ),
    Picture("promotions", "regional_ops", at("/console/promotions")),
    Picture(
        "promotion",
        "regional_ops",
        first("/console/promotions?state=active", 'tbody a[href^="/console/journeys/promotion"]'),
    ),
    Picture("prices", "regional_ops", first("/console/queue?kind=promo_price_conflict", ".case-row h2 a")),
    Picture("funding", "regional_ops", at("/console/funding")),
    Picture(
        "claim",
        "regional_ops",
        first(
            "/console/journeys?kind=claim&state=partially_settled,matched,disputed",
            'tbody a[href^="/console/journeys/claim"]',
            "/console/journeys?kind=claim",
        ),
    ),
    Picture("stock", "regional_ops", first("/console/stock", 'tbody a[href^="/console/stock?"]')),
    Picture("figures", "regional_ops", at("/console/figures")),
    Picture("owners", "regional_ops", at("/console/owners")),
    Picture("approvals", "regional_ops", at("/console/approvals?view=pending")),
    Picture("store", "store_manager", busy_store, ("phone",)),
    Picture("pick", "store_manager", first("/store", 'a[href*="/pick/"]'), ("phone",)),
    Picture("count", "store_manager", first("/console/counts", 'a[href$="/sheet"]'), ("phone",)),
    Picture("customer", None, asked, ("phone",)),
)


def sign_in(page: Page, access: dict[str, Any], account: dict[str, Any]) -> None:
    page.goto(f"{access['base_url']}/sign-in")
    page.get_by_label("Mail address").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: not address.endswith("/sign-in"))


def shoot(browser: Browser, access: dict[str, Any]) -> list[str]:
    """Takes every picture; returns the names of those for which nobody had anything to see."""
    missing = {picture.name: picture for picture in PICTURES}
    for account in (*access["accounts"], {"role": None}):
        wanted = [picture for picture in missing.values() if picture.role == account["role"]]
        if not wanted:
            continue
        # Without scripts: the pages are the same, and nothing is loaded from elsewhere.
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        if account["role"] is not None:
            sign_in(page, access, account)
        for picture in wanted:
            page.set_viewport_size(SIZES[picture.sizes[0]])
            if picture.open(page, access):
                take(page, picture)
                del missing[picture.name]
        context.close()
    return list(missing)


def take(page: Page, picture: Picture) -> None:
    for size in picture.sizes:
        for scheme in picture.schemes:
            page.set_viewport_size(SIZES[size])
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=FOLDER / f"{picture.name}-{size}-{scheme}.png", animations="disabled")
    page.emulate_media(color_scheme="light")


def main() -> None:
    home = Path(sys.argv[1] if len(sys.argv) > 1 else ".endcap")
    access = json.loads((home / "access.json").read_text())
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        sys.exit("Chromium is missing (Debian: apt-get install chromium)")
    FOLDER.mkdir(exist_ok=True)
    for old in set(FOLDER.glob("*.png")) - {FOLDER / name for picture in PICTURES for name in picture.files()}:
        old.unlink()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        missing = shoot(browser, access)
        browser.close()
    if missing:
        sys.exit(f"the demo has nothing to show for: {', '.join(missing)} (give it a minute, then run this again)")


if __name__ == "__main__":
    main()
