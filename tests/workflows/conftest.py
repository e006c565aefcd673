"""A stage for workflows: the real server, the real worker settings, and steps that answer what a test says."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

import wire
from domain.messages import Message, Situation, Told
from tests.fakes import FakeSteps
from tests.shop import Shop
from tests.workflows.hub import Hub
from worker import WORKFLOWS

if TYPE_CHECKING:
    from tests.conftest import TemporalServer

type Handle = WorkflowHandle[Any, Any]


@dataclass
class Stage:
    """Starts workflows, tells them things, and reads what they hold."""

    temporal: TemporalServer
    task_queue: str
    steps: FakeSteps
    eventually: Callable[..., Any]

    async def start(self, workflow: str, situation: Situation) -> Handle:
        """A workflow entered with `situation`, as the relay begins it."""
        return await self.enter(workflow, situation.model_copy(update={"dues_here": True}))

    async def enter(self, workflow: str, situation: Situation) -> Handle:
        """A workflow entered with exactly this."""
        return await self.temporal.client.start_workflow(
            workflow, situation, id=f"{workflow}:{uuid.uuid4().hex[:10]}", task_queue=self.task_queue
        )

    async def tell(self, handle: Handle, message: Message, situation: Situation) -> None:
        """What the relay sends: the message under the situation's own number."""
        await handle.signal("tell", Told(seq=situation.seq, message=message, situation=situation))

    async def held(self, handle: Handle) -> Situation:
        """The situation that the workflow holds."""
        held: Situation = await handle.query("situation", result_type=Situation)
        return held

    async def took(self, *names: str) -> None:
        """Wait until exactly these steps were taken, in this order."""
        await self.eventually(lambda: len(self.steps.names()) >= len(names))
        assert self.steps.names() == list(names)

    async def waits(self, handle: Handle, **fields: object) -> None:
        """Wait until the workflow holds a situation with these fields."""

        async def matches() -> bool:
            held = await self.held(handle)
            for name, value in fields.items():
                assert getattr(held, name) == value, f"{name}: {getattr(held, name)!r}, not {value!r}"
            return True

        await self.eventually(matches)


@pytest.fixture
async def stage(temporal: TemporalServer, task_queue: str, eventually: Callable[..., Any]) -> AsyncIterator[Stage]:
    """The stage of one test. A failure inside a workflow's code fails the workflow instead of hanging the test."""
    steps = FakeSteps()
    worker = Worker(
        temporal.client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=steps.activities(),
        workflow_runner=wire.workflow_runner(),
        workflow_failure_exception_types=[Exception],
    )
    async with worker:
        yield Stage(temporal, task_queue, steps, eventually)


@pytest.fixture
def hub(
    fresh_shop: Shop, temporal: TemporalServer, task_queue: str, tmp_path: Path, eventually: Callable[..., Any]
) -> Hub:
    return Hub(fresh_shop, temporal.client, task_queue, tmp_path / "sandbox.sqlite", eventually)
