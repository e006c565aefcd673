"""SIGTERM of web and worker in the middle of their work: whoever asked is answered, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from sqlalchemy import text

from embedded import children
from embedded.ports import free_port
from ledger import access
from ledger.audit import audit
from settings import Settings
from tests.shop import PRICE_MINOR, TEA, Shop, open_shop
from tests.test_worker import Stack, stack

if TYPE_CHECKING:
    from tests.conftest import Database

__all__ = ["stack"]
pytestmark = pytest.mark.slow
ORDERS = "/api/v1/bopis-orders"
CALLERS = 12
PATIENCE_S = 120


def wish(order_id: str, at: str = "S1") -> dict[str, Any]:
    """The body of an order for one pack of tea."""
    return {
        "order_id": order_id,
        "channel": "web",
        "pickup_location": at,
        "currency": "EUR",
        "prices_include_tax": True,
        "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
        "lines": [{"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR}],
        "payments": [{"reference": "card-1", "tender": "card", "amount_minor": PRICE_MINOR, "state": "captured"}],
    }


@dataclass
class Callers:
    """Systems that place one order after the other, each on a connection of its own, until they are sent away."""

    base_url: str
    key: str
    statuses: dict[str, int] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    said: list[httpx2.Response] = field(default_factory=list)

    async def place(self, client: httpx2.AsyncClient, order_id: str, at: str = "S1") -> bool:
        """Whether to go on."""
        try:
            answer = await client.post(ORDERS, json=wish(order_id, at))
        except httpx2.TransportError:
            self.unanswered.add(order_id)
            return False
        self.statuses[order_id] = answer.status_code
        self.said.append(answer)
        return answer.is_success

    async def keep_ordering(self, name: str) -> None:
        async with self.client() as client:
            for number in itertools.count():
                if not await self.place(client, f"W-{name}-{number}"):
                    return

    def client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx2.AsyncClient(base_url=self.base_url, headers=headers, timeout=PATIENCE_S)


@dataclass
class Web:
    """A web process as `endcap up` starts it."""

    shop: Shop
    child: children.Child
    base_url: str

    async def ask_to_stop(self) -> int:
        """SIGTERM; its exit code, which is a signal's where it had to be killed."""
        assert self.child.process is not None
        self.child.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.child.process.wait(), PATIENCE_S)

    async def taken(self) -> set[str]:
        """The numbers of the orders that are recorded."""
        async with self.shop.database.read() as conn:
            found = await conn.execute(text("SELECT key FROM journey"))
            return set(found.scalars())


@pytest.fixture
async def web(database: Database, tmp_path: Path) -> AsyncIterator[Web]:
    shop = await open_shop(database.url, tea={"S1": 100_000, "S2": 10})
    port = free_port()
    settings = Settings(
        _env_file=None, demo=True, database_url=database.url, temporal_address="127.0.0.1:1", home=tmp_path, port=port
    )
    made = Web(shop, children.web(settings, tmp_path / "logs"), f"http://127.0.0.1:{port}")
    await made.child.start(PATIENCE_S)
    yield made
    await made.child.stop()
    await shop.database.dispose()


class TestTheWeb:
    async def test_who_asked_is_answered_and_what_was_not_answered_was_not_taken(
        self, web: Web, eventually: Callable[..., Any]
    ) -> None:
        key = await access.create_key(web.shop.database, "shop", "web", ["orders:write"])
        callers = Callers(web.base_url, key)
        async with web.shop.database.engine.connect() as stranger, callers.client() as client:
            await stranger.execute(text("SELECT * FROM stock WHERE location = 'S2' FOR UPDATE"))
            async with asyncio.TaskGroup() as group:
                held_up = group.create_task(callers.place(client, "W-held-up", "S2"))
                for number in range(CALLERS):
                    group.create_task(callers.keep_ordering(str(number)))
                await eventually(lambda: len(callers.statuses) >= 10 * CALLERS)
                assert not held_up.done()
                assert await web.ask_to_stop() in (0, -signal.SIGTERM)
            await stranger.rollback()
        assert set(callers.statuses.values()) <= {201, 503}
        assert callers.statuses["W-held-up"] == 503
        for answer in callers.said:
            assert answer.is_success or int(answer.headers["Retry-After"]) > 0
        taken = await web.taken()
        assert {order_id for order_id, status in callers.statuses.items() if status == 201} <= taken
        assert callers.unanswered & taken == set()

        await web.child.start(PATIENCE_S)
        async with callers.client() as client:
            again = [order_id for order_id, status in callers.statuses.items() if status != 201]
            for order_id in [*again, *callers.unanswered]:
                assert await callers.place(client, order_id)
        assert await web.taken() == {*callers.statuses}
        assert await web.shop.value("SELECT sum(reserved) FROM stock") == len(callers.statuses)
        async with web.shop.database.read() as conn:
            assert await audit(conn) == []


class TestTheWorker:
    async def test_what_it_has_in_hand_is_ended_and_the_rest_is_the_next_ones(self, stack: Stack) -> None:
        await stack.temporal.start()
        await stack.start_worker()
        await stack.shop.order(4)  # all that is there
        orders = [await stack.shop.order(1) for _ in range(8)]
        cases = [await stack.case_of(order) for order in orders]
        for number in cases:
            await stack.decide(number, "cancel_refund")
        await stack.eventually(lambda: stack.shop.value("SELECT count(*) FROM journey WHERE state = 'cancelled'"))
        assert stack.worker is not None
        stack.worker.terminate()
        assert await asyncio.wait_for(stack.worker.wait(), PATIENCE_S) == 0, stack.log.read_text()[-2000:]
        await stack.start_worker()
        for order in orders:
            await stack.until(order, "cancelled")
            await stack.ended(order)
        paid = "SELECT array_agg(DISTINCT state) FROM payment_operation"
        assert await stack.shop.value(paid) == ["succeeded"]
        assert await stack.shop.value("SELECT count(*) FROM payment_operation") == len(orders)
        await stack.stock_is_whole(10)
        async with stack.shop.database.read() as conn:
            assert await audit(conn) == []
