"""The row of whole journeys in a tiny size, and that its skeleton is to Temporal what an order is."""

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from bench import journeys, place
from bench.intake import entrance


async def shape(client: Client, kind: str) -> list[str]:
    """The types of the events of one that has completed."""
    async for one in client.list_workflows(f"WorkflowType = '{kind}' AND ExecutionStatus = 'Completed'", limit=1):
        history = client.get_workflow_handle(one.id, run_id=one.run_id).fetch_history_events()
        return [EventType.Name(event.event_type) async for event in history]
    raise AssertionError(f"no {kind} has completed")


@pytest.mark.slow
async def test_orders_are_collected_beside_skeletons_of_the_same_shape(postgres_url: str) -> None:
    async with (
        place.database(postgres_url, "journeys") as database,
        journeys.temporal() as server,
        journeys.workers(database, server),
        entrance(database) as put,
    ):
        client = await journeys.connect(server)
        for one in (journeys.Skeletons(client, "s"), journeys.Collected(database, put, "j")):
            driven = await journeys.drive(client, one, seconds=0.5, under_way=2 * journeys.GROUP)
            assert driven.per_s > 0
            assert driven.journeys % journeys.GROUP == 0
        ours, bare = await shape(client, "bopis"), await shape(client, "skeleton")
        lengths = await journeys.events_each(client, "bopis")
        async with database.read() as conn:
            open_ones = (
                await conn.exec_driver_sql("SELECT count(*) FROM journey WHERE state <> 'collected'")
            ).scalar_one()
    assert ours == bare
    assert open_ones == 0
    assert max(lengths) <= journeys.MOST_EVENTS
    assert len(ours) == 17


async def test_a_failed_workflow_is_an_error_and_no_figure(temporal: object) -> None:
    client: Client = temporal.client  # type: ignore[attr-defined]
    handle = await client.start_workflow("no-such-kind", id="bench-failed", task_queue="nobody")
    assert await journeys.ended(client, "no-such-kind") == 0
    await handle.terminate()
    with pytest.raises(RuntimeError, match="1 workflows of the kind no-such-kind have failed"):
        await journeys.ended(client, "no-such-kind")


@pytest.mark.slow
async def test_the_row_says_what_an_order_costs_each_process(postgres_url: str) -> None:
    one, events = await journeys.collected(postgres_url, seconds=0.3, under_way=journeys.GROUP, times=1)
    assert (one.id, events.id) == ("S7", "S7.events")
    assert one.limit is not None
    assert events.value == 17
    for process in ("Temporal", "PostgreSQL", "worker and relay", "intake and facts", "client"):
        assert f"{process} " in one.note
