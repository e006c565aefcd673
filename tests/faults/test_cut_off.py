"""The network between a worker and Temporal swallows everything, and is cut: each step has its effect once."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from ledger.audit import audit
from tests.faults.proxy import proxy_to
from tests.test_worker import Stack, stack

__all__ = ["stack"]
pytestmark = pytest.mark.slow
ORDERS = 6


async def test_what_a_worker_did_while_nobody_heard_it_is_done_once(stack: Stack) -> None:
    await stack.temporal.start()
    there = urlsplit(f"//{stack.temporal.address}")
    async with proxy_to(there.hostname or "", there.port or 0) as proxy:
        await stack.start_worker(":".join(map(str, proxy.address)))
        await stack.shop.order(4)  # all that is there
        orders = [await stack.shop.order(1) for _ in range(ORDERS)]
        cases = [await stack.case_of(order) for order in orders]
        for number in cases:
            await stack.decide(number, "cancel_refund")
            if number == cases[ORDERS // 2]:
                proxy.hold()  # steps are under way: what they did is in PostgreSQL, and Temporal does not hear of it
        proxy.cut()
        proxy.release()
        for order in orders:
            await stack.until(order, "cancelled")
            await stack.ended(order)
        for number in cases:
            await stack.ended(f"case:{number}:1")
    assert await stack.shop.value("SELECT count(*) FROM payment_operation") == ORDERS
    assert await stack.shop.value("SELECT array_agg(DISTINCT state) FROM payment_operation") == ["succeeded"]
    await stack.stock_is_whole(10)
    async with stack.shop.database.read() as conn:
        assert await audit(conn) == []
