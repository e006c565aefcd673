"""The row of whole journeys in a tiny size, and that its skeleton is to Temporal what an order is."""

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from bench import journeys, place
from bench.intake import entrance


async def shape(client: Client, driven: journeys.Journeys) -> list[str]:
    """The types of the events of the last of a group: the one that is told the next thing only when it has heard of
    what was before. The others may hear of two things at once where the worker has much to do.
    """
    history = client.get_workflow_handle(driven.workflow(journeys.GROUP - 1)).fetch_history_events()
    return [EventType.Name(event.event_type) async for event in history]


@pytest.mark.slow
async def test_orders_are_collected_beside_skeletons_of_the_same_shape(postgres_url: str) -> None:
    async with (
        place.database(postgres_url, "journeys") as database,
        journeys.temporal() as server,
        journeys.workers(database, server),
        entrance(database) as put,
    ):
        client = await journeys.connect(server)
        bare, ours = journeys.Skeletons(client, "s"), journeys.Collected(database, put, "j")
        for one in (bare, ours):
            driven = await journeys.drive(client, one, seconds=0.5, under_way=2 * journeys.GROUP)
            assert driven.per_s > 0
            assert driven.journeys % journeys.GROUP == 0
        shapes = [await shape(client, one) for one in (ours, bare)]
        lengths = await journeys.events_each(client, "bopis")
        async with database.read() as conn:
            open_ones = (
                await conn.exec_driver_sql("SELECT count(*) FROM journey WHERE state <> 'collected'")
            ).scalar_one()
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) == 17
    assert open_ones == 0
    assert max(lengths) <= journeys.MOST_EVENTS


async def test_a_failed_workflow_is_an_error_and_no_figure(temporal: object, eventually: Callable[..., Any]) -> None:
    client: Client = temporal.client  # type: ignore[attr-defined]
    handle = await client.start_workflow("no-such-kind", id="bench-failed", task_queue="nobody")
    assert await journeys.ended(client, "no-such-kind") == 0
    await handle.terminate()

    async def is_counted() -> bool:  # the server's lists follow what happened after a while
        return bool((await client.count_workflows("WorkflowType = 'no-such-kind' AND CloseTime IS NOT NULL")).count)

    await eventually(is_counted)
    with pytest.raises(RuntimeError, match="1 workflows of the kind no-such-kind have failed"):
        await journeys.ended(client, "no-such-kind")


@pytest.mark.slow
async def test_the_row_says_what_an_order_costs_each_process(postgres_url: str) -> None:
    one, events = await journeys.collected(postgres_url, seconds=0.3, under_way=journeys.GROUP, times=1)
    assert (one.id, events.id) == ("S7", "S7.events")
    assert one.limit is not None
    assert 0 < events.value <= journeys.MOST_EVENTS
    for process in ("Temporal", "PostgreSQL", "worker and relay", "intake and facts", "client"):
        assert f"{process} " in one.note
