"""What the worker gives back by itself."""

import asyncio
from collections.abc import Callable
from typing import Any

from domain.holds import HoldIn
from ledger import holds
from tests.conftest import Database
from tests.shop import TEA, WEB, open_shop
from worker import keep_sweeping


async def test_a_hold_that_ran_out_is_given_back_while_the_worker_runs(
    database: Database, eventually: Callable[..., Any]
) -> None:
    shop = await open_shop(database.url)
    lines = [{"line_id": "1", "sku": TEA, "quantity": 2, "location": "S1"}]
    wanted = HoldIn.model_validate({"hold_id": "C-1", "channel": "web", "lines": lines, "expires_in_s": 1})
    await holds.open_hold(shop.database, WEB, wanted, idempotency_key=None)
    stop = asyncio.Event()
    sweeping = asyncio.create_task(keep_sweeping(lambda: holds.sweep(shop.database), 0.2, stop))

    async def is_back() -> bool:
        return bool(await shop.value("SELECT available = 5 FROM stock WHERE location = 'S1'"))

    try:
        await eventually(is_back)
    finally:
        stop.set()
        await sweeping
        await shop.database.dispose()
