"""Keys that are remembered for a moment: asked for once, forgotten in time, never remembered when they open nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, insert, text

from ledger.people import key_hash
from ledger.tables import api_key
from tests.conftest import Database
from tests.shop import ANA, Shop, open_shop
from web.known_keys import KnownKeys


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    opened = await open_shop(database.url)
    yield opened
    await opened.database.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(clock: Clock) -> KnownKeys:
    return KnownKeys(clock=clock)


@pytest.fixture
async def asked(shop: Shop) -> list[str]:
    """The look-ups of keys that PostgreSQL was asked for."""
    for name, person in (("web", None), ("ana", ANA.id)):
        async with shop.database.engine.begin() as conn:
            await conn.execute(
                insert(api_key).values(
                    id=name,
                    key_hash=key_hash(f"secret-{name}"),
                    source=name,
                    person_id=person,
                    scopes=["orders:write"],
                    created_at=datetime.now(UTC),
                )
            )
    heard: list[str] = []

    def hear(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM api_key" in statement:
            heard.append(statement)

    event.listen(shop.database.engine.sync_engine, "before_cursor_execute", hear)
    return heard


async def test_is_asked_for_once_a_second(shop: Shop, known: KnownKeys, clock: Clock, asked: list[str]) -> None:
    for _ in range(3):
        caller = await known.caller(shop.database, "secret-web")
        assert caller is not None
        assert caller.source == "web"
    assert len(asked) == 1
    clock.now_s += 1.1
    await known.caller(shop.database, "secret-web")
    assert len(asked) == 2


async def test_is_asked_for_once_by_many_at_a_time(shop: Shop, known: KnownKeys, asked: list[str]) -> None:
    found = await asyncio.gather(*(known.caller(shop.database, "secret-web") for _ in range(20)))
    assert {caller and caller.key_id for caller in found} == {"web"}
    assert len(asked) == 1


async def test_one_that_gives_up_does_not_take_the_others_along(shop: Shop, known: KnownKeys, asked: list[str]) -> None:
    first = asyncio.create_task(known.caller(shop.database, "secret-web"))
    second = asyncio.create_task(known.caller(shop.database, "secret-web"))
    await asyncio.sleep(0)
    first.cancel()
    caller = await second
    assert caller is not None
    assert len(asked) == 1


async def test_is_refused_a_second_after_it_was_revoked(
    shop: Shop, known: KnownKeys, clock: Clock, asked: list[str]
) -> None:
    assert await known.caller(shop.database, "secret-web") is not None
    await shop.change("UPDATE api_key SET revoked_at = now() WHERE id = 'web'")
    clock.now_s += 1.1
    assert await known.caller(shop.database, "secret-web") is None
    assert await known.caller(shop.database, "secret-web") is None
    assert len(asked) == 3  # what opens nothing is asked for each time


async def test_a_persons_own_token_is_asked_for_each_time(shop: Shop, known: KnownKeys, asked: list[str]) -> None:
    for _ in range(2):
        caller = await known.caller(shop.database, "secret-ana")
        assert caller is not None
        assert caller.person is not None
    await shop.change("UPDATE person SET active = false WHERE id = :id", id=ANA.id)
    assert await known.caller(shop.database, "secret-ana") is None
    assert len(asked) == 3


async def test_a_database_that_is_away_is_no_wrong_key(shop: Shop, known: KnownKeys, asked: list[str]) -> None:
    async with shop.database.engine.begin() as conn:
        await conn.execute(text("ALTER TABLE api_key RENAME TO api_key_away"))
    with pytest.raises(Exception, match="api_key"):
        await known.caller(shop.database, "secret-web")
    async with shop.database.engine.begin() as conn:
        await conn.execute(text("ALTER TABLE api_key_away RENAME TO api_key"))
    assert await known.caller(shop.database, "secret-web") is not None
