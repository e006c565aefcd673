"""A small retailer on a database of its own, for the tests of the ledger."""

from collections.abc import AsyncIterator

import pytest

from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.till import open_assortment
from tests.shop import Shop


@pytest.fixture
async def shop(fresh_shop: Shop) -> AsyncIterator[Shop]:
    """Two stores with five packs of tea each. Whatever a test does, stock, holds and books agree afterwards."""
    yield fresh_shop
    await assert_books_agree(fresh_shop.database)


@pytest.fixture
async def assortment(shop: Shop) -> None:
    """Coffee and milk beside the tea: 2.00 to sell, 0.80 to buy, none in stock."""
    await open_assortment(shop)
