"""The relay: at least once, in order, whatever goes away; and what was lost is rebuilt from PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from domain.messages import Message, Situation
from embedded.ports import free_port
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, EmbeddedTemporal
from ledger import deliveries
from relay import STUCK_AFTER, Relay
from starts import MEMO_ROW

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.shop import Shop


async def never() -> Client:
    """Temporal does not answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def signals(client: Client, target: str) -> int:
    """How many signals a workflow was sent."""
    history = client.get_workflow_handle(target).fetch_history_events()
    found = [event async for event in history if event.HasField("workflow_execution_signaled_event_attributes")]
    return len(found)


@pytest.fixture
async def client(temporal: TemporalServer) -> Client:
    return temporal.client


@pytest.fixture
def relay(shop: Shop, task_queue: str) -> Relay:
    return Relay(shop.database, never, task_queue=task_queue, by="test", poll_s=0.05)


@pytest.fixture
async def order(shop: Shop) -> str:
    """A journey that was just placed."""
    return await shop.order()


class TestCarrying:
    async def test_a_start_begins_the_workflow_with_its_situation(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        assert await relay.run_once(client) == 1
        described = await client.get_workflow_handle(order).describe()
        assert described.workflow_type == "bopis"
        assert described.status is WorkflowExecutionStatus.RUNNING
        assert await described.static_summary() == order
        attributes = {pair.key.name: pair.value for pair in described.typed_search_attributes}
        assert attributes["EndcapKind"] == "bopis"
        assert attributes["EndcapLocation"] == "S1"
        assert attributes["EndcapRegion"] == "R1"
        assert await shop.outbox(order) == [(1, "delivered")]

    async def test_messages_of_one_target_keep_their_order(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        for _ in range(5):
            await shop.tell(order)
        assert await relay.run_once(client) == 6
        history = [event async for event in client.get_workflow_handle(order).fetch_history_events()]
        told = [
            pydantic_data_converter.payload_converter.from_payload(
                event.workflow_execution_signaled_event_attributes.input.payloads[0], dict
            )["seq"]
            for event in history
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        assert told == [2, 3, 4, 5, 6]

    async def test_two_relays_deliver_each_message_once(
        self, shop: Shop, relay: Relay, client: Client, task_queue: str
    ) -> None:
        orders = [await shop.order(at="S2") for _ in range(5)]
        for each in orders:
            await shop.tell(each)
            await shop.tell(each)
        other = Relay(shop.database, never, task_queue=task_queue, by="other")
        counts = [0, 0]
        while sum(counts) < 15:
            now = await asyncio.gather(relay.run_once(client), other.run_once(client))
            counts = [counts[0] + now[0], counts[1] + now[1]]
        assert [await signals(client, each) for each in orders] == [2] * 5

    async def test_a_start_whose_answer_was_lost_counts_as_delivered(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        await relay.run_once(client)
        await shop.change("UPDATE outbox SET done_at = NULL, outcome = NULL, leased_until = NULL")
        assert await relay.run_once(client) == 1
        assert await shop.outbox(order) == [(1, "delivered")]

    async def test_an_id_that_somebody_else_uses_is_not_ours(
        self, shop: Shop, relay: Relay, client: Client, order: str, task_queue: str
    ) -> None:
        await client.start_workflow(
            "bopis", Situation(subject=order, state="reserved"), id=order, task_queue=task_queue,
            memo={MEMO_ROW: "987654321"},
        )  # fmt: skip
        assert await relay.run_once(client) == 0
        assert await shop.outbox(order) == [(1, None)]
        error = await shop.value("SELECT last_error FROM outbox WHERE target = :target", target=order)
        assert "another Endcap database" in error

    async def test_it_wakes_up_when_something_is_committed(
        self, shop: Shop, client: Client, task_queue: str, eventually: Callable[..., Any]
    ) -> None:
        async def connected() -> Client:
            return client

        stop = asyncio.Event()
        relay = Relay(shop.database, connected, task_queue=task_queue, by="patient", poll_s=600)
        running = asyncio.create_task(relay.run(stop))
        listening = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'endcap-relay-listen' AND datname ="
        await eventually(lambda: shop.value(listening + " current_database()"))
        order = await shop.order()

        async def delivered() -> bool:
            return await shop.outbox(order) == [(1, "delivered")]

        await eventually(delivered)
        stop.set()
        await running


class TestNobodyListens:
    async def test_a_message_for_a_target_that_is_closed_is_done(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        await relay.run_once(client)
        await client.get_workflow_handle(order).terminate("as if it had ended")
        await shop.change("UPDATE journey SET closed_at = now(), state = 'collected', dues = '{}'")
        await shop.tell(order)
        await relay.run_once(client)
        assert await shop.outbox(order) == [(1, "delivered"), (2, "target_closed")]

    async def test_a_target_that_is_open_is_rebuilt_with_what_is_true_now(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        await relay.run_once(client)
        await client.get_workflow_handle(order).terminate("lost")
        await shop.change("UPDATE journey SET state = 'picking'")
        await shop.tell(order, Message.PICK_RECORDED)
        await shop.tell(order)
        await relay.run_once(client)
        assert await shop.outbox(order) == [(1, "delivered"), (2, "rebuilt"), (3, "rebuilt")]
        handle = client.get_workflow_handle(order)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        started = await anext(handle.fetch_history_events())
        given = pydantic_data_converter.payload_converter.from_payload(
            started.workflow_execution_started_event_attributes.input.payloads[0], Situation
        )
        assert (given.state, given.seq) == ("picking", 3)

    async def test_a_closed_journey_whose_refund_is_asked_for_again_is_rebuilt(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        await relay.run_once(client)
        await client.get_workflow_handle(order).terminate("ended")
        await shop.change("UPDATE journey SET closed_at = now(), state = 'cancelled', dues = '{}'")
        await shop.change(
            "INSERT INTO payment_operation (id, payment_id, journey_id, kind, amount_minor, currency, at)"
            " SELECT 'refund-again', id, journey_id, 'refund', 100, 'EUR', now() FROM payment"
        )
        await shop.tell(order, Message.RESUMED)
        await relay.run_once(client)
        assert await shop.outbox(order) == [(1, "delivered"), (2, "rebuilt")]


class TestTemporalGoesAway:
    async def test_an_outage_blames_no_message(
        self, shop: Shop, relay: Relay, client: Client, order: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away(*_: object, **__: object) -> None:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")

        with monkeypatch.context() as outage:
            outage.setattr(client, "start_workflow", away)
            for _ in range(STUCK_AFTER + 2):
                await relay.run_once(client)
                await shop.change("UPDATE outbox SET not_before = NULL")
        assert await shop.value("SELECT count(*) FROM case_file") == 0
        assert await relay.run_once(client) == 1

    async def test_a_message_that_is_refused_again_and_again_becomes_a_case(
        self, shop: Shop, relay: Relay, client: Client, order: str
    ) -> None:
        await shop.change("UPDATE outbox SET payload = jsonb_set(payload, '{workflow}', '\"unheard_of\"')")
        for _ in range(STUCK_AFTER):
            await relay.run_once(client)
            await shop.change("UPDATE outbox SET not_before = NULL WHERE target = :target", target=order)
        assert await shop.outbox(order) == [(1, None)]
        found = await shop.value("SELECT subject FROM case_file WHERE kind = 'delivery_stuck'")
        assert found == order

    async def test_it_stops_although_temporal_never_answered(self, relay: Relay) -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        stop.set()
        await asyncio.wait_for(running, 120)


class TestTemporalLosesItsDatabase:
    @pytest.fixture
    async def server(self, tmp_path: Path) -> AsyncIterator[EmbeddedTemporal]:
        server = EmbeddedTemporal(
            tmp_path / "temporal.log", free_port(), database=tmp_path / "temporal.db",
            dynamic_config=(*SINGLE_NODE, *QUICK_TIMERS),
        )  # fmt: skip
        await server.start()
        yield server
        await server.stop()

    async def test_every_open_target_is_rebuilt(
        self, shop: Shop, server: EmbeddedTemporal, task_queue: str, eventually: Callable[..., Any]
    ) -> None:
        async def connected() -> Client:
            return await Client.connect(
                server.address,
                namespace=server.namespace,
                data_converter=pydantic_data_converter,
                grpc_compression=GrpcCompression.NONE,
            )

        client = await connected()
        orders = [await shop.order() for _ in range(4)]
        stop = asyncio.Event()
        relay = Relay(shop.database, connected, task_queue=task_queue, by="test", poll_s=0.05, home_check_s=0.2)
        running = asyncio.create_task(relay.run(stop))

        async def all_told() -> bool:
            return bool(await shop.value("SELECT count(*) = 0 FROM outbox WHERE done_at IS NULL"))

        await eventually(all_told)
        home = await deliveries.temporal_home(shop.database)
        assert home is not None

        await server.stop()
        assert server.database is not None
        for file in server.database.parent.glob("temporal.db*"):
            file.unlink()
        late = await shop.order()
        await shop.change("UPDATE journey SET state = 'collected', closed_at = now() WHERE id = :id", id=orders[0])
        await server.start()

        async def all_there() -> bool:
            for each in [*orders[1:], late]:
                try:
                    described = await client.get_workflow_handle(each).describe()
                except RPCError as error:
                    assert error.status is RPCStatusCode.NOT_FOUND, each  # noqa: PT017  anything else is a failure
                    return False
                assert described.status is WorkflowExecutionStatus.RUNNING
            return await all_told()

        await eventually(all_there)

        async def at_home() -> bool:
            return await deliveries.temporal_home(shop.database) not in {None, home}

        await eventually(at_home)
        with pytest.raises(RPCError, match="not found"):
            await client.get_workflow_handle(orders[0]).describe()
        stop.set()
        await running

    async def test_a_restart_with_the_same_database_rebuilds_nothing(
        self, shop: Shop, server: EmbeddedTemporal, task_queue: str
    ) -> None:
        async def connected() -> Client:
            return await Client.connect(
                server.address, namespace=server.namespace, data_converter=pydantic_data_converter
            )

        order = await shop.order()
        relay = Relay(shop.database, connected, task_queue=task_queue, by="test")
        client = await connected()
        assert await relay.run_once(client) == 1
        assert await relay.starts.is_home(client)
        home = await deliveries.temporal_home(shop.database)
        run = (await client.get_workflow_handle(order).describe()).run_id
        await server.stop()
        await server.start()
        again = Relay(shop.database, connected, task_queue=task_queue, by="test")
        client = await connected()
        assert await again.starts.is_home(client)
        assert await deliveries.temporal_home(shop.database) == home
        assert (await client.get_workflow_handle(order).describe()).run_id == run
