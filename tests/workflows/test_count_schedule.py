"""The counts of the day: a Temporal Schedule on the real server starts the workflow, which opens them once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError, RPCStatusCode

from domain.messages import Situation
from schedules import COUNTS, COUNTS_OF_THE_DAY, keep

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

OPEN_COUNTS = "SELECT count(*) FROM journey WHERE kind = 'count' AND detail->>'reason' = 'schedule'"


async def without_schedule(client: Client) -> None:
    """The server is shared: a worker of another test may have made the schedule already."""
    try:
        await client.get_schedule_handle(COUNTS_OF_THE_DAY).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


class TestTheSchedule:
    async def test_it_is_made_once_and_opens_the_counts_of_the_day(self, hub: Hub) -> None:
        await without_schedule(hub.client)
        assert await keep(hub.client, hub.task_queue, COUNTS) == 1
        try:
            assert await keep(hub.client, hub.task_queue, COUNTS) == 0
            handle = hub.client.get_schedule_handle(COUNTS_OF_THE_DAY)
            async with hub.worker():
                await handle.trigger()

                async def opened() -> bool:
                    return bool(await hub.shop.value(OPEN_COUNTS) == 2)

                await hub.eventually(opened)
                # The first run may be about to end: one that comes while it runs would be skipped.
                await handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ONE)

                async def ran_twice() -> bool:
                    info = (await handle.describe()).info
                    return info.num_actions >= 2 and not info.running_actions

                await hub.eventually(ran_twice)
            assert await hub.shop.value(OPEN_COUNTS) == 2
        finally:
            await without_schedule(hub.client)

    async def test_a_ledger_that_is_busy_is_asked_again(self, stage: Stage) -> None:
        done = Situation(subject="counts", state="3 opened", ended=True)
        stage.steps.answer("count.open_days_counts", TimeoutError("busy"), done)
        handle = await stage.temporal.client.start_workflow(
            "count_schedule", id=f"count_schedule:{stage.task_queue}", task_queue=stage.task_queue, result_type=str
        )
        assert await handle.result() == "3 opened"
        assert stage.steps.names() == ["count.open_days_counts"] * 2
