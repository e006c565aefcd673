"""One region's peak does not hold up the others: a relay says whose each journey is, and Temporal heeds it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from relay import Relay
from tests.shop import Shop

if TYPE_CHECKING:
    from tests.conftest import TemporalServer

LARGE, SMALL = 60, 5


async def never() -> Client:
    raise AssertionError("this relay is given its client")


async def test_a_journey_is_started_under_its_region(shop: Shop, temporal: TemporalServer, task_queue: str) -> None:
    order = await shop.order(1)
    region = await shop.value("SELECT region FROM journey WHERE id = :id", id=order)
    await Relay(shop.database, never, task_queue=task_queue, by="test").run_once(temporal.client)
    (begun, *_) = [event async for event in temporal.client.get_workflow_handle(order).fetch_history_events()]
    assert region
    assert begun.workflow_execution_started_event_attributes.priority.fairness_key == region


@workflow.defn(name="peak")
class Peak:
    """One step, as a journey has them."""

    @workflow.run
    async def run(self, region: str) -> None:
        await workflow.execute_activity("served", region, start_to_close_timeout=timedelta(minutes=5))


async def test_a_regions_backlog_is_not_worked_off_before_another_region_has_its_turn(
    temporal: TemporalServer, task_queue: str
) -> None:
    """First come, first served would leave the small region for the end."""
    served: list[str] = []

    @activity.defn(name="served")
    async def serve(region: str) -> None:
        served.append(region)

    async def begin(region: str, number: int) -> WorkflowHandle[Any, Any]:
        return await temporal.client.start_workflow(
            Peak.run,
            region,
            id=f"{task_queue}-{region}-{number}",
            task_queue=task_queue,
            priority=Priority(fairness_key=region),
        )

    begun = [await begin("large", number) for number in range(LARGE)]
    begun += [await begin("small", number) for number in range(SMALL)]
    async with Worker(
        temporal.client,
        task_queue=task_queue,
        workflows=[Peak],
        activities=[serve],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=1,
        max_concurrent_workflow_tasks=2,
    ):
        await asyncio.gather(*(one.result() for one in begun))
    assert sorted(served) == ["large"] * LARGE + ["small"] * SMALL
    assert max(at for at, region in enumerate(served) if region == "small") < LARGE // 2
