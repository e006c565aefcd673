"""Customers before a browser: a shop of their own, and clients that nobody is signed in with."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI

import ledger.engine
from tests.shop import Shop, open_shop
from tests.web.conftest import open_app, settings_for

Browse = Callable[[], httpx2.AsyncClient]


@pytest.fixture
async def shop(database: ledger.engine.Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()


@asynccontextmanager
async def browsers(app: FastAPI) -> AsyncIterator[Browse]:
    """Customers' browsers, each with cookies of its own."""
    clients: list[httpx2.AsyncClient] = []

    def made() -> httpx2.AsyncClient:
        headers = {"Accept": "text/html", "Origin": "http://endcap.test", "Sec-Fetch-Site": "same-origin"}
        transport = httpx2.ASGITransport(app=app)
        clients.append(httpx2.AsyncClient(transport=transport, base_url="http://endcap.test", headers=headers))
        return clients[-1]

    yield made
    for client in clients:
        await client.aclose()


@pytest.fixture
async def browse(shop: Shop) -> AsyncIterator[Browse]:
    async with open_app(settings_for(shop.database.url)) as app, browsers(app) as made:
        yield made
