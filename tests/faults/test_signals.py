"""Messages to workflows that are too many, too large or unknown: a journey goes on in a fresh history, what Temporal
refuses is named on a case, and nobody else waits for it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression

from embedded.ports import free_port
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, EmbeddedTemporal
from ledger.audit import audit
from relay import STUCK_AFTER, Relay
from tests.shop import Shop, open_shop
from tests.workflows.hub import Hub

if TYPE_CHECKING:
    from tests.conftest import Database

pytestmark = pytest.mark.slow
FRESH_AFTER = 40  # events of a history; 4,096 as the server ships
MOST_SIGNALS = 60  # that one history may hold; 10,000 as the server ships
MESSAGES = int(os.environ.get("ENDCAP_GATE_SIGNALS", "90"))
LIMITS = (
    f"limit.historyCount.suggestContinueAsNew={FRESH_AFTER}",
    f"history.maximumSignalsPerExecution={MOST_SIGNALS}",
)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Of a server of its own, which has enough of a history soon."""
    log = tmp_path_factory.mktemp("temporal") / "temporal.log"
    server = EmbeddedTemporal(log, free_port(), dynamic_config=(*SINGLE_NODE, *QUICK_TIMERS, *LIMITS))
    await server.start()
    yield await Client.connect(
        server.address,
        namespace=server.namespace,
        data_converter=pydantic_data_converter,
        grpc_compression=GrpcCompression.NONE,
    )
    await server.stop()


@pytest.fixture
async def hub(
    database: Database, client: Client, task_queue: str, tmp_path: Path, eventually: Callable[..., Any]
) -> AsyncIterator[Hub]:
    shop = await open_shop(database.url)
    yield Hub(shop, client, task_queue, tmp_path / "sandbox.sqlite", eventually)
    async with shop.database.read() as conn:
        assert await audit(conn) == []
    await shop.database.dispose()


async def collect(shop: Shop, order: str) -> None:
    """The store picks and hands over."""
    lines = [{"line_id": "1", "quantity": 1}]
    for kind, who in (("bopis.picked", "picker"), ("bopis.handed_over", "actor")):
        outcome = await shop.report(kind, journey_id=order, lines=lines, **{who: "p1"})
        assert outcome.outcome == "accepted", outcome


async def carry_all(hub: Hub) -> None:
    """Carry until nothing waits; what was refused is not waited for."""

    async def none_left() -> bool:
        await hub.shop.change("UPDATE outbox SET not_before = NULL WHERE done_at IS NULL")
        await hub.carry()
        return bool(await hub.shop.value("SELECT count(*) = 0 FROM outbox WHERE done_at IS NULL"))

    await hub.eventually(none_left)


async def ended(hub: Hub, order: str) -> None:
    async def completed() -> bool:
        status = (await hub.client.get_workflow_handle(order).describe()).status
        assert status is WorkflowExecutionStatus.COMPLETED, status
        return True

    await hub.eventually(completed)


async def histories(client: Client, order: str) -> list[int]:
    """How many events each history of a journey has, the newest first."""
    found: list[int] = []
    run: str | None = (await client.get_workflow_handle(order).describe()).run_id
    while run:
        events = [event async for event in client.get_workflow_handle(order, run_id=run).fetch_history_events()]
        found.append(len(events))
        run = events[0].workflow_execution_started_event_attributes.continued_execution_run_id or None
    return found


class TestMany:
    async def test_a_journey_that_is_told_very_much_goes_on_in_fresh_histories(self, hub: Hub) -> None:
        order = await hub.shop.order(1)
        async with hub.worker():
            for told in range(MESSAGES):
                await hub.shop.tell(order)
                if told % 20 == 0:
                    await carry_all(hub)
            await collect(hub.shop, order)
            await carry_all(hub)
            await ended(hub, order)
        found = await histories(hub.client, order)
        assert len(found) > MESSAGES // (FRESH_AFTER * 2)
        assert max(found) < FRESH_AFTER + 2 * 20 + 50
        assert [outcome for _, outcome in await hub.shop.outbox(order)] == ["delivered"] * (MESSAGES + 3)

    async def test_what_comes_while_no_worker_runs_waits_and_is_heard_in_order(self, hub: Hub) -> None:
        order, other = await hub.shop.order(1), await hub.shop.order(1)
        for _ in range(MOST_SIGNALS + 20):
            await hub.shop.tell(order)
        await collect(hub.shop, order)
        for _ in range(STUCK_AFTER):
            await hub.shop.change("UPDATE outbox SET not_before = NULL WHERE done_at IS NULL")
            await hub.carry()
        await collect(hub.shop, other)
        await hub.carry()
        assert {outcome for _, outcome in await hub.shop.outbox(other)} == {"delivered"}  # waits for nobody
        delivered = [outcome for _, outcome in await hub.shop.outbox(order)]
        assert delivered.index(None) == MOST_SIGNALS + 1  # the start is no signal
        assert await hub.shop.value("SELECT subject FROM case_file WHERE kind = 'delivery_stuck'") == order
        async with hub.worker():
            await carry_all(hub)
            await ended(hub, order)
            await ended(hub, other)


class TestLarge:
    @pytest.mark.parametrize("megabytes", [3, 5])
    async def test_one_that_temporal_does_not_take_is_a_case_and_others_go_on(self, hub: Hub, megabytes: int) -> None:
        order, other = await hub.shop.order(1), await hub.shop.order(1)
        await hub.carry()
        await hub.shop.tell(order)
        await hub.shop.change(
            "UPDATE outbox SET payload = jsonb_set(payload, '{situation,state}', to_jsonb(repeat('x', :size)))"
            " WHERE target = :order AND seq = 2",
            size=megabytes * 1_000_000, order=order,
        )  # fmt: skip
        relay = Relay(hub.shop.database, _never, task_queue=hub.task_queue, by="test", slots=8)
        for _ in range(STUCK_AFTER):
            await hub.shop.tell(other)
            await relay.run_once(hub.client)
            await hub.shop.change("UPDATE outbox SET not_before = NULL WHERE done_at IS NULL")
        assert relay.pressure.allowed == 8
        assert {outcome for _, outcome in await hub.shop.outbox(other)} == {"delivered"}
        assert await hub.shop.outbox(order) == [(1, "delivered"), (2, None)]
        assert await hub.shop.value("SELECT subject FROM case_file WHERE kind = 'delivery_stuck'") == order
        await hub.shop.change("UPDATE outbox SET payload = jsonb_set(payload, '{situation,state}', '\"reserved\"')")
        await carry_all(hub)


async def _never() -> Client:
    raise AssertionError("run_once is given its client")


class TestUnknown:
    async def test_a_signal_that_nobody_knows_changes_nothing(self, hub: Hub) -> None:
        order = await hub.shop.order(1)
        await hub.carry()
        await hub.client.get_workflow_handle(order).signal("unheard_of", {"a": 1})
        async with hub.worker():
            await collect(hub.shop, order)
            await carry_all(hub)
            await ended(hub, order)
