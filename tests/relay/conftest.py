"""A shop with a real database, and workflows on the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from tests.shop import Shop, open_shop

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """The shop; its orders are named apart from those of other tests, since they share one Temporal server."""
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()
