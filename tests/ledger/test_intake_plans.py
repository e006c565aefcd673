"""Plans of the intake's statements, made while the tables are empty, as on the first day: each reaches its rows by an
index, so that the same plan still does when the tables have grown.
"""

import re

import asyncpg
import pytest

from ledger.intake import batch, record
from ledger.intake.lanes import SESSION
from tests.shop import Shop

STATEMENTS = {
    "answers": batch.ANSWERS,
    "stock": batch.LOCK_WHAT_IS_FREE,
    "stock, patiently": batch.LOCK,
    "hold spots": batch.HOLD_SPOTS,
    "holds": batch.HOLDS,
    "parked": batch.PARKED,
    "record": record.RECORD,
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_reaches_its_rows_by_an_index(shop: Shop, name: str) -> None:
    async with shop.database.engine.begin() as sa:
        await sa.exec_driver_sql("ANALYZE")
    statement = STATEMENTS[name]
    arguments = max(int(number) for number in re.findall(r"\$(\d+)", statement))
    conn = await asyncpg.connect(shop.database.plain_url, server_settings=SESSION)
    try:
        await conn.execute(f"PREPARE of_intake AS {statement}")
        lines = await conn.fetch(f"EXPLAIN EXECUTE of_intake({', '.join(['NULL'] * arguments)})")
    finally:
        await conn.close()
    plan = "\n".join(line[0] for line in lines)
    scans = re.findall(r"(?:Seq Scan|Index (?:Only )?Scan) (?:using \w+ )?on (\w+).*\n((?:.*\n)?)", plan + "\n")
    if name != "record":
        assert scans, plan
    # An UPDATE cannot be told in which order to join. Stock is there before the first order comes.
    allowed = {"stock"} if name == "record" else set()
    assert {table for table, below in scans if "Index Cond" not in below} <= allowed, plan
