"""Orders and pages at a steady pace, in a tiny size: times count from when a request was due."""

import asyncio
import time

from bench import browsing, endurance, served


async def test_each_tenth_has_its_orders_and_pages(postgres_url: str) -> None:
    async with browsing.peopled(postgres_url, "endurance", cases=300, orders=300) as (database, _):
        await served.add_key(database)
        async with served.application(database) as port:
            run = await endurance.drive(database, port, 2.0, orders_per_s=20, pages_per_s=5)
    assert run.statuses == {201: 40, 200: 10}
    parts = run.parts()
    assert [one.orders for one in parts] == [4] * 10
    assert [one.pages for one in parts] == [1] * 10
    assert all(0 < one.order_p50 <= one.order_p99 for one in parts)
    assert "40 × 201" in endurance.told(run)


async def test_who_falls_behind_is_seen_to() -> None:
    taken: list[float] = []
    one_at_a_time, began = asyncio.Lock(), time.perf_counter()

    async def send(number: int) -> None:
        async with one_at_a_time:
            await asyncio.sleep(0.02)  # what a slow server takes for each
            taken.append(time.perf_counter() - began - number / 1_000)

    await endurance._pace(1_000, 0.03, send, began)
    assert len(taken) == 30
    assert taken[-1] > 0.3  # thirty of them, although each took only a fiftieth of a second
