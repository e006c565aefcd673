"""The console as a browser meets it: the real application behind a real server; the test plays the worker."""

import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from playwright.async_api import BrowserContext, ConsoleMessage, Page

import ledger.engine
from domain.messages import Step
from ledger import tables
from ledger.bopis import steps
from settings import Settings
from tests.browser import NewContext
from tests.serving import serving
from tests.web.conftest import retailer, retailer_template, retailer_url, settings
from tests.web.people import PASSWORD, accounts, email_of
from tests.web.retail import key_text, order, rows

__all__ = ["accounts", "retailer", "retailer_template", "retailer_url", "settings"]
OpenPage = Callable[..., Awaitable[Page]]


@dataclass
class Site:
    """A running console, its ledger, and the steps that a worker would take."""

    url: str
    database: ledger.engine.Database

    async def place_order(self, order_id: str, *, unit_price_minor: int = 129, quantity: int = 12) -> str:
        """An order for more apples than the store has; returns its journey."""
        body = order(order_id, quantity=quantity)
        body["lines"][0] |= {"unit_price_minor": unit_price_minor, "tax_minor": 0}
        body["payments"][0]["amount_minor"] = unit_price_minor * quantity
        headers = {"Authorization": f"Bearer {key_text('web')}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=120) as client:
            answer = await client.post("/api/v1/bopis-orders", json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["journey_id"])

    async def failed_order(self, order_id: str, **fields: Any) -> tuple[str, int]:
        """The same with the case that its workflow opens."""
        journey_id = await self.place_order(order_id, **fields)
        situation = await steps.open_case(self.database, self._step(journey_id))
        assert situation.case_id is not None
        return journey_id, situation.case_id

    async def ask_approval(self, journey_id: str) -> int:
        situation = await steps.open_approval(self.database, await self._of_decision(journey_id))
        assert situation.approval_id is not None
        return situation.approval_id

    async def apply(self, journey_id: str) -> None:
        await steps.apply_decision(self.database, await self._of_decision(journey_id))

    async def give_back(self, journey_id: str) -> None:
        await steps.give_back(self.database, await self._of_decision(journey_id))

    async def table(self, table: Any) -> list[dict[str, Any]]:
        return await rows(self.database, table)

    def _step(self, journey_id: str, **fields: Any) -> Step:
        return Step(**{"subject": journey_id, "occurrence": "1", "at": datetime.now(UTC), **fields})

    async def _of_decision(self, journey_id: str) -> Step:
        decision = max(row["id"] for row in await self.table(tables.case_decision))
        return self._step(journey_id, occurrence=str(decision), decision_id=decision)


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[str]:
    """The application behind a real server; gives its address."""
    from web.app import create_app

    listening = socket.create_server(("127.0.0.1", 0))  # held from now on: nobody else can get the port meanwhile
    port = listening.getsockname()[1]
    app = create_app(settings.model_copy(update={"port": port}))
    async with serving(app, listening, lifespan="on"):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            app.state.live.close()  # no signal comes to a server within a test


@pytest.fixture
async def site(settings: Settings, retailer: ledger.engine.Database, accounts: None) -> AsyncIterator[Site]:
    async with served(settings) as url:
        yield Site(url, retailer)


@pytest.fixture(params=[True, False], ids=["htmx", "no-script"])
def with_script(request: pytest.FixtureRequest) -> bool:
    """Everything works with and without JavaScript."""
    return bool(request.param)


@pytest.fixture
async def open_page(site: Site, new_context: NewContext) -> AsyncIterator[OpenPage]:
    """`await open_page("sam.ortega", java_script_enabled=False, …)`: a page of somebody signed in; "" signs nobody in.

    At the end no page may have said an error on its console, other than answers that are refusals.
    """
    said: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        refused = re.search(r"status of 4\d\d", message.text)
        if message.type == "error" and not refused:
            said.append(f"{message.text} ({message.location})")

    async def made(person: str = "", *, context: BrowserContext | None = None, **options: Any) -> Page:
        context = context or await new_context(base_url=site.url, **options)
        page = await context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: said.append(str(error)))
        if person:
            await page.goto("/sign-in")
            await page.get_by_label("Mail address").fill(email_of(person))
            await page.get_by_label("Password").fill(PASSWORD)
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(site.url + "/")
        return page

    yield made
    assert said == []
