"""Two relays at once: each target's messages arrive in their order, each once, whoever carries them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from relay import Relay

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.shop import Shop

TARGETS, TOLD = 6, 8


async def heard(client: Client, target: str) -> list[int]:
    """The numbers of the messages in a workflow's history."""
    return [
        pydantic_data_converter.payload_converter.from_payload(
            event.workflow_execution_signaled_event_attributes.input.payloads[0], dict
        )["seq"]
        async for event in client.get_workflow_handle(target).fetch_history_events()
        if event.HasField("workflow_execution_signaled_event_attributes")
    ]


async def test_each_target_hears_its_messages_in_order_from_two_running_relays(
    shop: Shop, temporal: TemporalServer, task_queue: str, eventually: Callable[..., Any]
) -> None:
    client = temporal.client

    async def connected() -> Client:
        return client

    orders = [await shop.order(at="S2" if number % 2 else "S1") for number in range(TARGETS)]
    stop = asyncio.Event()
    relays = [Relay(shop.database, connected, task_queue=task_queue, by=f"r{n}", slots=4, poll_s=0.05) for n in (1, 2)]
    running = [asyncio.create_task(relay.run(stop)) for relay in relays]
    told = 0

    async def both_have_carried() -> bool:
        """Tells each target of one thing more: which relay is the first to see it is not ours to say."""
        nonlocal told
        told += 1
        await asyncio.gather(*(shop.tell(order) for order in orders))
        carriers = await shop.value("SELECT array_agg(DISTINCT leased_by ORDER BY leased_by) FROM outbox")
        return bool(told >= TOLD and carriers == ["r1", "r2"])

    async def all_ended() -> bool:
        return not await shop.value("SELECT count(*) FROM outbox WHERE done_at IS NULL")

    await eventually(both_have_carried)
    await eventually(all_ended)
    stop.set()
    await asyncio.gather(*running)
    assert [await heard(client, order) for order in orders] == [list(range(2, told + 2))] * TARGETS
    assert await shop.value("SELECT max(attempts) FROM outbox") == 1


async def test_what_a_killed_relay_had_in_hand_is_carried_by_the_other_before_what_comes_after(
    shop: Shop, temporal: TemporalServer, task_queue: str
) -> None:
    """The second message of a target is leased to a relay that is gone: the third waits, then both come in order."""
    from ledger import deliveries

    order = await shop.order()
    relay = Relay(shop.database, _never, task_queue=task_queue, by="living")
    await relay.run_once(temporal.client)
    await shop.tell(order)
    (lost,) = await deliveries.claim(shop.database, by="killed", limit=5, lease_s=600)
    await shop.tell(order)
    assert lost.seq == 2
    assert await relay.run_once(temporal.client) == 0
    assert await heard(temporal.client, order) == []
    await shop.change("UPDATE outbox SET leased_until = now() - interval '1 s' WHERE id = :id", id=lost.id)
    assert await relay.run_once(temporal.client) == 2
    assert await heard(temporal.client, order) == [2, 3]


async def _never() -> Client:
    raise AssertionError("run_once is given its client")
