"""The server ends a connection while nothing is asked of it; the driver then refuses the next statement in a way of its
own (`InternalClientError`), which is neither an error of PostgreSQL nor one of the connection's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from ledger.intake import Intake
from ledger.intake.lanes import _RING
from ledger.outages import is_outage
from tests.ledger.support.intakes import order, place
from tests.shop import Shop

_SPOKEN = "cannot switch to state 15; another operation (2) is in progress"


@pytest.fixture
async def intake(shop: Shop) -> AsyncIterator[Intake]:
    made = Intake(shop.database, lanes=1)
    yield made
    await made.close()


def refuse(monkeypatch: pytest.MonkeyPatch, *statements: str) -> list[str]:
    """Have the driver refuse each of the statements once; those that are still to be refused."""
    execute, left = asyncpg.Connection.execute, list(statements)

    async def refusing(conn: Any, query: str, *args: Any, **more: Any) -> Any:
        if query in left:
            left.remove(query)
            raise asyncpg.InternalClientError(_SPOKEN)
        return await execute(conn, query, *args, **more)

    monkeypatch.setattr(asyncpg.Connection, "execute", refusing)
    return left


@pytest.mark.parametrize("statements", [(_RING,), ("BEGIN",), ("COMMIT",), ("COMMIT", "ROLLBACK")], ids="+".join)
async def test_every_order_is_taken_once_and_the_lane_goes_on(
    shop: Shop, intake: Intake, monkeypatch: pytest.MonkeyPatch, statements: tuple[str, ...]
) -> None:
    left = refuse(monkeypatch, *statements)
    await shop.put("S1", 10)
    for _ in range(3):
        assert (await place(intake, order()))[0] == 201
    assert left == []
    assert await shop.value("SELECT reserved FROM stock WHERE location = 'S1'") == 3


def test_it_is_an_outage() -> None:
    assert is_outage(asyncpg.InternalClientError(_SPOKEN))
