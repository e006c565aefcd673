"""Two processes take in the same returns of one order at once, and one is killed in the middle: each unit is refunded
once, and the provider pays what the ledger says, once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tests.ledger.support.returning import Back, collected, now
from tests.shop import Shop

SCRIPT = Path(__file__).parent / "support" / "returns_process.py"
RETURNS, UNITS = 24, 48
LINE = {"line_id": "1", "sku": "TEA-1", "quantity": UNITS, "unit_price_minor": 1_000, "discount_minor": 481}
PAID = UNITS * 1_000 - 481  # nothing that divides by the returns


async def start(shop: Shop, record: Path, at: str, names: list[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), shop.database.plain_url, str(record), at, ",".join(names),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_a_unit_is_refunded_once_by_two_processes_one_of_which_is_killed(shop: Shop, tmp_path: Path) -> None:
    await shop.put("S1", UNITS)
    pays = [{"reference": "c", "tender": "card", "amount_minor": PAID, "state": "captured"}]
    order = await collected(shop, UNITS, lines=[LINE], payments=pays)
    names = [(await Back.open(shop, order, 2)).id for _ in range(RETURNS)]
    record = tmp_path / "provider.db"
    at = now().isoformat()
    dying, staying = await start(shop, record, at, names), await start(shop, record, at, names[::-1])
    assert dying.stdout is not None
    assert staying.stdout is not None
    try:
        for one in (dying, staying):
            assert one.stdin is not None
            one.stdin.write(b"\n")
            await one.stdin.drain()
        await dying.stdout.readline()  # it has done one of them, and is in the middle of the others
        dying.kill()
        done = (await staying.stdout.read()).decode().split()
        assert await staying.wait() == 0
    finally:
        for one in (dying, staying):
            if one.returncode is None:
                one.kill()
                await one.wait()
    assert sorted(done) == sorted(names)
    states = await shop.value("SELECT string_agg(DISTINCT state, ' ') FROM journey WHERE kind = 'returns'")
    assert states == "closed"
    sold = "SELECT returned || ' ' || return_refunded || ' ' || return_refunded_minor FROM sale_line"
    assert await shop.value(sold) == f"{UNITS} {UNITS} {PAID}"
    asked = "SELECT count(*) || ' ' || sum(amount_minor) FROM payment_operation WHERE state = 'succeeded'"
    with closing(sqlite3.connect(record)) as conn:
        keys, paid = conn.execute("SELECT count(*), sum(amount_minor) FROM operation").fetchone()
    assert (paid, f"{keys} {paid}") == (PAID, await shop.value(asked))
