"""A shop with a real database, and workflows on the real server."""

from __future__ import annotations

import pytest

from tests.shop import Shop


@pytest.fixture
def shop(fresh_shop: Shop) -> Shop:
    """The shop; its orders are named apart from those of other tests, since they share one Temporal server."""
    return fresh_shop
