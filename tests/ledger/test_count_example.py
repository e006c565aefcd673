"""The worked example of docs/counting.md comes out as it says there."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.ledger.support.counting import Count, now, shelf
from tests.ledger.support.till import sale, send
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
PAGE = Path(__file__).parents[2] / "docs" / "counting.md"


async def posted_after(shop: Shop, last: int) -> tuple[str, int]:
    """The journal lines since an entry, as the page writes them, and the last entry now."""
    async with shop.database.read() as conn:
        rows = (
            await conn.execute(
                text(
                    "SELECT journal_id, account, debit_minor - credit_minor AS net FROM journal_line"
                    " WHERE journal_id > :last ORDER BY journal_id, line_no"
                ),
                {"last": last},
            )
        ).all()
    words = ", ".join(f"{row.account} {row.net / 100:.2f}" for row in rows)
    return words, max((row.journal_id for row in rows), default=last)


async def sold(shop: Shop, name: str, at: datetime) -> None:
    one = sale(name, (TEA, 1))
    one["occurred_at"] = at.isoformat()
    (outcome,) = await send(shop, one)
    assert outcome.outcome == "accepted"


async def test_the_worked_example_comes_out(shop: Shop) -> None:
    table = PAGE.read_text().split("| step | stock at S1 | journal |\n|---|---|---|\n")[1].split("\n\n")[0]
    says = [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table.splitlines()]
    came: list[tuple[str, str]] = []
    last = 0

    async def note() -> None:
        nonlocal last
        words, last = await posted_after(shop, last)
        came.append((str((await shelf(shop))["available"]), words))

    await shop.put("S1", 20)
    await note()
    count = await Count.open(shop)
    opened = (await count.row())["opened_at"]
    await count.enter((TEA, 19))
    await note()
    await count.compare()
    await count.post()
    await note()
    await sold(shop, "before", opened - timedelta(seconds=1))
    await note()
    await sold(shop, "after", now())
    await note()
    assert came == [(row[1], row[2]) for row in says]
