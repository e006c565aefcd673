"""Whatever happens at once to an order and to the transfer that brings its goods: each unit is in one place, is counted
once, and nobody waits for what cannot come. The audit after each test says so.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest

from ledger.bopis import steps
from ledger.transfer import steps as of_transfers
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.coming import Coming
from tests.ledger.support.orders import pick, situation, step
from tests.shop import PRICE_MINOR, TEA, Shop

LINES = [
    {"line_id": name, "sku": TEA, "quantity": number, "unit_price_minor": PRICE_MINOR}
    for name, number in (("1", 6), ("2", 3))
]
Act = Callable[[], Awaitable[object]]


def _acts(it: Coming, dice: random.Random) -> list[Act]:
    """What may happen now, of stores, tills, customers, and the workflows that were told."""
    some = {str(line): dice.randint(0, 3) for line in (1, 2)}
    lines = [{"line_id": name, "quantity": number} for name, number in some.items()]
    place, complete = dice.choice(("S1", "S1", "S1", "S2")), dice.random() < 0.2
    sold = [{"line": "1", "sku": TEA, "quantity": dice.randint(1, 4), "unit_price_minor": PRICE_MINOR}]
    till = dice.choice(("DC", "S1"))
    return [
        lambda: it.moved.report("shipped", lines=lines, complete=complete),
        lambda: it.moved.report("received", lines=lines, complete=complete, location=place),
        lambda: it.moved.report("received", lines=[lines[0] | {"condition": "damaged"}]),
        lambda: it.moved.report(dice.choice(("declined", "cancelled"))) if dice.random() < 0.2 else _nothing(),
        lambda: it.shop.report("pos.sale", location=till, receipt=uuid.uuid4().hex, lines=sold),
        lambda: pick(it.shop, it.journey, dice.randint(1, 2), line=dice.choice("12")),
        lambda: it.shop.report(
            "bopis.cancelled", journey_id=it.journey, lines=[dice.choice("12")] if dice.random() < 0.7 else None
        ),
        lambda: steps.attend(it.shop.database, step(it.journey, uuid.uuid4().hex)),
        lambda: it.moved.take(of_transfers.attend),
    ]


async def _nothing() -> None:
    return None


@pytest.mark.parametrize("seed", range(6))
async def test_stock_order_and_transfer_agree_after_each_burst(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  which things happen
    it = await Coming.begin(shop, 9, lines=LINES)
    for _ in range(6):
        await asyncio.gather(*(act() for act in dice.sample(_acts(it, dice), 3)))
        await assert_books_agree(shop.database)
    for _ in range(4):  # each tells the other at most so often
        await steps.attend(shop.database, step(it.journey, uuid.uuid4().hex))
        await it.moved.take(of_transfers.attend)
    assert not (await situation(shop, it.journey)).attention
    assert "unneeded" not in (await situation(shop, it.moved.id)).attention
    to_come, came, failed, given_up = await it.still()
    assert (came, failed, given_up) == (0, 0, 0)
    if await it.moved.state() in ("closed", "cancelled"):
        assert to_come == 0
