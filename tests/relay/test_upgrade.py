"""A release under running journeys: what an older worker began goes on under the newer one, on the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporalio import activity, workflow
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from domain.errors import DomainError
from domain.messages import Situation
from ports.payment import SandboxPaymentProvider
from relay import Relay
from tests.shop import Shop
from worker import WORKFLOWS, activities_on
from workflows.bopis import BopisWorkflow

if TYPE_CHECKING:
    from tests.conftest import TemporalServer

looked: list[str] = []


@activity.defn(name="bopis.look_first")
async def look_first(journey: str) -> None:
    looked.append(journey)


async def _look_first() -> None:
    await workflow.execute_activity(
        "bopis.look_first", workflow.info().workflow_id, start_to_close_timeout=timedelta(minutes=5)
    )


@workflow.defn(name="bopis", failure_exception_types=[DomainError])
class Branched(BopisWorkflow):
    """The next release: a journey begins with a step that those under way never took."""

    @workflow.init
    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)

    @workflow.run
    async def run(self, situation: Situation) -> None:
        if workflow.patched("looks-first"):
            await _look_first()
        await self.live(self.plan)


@workflow.defn(name="bopis", failure_exception_types=[DomainError])
class Forgotten(BopisWorkflow):
    """The same release, made by somebody who forgot those under way."""

    @workflow.init
    def __init__(self, situation: Situation) -> None:
        super().__init__(situation)

    @workflow.run
    async def run(self, situation: Situation) -> None:
        await _look_first()
        await self.live(self.plan)


class Company:
    """A shop whose relay runs all the time, and whose workers are replaced."""

    def __init__(self, shop: Shop, client: Client, task_queue: str, folder: Path) -> None:
        self.shop = shop
        self.client = client
        self._task_queue = task_queue
        self._provider = SandboxPaymentProvider(folder / "payments.sqlite")
        self._relay = Relay(shop.database, self._connected, task_queue=task_queue, by="relay", poll_s=0.05)

    async def _connected(self) -> Client:
        return self.client

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        running = asyncio.create_task(self._relay.run(stop))
        try:
            yield
        finally:
            stop.set()
            await running

    def worker(self, bopis: type) -> Worker:
        """A release: the one that runs today, but for its plan of an order."""
        return Worker(
            self.client,
            task_queue=self._task_queue,
            workflows=[*(one for one in WORKFLOWS if one is not BopisWorkflow), bopis],
            activities=[*activities_on(self.shop.database, self._provider), look_first],
            workflow_runner=UnsandboxedWorkflowRunner(),
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        )

    async def begun(self, journey: str) -> bool:
        """Whether a worker has taken the journey up: it waits for its time."""
        try:
            return [one async for one in self.events(journey) if one.HasField("timer_started_event_attributes")] != []
        except RPCError:  # the relay has not started it yet
            return False

    def events(self, journey: str) -> Any:
        return self.client.get_workflow_handle(journey).fetch_history_events()

    async def has_failed_to_replay(self, journey: str) -> bool:
        cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
        found = [one async for one in self.events(journey) if one.HasField("workflow_task_failed_event_attributes")]
        return any(one.workflow_task_failed_event_attributes.cause == cause for one in found)

    async def is_over(self, journey: str) -> bool:
        status = (await self.client.get_workflow_handle(journey).describe()).status
        return status is WorkflowExecutionStatus.COMPLETED

    async def collect(self, journey: str) -> None:
        lines = [{"line_id": "1", "quantity": 1}]
        for kind, who in (("bopis.picked", "picker"), ("bopis.handed_over", "actor")):
            outcome = await self.shop.report(kind, journey_id=journey, lines=lines, **{who: "p1"})
            assert outcome.outcome == "accepted", outcome

    async def state(self, journey: str) -> Any:
        return await self.shop.value("SELECT state FROM journey WHERE id = :id", id=journey)


async def test_journeys_under_way_go_on_under_a_release_with_another_plan(
    shop: Shop, temporal: TemporalServer, task_queue: str, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    company = Company(shop, temporal.client, task_queue, tmp_path)
    async with company.relaying():
        async with company.worker(BopisWorkflow):
            old = await shop.order()
            await eventually(lambda: company.begun(old))
        async with company.worker(Branched):
            new = await shop.order()
            for journey in (old, new):
                await company.collect(journey)
            for journey in (old, new):
                await eventually(lambda journey=journey: company.is_over(journey))
    assert (await company.state(old), await company.state(new)) == ("collected", "collected")
    assert [one for one in looked if one in (old, new)] == [new]
    assert not await company.has_failed_to_replay(old)


async def test_a_forgotten_branch_costs_a_wait_and_loses_nothing(
    shop: Shop, temporal: TemporalServer, task_queue: str, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """Facts are recorded all the while; the release that replays sets the journey going again."""
    company = Company(shop, temporal.client, task_queue, tmp_path)
    async with company.relaying():
        async with company.worker(BopisWorkflow):
            order = await shop.order()
            await eventually(lambda: company.begun(order))
        async with company.worker(Forgotten):
            await company.collect(order)
            await eventually(lambda: company.has_failed_to_replay(order))
            assert await company.state(order) == "collected"
            assert not await company.is_over(order)
        async with company.worker(Branched):
            await eventually(lambda: company.is_over(order))


async def test_a_workflow_that_no_release_replays_is_ended_and_begun_anew_from_the_ledger(
    shop: Shop, temporal: TemporalServer, task_queue: str, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    company = Company(shop, temporal.client, task_queue, tmp_path)
    async with company.relaying():
        async with company.worker(BopisWorkflow):
            order = await shop.order()
            await eventually(lambda: company.begun(order))
        async with company.worker(Forgotten):
            await shop.tell(order)
            await eventually(lambda: company.has_failed_to_replay(order))
            await temporal.client.get_workflow_handle(order).terminate()
            await company.collect(order)
            await eventually(lambda: company.is_over(order))
    assert await company.state(order) == "collected"
    assert order in looked
