"""Takes the pictures of the console for the read-me: `python docs/screenshots.py [folder of a running Endcap]`.

Signs in to a running Endcap by its `access.json`, opens the first page, a queue, a case, an order and an approval, in
light and dark, on a desk and on a phone, and writes `docs/screenshots/*.png`. It changes nothing but its own session.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).parent / "screenshots"
SIZES = {"desk": ViewportSize(width=1280, height=860), "phone": ViewportSize(width=390, height=844)}
SHOTS: tuple[tuple[str, Literal["light", "dark"]], ...] = (
    ("desk", "light"), ("desk", "dark"), ("phone", "light"), ("phone", "dark")
)  # fmt: skip


def sign_in(page: Page, base_url: str, account: dict[str, Any]) -> None:
    page.goto(f"{base_url}/sign-in")
    page.get_by_label("Mail address").fill(account["email"])
    page.get_by_label("Password").fill(account["password"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base_url}/")


def pages_of(page: Page, base_url: str) -> dict[str, str]:
    """Names and addresses of what there is to see now; the case and the order are the first ones found."""
    found = {"today": "/", "cases": "/console/queue", "approvals": "/console/approvals?view=pending"}
    page.goto(f"{base_url}/console/queue?kind=reservation_failure,pick_short,reservation_lost")
    cases = page.locator(".case-row h2 a")
    if cases.count():
        found["case"] = cases.first.get_attribute("href") or ""
    page.goto(f"{base_url}/console/journeys?state=collected")
    orders = page.locator('tbody a[href^="/console/journeys/"]')
    if orders.count():
        found["order"] = orders.first.get_attribute("href") or ""
    page.goto(f"{base_url}/console/stock")
    stock = page.locator('tbody a[href^="/console/stock?"]')
    if stock.count():
        found["stock"] = stock.first.get_attribute("href") or ""
    return found


def shoot(browser: Browser, access: dict[str, Any]) -> None:
    base_url = access["base_url"]
    account = next(one for one in access["accounts"] if one["role"] == "regional_ops")
    addresses: dict[str, str] = {}
    for size, scheme in SHOTS:
        # Without scripts: the pages are the same, and nothing is loaded from elsewhere.
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme, java_script_enabled=False)
        page = context.new_page()
        sign_in(page, base_url, account)
        addresses = addresses or pages_of(page, base_url)
        for name, address in addresses.items():
            page.goto(base_url + address)
            page.screenshot(path=FOLDER / f"{name}-{size}-{scheme}.png", full_page=False)
        context.close()


def main() -> None:
    home = Path(sys.argv[1] if len(sys.argv) > 1 else ".endcap")
    access = json.loads((home / "access.json").read_text())
    FOLDER.mkdir(exist_ok=True)
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("Chromium is missing (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        shoot(browser, access)
        browser.close()


if __name__ == "__main__":
    main()
