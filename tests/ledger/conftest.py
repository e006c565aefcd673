"""A small retailer on a database of its own, for the tests of the ledger."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Database as TestDatabase
from tests.ledger.books import assert_books_agree
from tests.ledger.till import open_assortment
from tests.shop import Shop, open_shop


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Shop]:
    """Two stores with five packs of tea each. Whatever a test does, stock, holds and books agree afterwards."""
    opened = await open_shop(database.url)
    yield opened
    await assert_books_agree(opened.database)
    await opened.database.dispose()


@pytest.fixture
async def assortment(shop: Shop) -> None:
    """Coffee and milk beside the tea: 2.00 to sell, 0.80 to buy, none in stock."""
    await open_assortment(shop)
