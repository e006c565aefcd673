"""The small retailer in a database of its own, and the application in this process.

Tests that change nothing share one retailer, the `standing` one: it is made once, and they say so by asking for it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import pytest
from fastapi import FastAPI

import ledger.engine
from domain.masterdata import StockRow
from ledger import opening
from settings import Settings
from tests.databases import Keeper, name_of
from tests.web.retail import key_text, master_data
from web.keys import Limits

MAX_BODY_BYTES = 50_000
As = Callable[[str], httpx2.AsyncClient]
OPENING = (("S1", "APPLE", 10), ("S1", "BREAD", 3), ("S2", "APPLE", 50), ("S9", "APPLE", 7))


def settings_for(url: str) -> Settings:
    return Settings(_env_file=None, demo=True, database_url=url, max_body_bytes=MAX_BODY_BYTES)


@asynccontextmanager
async def open_retailer(url: str) -> AsyncIterator[ledger.engine.Database]:
    """One entity, two regions, three stores, three items with opening stock, five people and nine keys."""
    made = ledger.engine.Database(url)
    try:
        await made.write(master_data, actor="test", via="test")
        stock = [
            StockRow(location=place, sku=sku, quantity=quantity, unit_cost_minor=70) for place, sku, quantity in OPENING
        ]
        posted, refused = await opening.post(made, stock)
        assert (posted, refused) == (4, {})
        yield made
    finally:
        await made.dispose()


_resting: list[tuple[Settings, FastAPI]] = []


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application as a process starts it. Its routes, which take longer to put together than most tests, may be
    those of an earlier test with the same settings; nothing else of that is left.
    """
    from web.app import create_app, equip

    apart = settings.model_copy(update={"database_url": None})
    made = next((app for known, app in _resting if known == apart), None)
    if made is None:
        made = create_app(settings)
    else:
        _resting.remove((apart, made))
        equip(made, settings)
    async with made.router.lifespan_context(made):
        yield made
    _resting.append((apart, made))


@asynccontextmanager
async def open_clients(app: FastAPI) -> AsyncIterator[As]:
    async with AsyncExitStack() as clients:

        def made(name: str) -> httpx2.AsyncClient:
            headers = {"Authorization": f"Bearer {key_text(name)}"} if name else {}
            transport = httpx2.ASGITransport(app=app)
            client = httpx2.AsyncClient(transport=transport, base_url="http://endcap.test", headers=headers)
            clients.push_async_callback(client.aclose)
            return client

        yield made


@pytest.fixture(scope="session")
async def retailer_template(keeper: Keeper, template_database: str) -> AsyncIterator[str]:
    """Name of a database with the retailer in it, copied for each test."""
    async with keeper.database("retailer", template=template_database) as url:
        async with open_retailer(url):
            pass
        yield name_of(url)


@pytest.fixture
async def retailer_url(keeper: Keeper, retailer_template: str) -> AsyncIterator[str]:
    async with keeper.database("test", template=retailer_template) as url:
        yield url


@pytest.fixture
def settings(retailer_url: str) -> Settings:
    return settings_for(retailer_url)


@pytest.fixture
async def retailer(retailer_url: str) -> AsyncIterator[ledger.engine.Database]:
    """The retailer in a database that this test alone uses."""
    made = ledger.engine.Database(retailer_url)
    yield made
    await made.dispose()


@pytest.fixture
async def app(settings: Settings, retailer: ledger.engine.Database) -> AsyncIterator[FastAPI]:
    async with open_app(settings) as made:
        yield made


@pytest.fixture
async def as_key(app: FastAPI) -> AsyncIterator[As]:
    """`as_key("web")`: a client that calls the API with that key; the empty name sends none."""
    async with open_clients(app) as made:
        yield made


@pytest.fixture
def web(as_key: As) -> httpx2.AsyncClient:
    """The shop's system: every scope, for the source `web`."""
    return as_key("web")


@pytest.fixture(scope="session")
async def standing_retailer(keeper: Keeper, template_database: str) -> AsyncIterator[ledger.engine.Database]:
    """A retailer that no test changes: for what is refused, and for what is only read."""
    async with keeper.database("standing", template=template_database) as url, open_retailer(url) as made:
        yield made


@pytest.fixture(scope="session")
async def standing_key(standing_retailer: ledger.engine.Database) -> AsyncIterator[As]:
    """As `as_key`, for the retailer that no test changes.

    There are more routes than wrong keys that an address may send in a minute; here each of them is tried.
    """
    async with open_app(settings_for(standing_retailer.url)) as app, open_clients(app) as made:
        app.state.limits = Limits(100_000, wrong_keys_per_minute=100_000)
        yield made


@pytest.fixture
def standing(standing_key: As) -> httpx2.AsyncClient:
    """The shop's system at the retailer that no test changes."""
    return standing_key("web")
