"""A real Chromium for tests that need one. Nothing outside this machine is loaded: htmx comes from its package."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Route, async_playwright, expect

from settings import CDN
from tests import assets

# The first is Chromium without the windows, menus and profiles around its pages, which no test looks at.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OWN_HOSTS = {"127.0.0.1", "localhost"}
NewContext = Callable[..., Awaitable[BrowserContext]]
PATIENCE_MS = 90_000  # for a page that never comes; a busy machine is no mistake of ours
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for the whole run. Fails, never skips, where there is none."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail("Chromium is missing (Debian: apt-get install chromium); `make test` installs it where it may")
    if not assets.present():
        pytest.fail("htmx is missing: run `python -m tests.assets` (`make test` does)")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = await playwright.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        await chromium.close()


async def _answer(route: Route) -> None:
    """Serve htmx under its address of the CDN, let our own hosts through, refuse the rest of the world."""
    address = urlsplit(route.request.url)
    if address.hostname in OWN_HOSTS:
        await route.continue_()
        return
    prefix = f"{CDN}/htmx.org@{assets.VERSION}/"
    name = route.request.url.removeprefix(prefix)
    if route.request.url.startswith(prefix) and name in assets.FILES_SHA384:
        await route.fulfill(
            body=(assets.FOLDER / name).read_bytes(),
            content_type="text/javascript",
            headers={"access-control-allow-origin": "*"},
        )
        return
    await route.abort()


@pytest.fixture
async def new_context(browser: Browser) -> AsyncIterator[NewContext]:
    """`await new_context(java_script_enabled=False, color_scheme="dark", …)`: a browser profile of its own."""
    made: list[BrowserContext] = []

    async def make(**options: Any) -> BrowserContext:
        context = await browser.new_context(**options)
        context.set_default_timeout(PATIENCE_MS)
        await context.route("**/*", _answer)
        made.append(context)
        return context

    yield make
    for context in made:
        await context.close()
