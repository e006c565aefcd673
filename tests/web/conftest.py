"""The small retailer in a database of its own, and the application in this process."""

from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import pytest
from fastapi import FastAPI

import ledger.engine
from domain.masterdata import StockRow
from ledger import opening
from settings import Settings
from tests.conftest import Database
from tests.web.retail import key_text, master_data

MAX_BODY_BYTES = 50_000


@pytest.fixture
def settings(database: Database) -> Settings:
    return Settings(_env_file=None, demo=True, database_url=database.url, max_body_bytes=MAX_BODY_BYTES)


@pytest.fixture
async def retailer(database: Database) -> AsyncIterator[ledger.engine.Database]:
    """One entity, two regions, three stores, three items with opening stock, five people and nine keys."""
    made = ledger.engine.Database(database.url)
    await made.write(master_data, actor="test", via="test")
    rows = [
        StockRow(location=place, sku=sku, quantity=quantity, unit_cost_minor=70)
        for place, sku, quantity in (("S1", "APPLE", 10), ("S1", "BREAD", 3), ("S2", "APPLE", 50), ("S9", "APPLE", 7))
    ]
    posted, refused = await opening.post(made, rows)
    assert (posted, refused) == (4, {})
    yield made
    await made.dispose()


@pytest.fixture
async def app(settings: Settings, retailer: ledger.engine.Database) -> AsyncIterator[FastAPI]:
    from web.app import create_app

    made = create_app(settings)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def as_key(app: FastAPI) -> AsyncIterator[Callable[[str], httpx2.AsyncClient]]:
    """`as_key("web")`: a client that calls the API with that key; the empty name sends none."""
    clients: list[httpx2.AsyncClient] = []

    def made(name: str) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {key_text(name)}"} if name else {}
        transport = httpx2.ASGITransport(app=app)
        clients.append(httpx2.AsyncClient(transport=transport, base_url="http://endcap.test", headers=headers))
        return clients[-1]

    yield made
    for client in clients:
        await client.aclose()


@pytest.fixture
def web(as_key: Callable[[str], httpx2.AsyncClient]) -> httpx2.AsyncClient:
    """The shop's system: every scope, for the source `web`."""
    return as_key("web")


@pytest.fixture
def order_ids() -> Iterator[str]:
    """Order ids in a row: W-1, W-2 …"""
    return (f"W-{number}" for number in range(1, 10_000))
