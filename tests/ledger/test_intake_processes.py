"""Two processes promise the same units, and one is killed half-way: nothing is promised twice, no answer is lost."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import text

from tests.shop import Shop

SCRIPT = Path(__file__).parent / "support" / "intake_process.py"
UNITS, CALLERS = 1_000, 256


async def start(shop: Shop, name: str, most: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), shop.database.plain_url, name, str(CALLERS), str(most),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def begin(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    await process.stdin.drain()


async def test_a_hot_item_is_never_promised_twice_by_two_processes_one_of_which_is_killed(shop: Shop) -> None:
    await shop.put("S1", UNITS)
    # However the machine shares its time: the one leaves half for the other, and is killed before it could end.
    dying, staying = await start(shop, "dying", UNITS // 2), await start(shop, "staying", 2 * UNITS)
    assert dying.stdout is not None
    assert staying.stdout is not None
    try:
        await begin(dying)
        answered = [(await dying.stdout.readline()).decode().strip() for _ in range(100)]
        await begin(staying)
        answered.append((await staying.stdout.readline()).decode().strip())
        dying.kill()
        rest, ends = await asyncio.gather(dying.stdout.read(), staying.stdout.read())
        answered += rest.decode().split("\n")[:-1] + ends.decode().split()
        assert await staying.wait() == 0
        assert await dying.wait() == -9
    finally:
        for process in (dying, staying):
            if process.returncode is None:
                process.kill()
                await process.wait()
    async with shop.database.read() as conn:
        rows = await conn.execute(text("SELECT id FROM journey WHERE state = 'reserved'"))
        recorded = {row.id for row in rows}
    promised = [journey for journey in answered if journey]
    assert len(set(promised)) == len(promised)
    assert set(promised) <= recorded
    assert {journey.split(":")[2].split("-")[0] for journey in promised} == {"dying", "staying"}
    assert len(recorded) == UNITS
    assert await shop.value("SELECT available || '/' || reserved FROM stock WHERE location = 'S1'") == f"0/{UNITS}"
