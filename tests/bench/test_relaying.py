"""The row of relays in a tiny size: every message is carried by real relay processes, and counted once."""

import pytest

from bench import place, relaying
from bench.rows import Row


@pytest.fixture
async def rows(postgres_url: str) -> list[Row]:
    return await relaying.relays(postgres_url, seconds=0.1, orders=8, times=1)


@pytest.mark.slow
async def test_one_and_two_relays_stand_beside_the_bare_client(rows: list[Row]) -> None:
    assert [one.id for one in rows] == ["R1", "R1.2"]
    for one in rows:
        assert len(one.runs) == 1
        assert one.value > 0
        assert one.limit is not None


async def test_what_is_placed_has_a_start_and_a_tell_each(postgres_url: str) -> None:
    async with place.database(postgres_url, "relay") as database:
        starts = await relaying.fill(database, "x", 5)
        async with database.read() as conn:
            kinds = (await conn.exec_driver_sql("SELECT kind, count(*) FROM outbox GROUP BY kind ORDER BY kind")).all()
    assert [tuple(one) for one in kinds] == [("start", 5), ("tell", 5)]
    assert [one.told.seq for one in starts] == [2] * 5
    assert {one.situation.state for one in starts} == {"reserved"}
