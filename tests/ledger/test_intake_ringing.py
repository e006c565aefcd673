"""Relays are woken for what has begun: at once for an order that comes alone, now and then while batches follow."""

import asyncio
from typing import Any

import asyncpg
import pytest

from ledger.intake import Intake, lanes
from tests.ledger.support.intakes import order, place
from tests.shop import Shop


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commits and the calls of lanes, in their order."""
    execute, found = asyncpg.Connection.execute, list[str]()

    async def listening(conn: Any, query: str, *args: Any, **more: Any) -> Any:
        done = await execute(conn, query, *args, **more)
        if query in ("COMMIT", lanes._RING):
            found.append("call" if query == lanes._RING else "commit")
        return done

    monkeypatch.setattr(asyncpg.Connection, "execute", listening)
    return found


async def test_an_order_that_comes_alone_wakes_them_at_once(shop: Shop, said: list[str]) -> None:
    await shop.put("S1", 10)
    intake = Intake(shop.database, lanes=1)
    for _ in range(2):
        assert (await place(intake, order()))[0] == 201
    await intake.close()
    assert said == ["commit", "call"] * 2


async def test_batch_upon_batch_wakes_them_once_and_when_the_last_is_through(
    shop: Shop, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.put("S1", 10)
    monkeypatch.setattr(lanes, "RING_EVERY_S", 1e9)
    intake = Intake(shop.database, lanes=1, max_batch=1)
    placed = await asyncio.gather(*(place(intake, order()) for _ in range(5)))
    await intake.close()
    assert [status for status, _ in placed] == [201] * 5
    assert said == ["commit", "call", *["commit"] * 4, "call"]


async def test_what_is_refused_wakes_nobody(shop: Shop, said: list[str]) -> None:
    intake = Intake(shop.database, lanes=1)
    wanted = order()
    await place(intake, wanted)
    assert (await place(intake, wanted))[0] == 200
    await intake.close()
    assert said == ["commit", "call", "commit"]
