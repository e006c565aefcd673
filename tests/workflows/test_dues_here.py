"""What falls due is first tried by the worker that holds the workflow, and left to Temporal where that fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

import wire
from domain.errors import StateConflict
from domain.messages import Situation
from tests.fakes import FakeSteps, Gate, due_in
from workflows.bopis import BopisWorkflow

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.workflows.conftest import Stage

NAGGED = Situation(subject="bopis:web:1", state="reserved", dues=(due_in("pick_nag_1", seconds=-1),))
OVER = Situation(subject="bopis:web:1", state="cancelled", ended=True)
STOPPED = OVER.model_copy(update={"suspended": True})


async def _count(handle: WorkflowHandle[Any, Any], kind: EventType.ValueType) -> int:
    return len([event async for event in handle.fetch_history_events() if event.event_type == kind])


async def _tasks(handle: WorkflowHandle[Any, Any]) -> tuple[int, int, int]:
    """(workflow tasks, tasks of activities, steps taken within a workflow task) of a history."""
    return (
        await _count(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED),
        await _count(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED),
        await _count(handle, EventType.EVENT_TYPE_MARKER_RECORDED),
    )


async def test_a_due_step_is_taken_within_the_task_of_its_workflow(stage: Stage) -> None:
    stage.steps.answer("bopis.on_due", OVER)
    handle = await stage.start("bopis", NAGGED)
    await handle.result()
    assert stage.steps.names() == ["bopis.on_due"]
    assert await _tasks(handle) == (1, 0, 1)


async def test_a_workflow_that_was_begun_before_takes_it_as_it_did(stage: Stage) -> None:
    stage.steps.answer("bopis.on_due", OVER)
    handle = await stage.enter("bopis", NAGGED)
    await handle.result()
    assert await _tasks(handle) == (2, 1, 0)


async def test_what_fails_here_is_tried_by_temporal_until_it_succeeds(stage: Stage) -> None:
    away = OSError("PostgreSQL is away")
    stage.steps.answer("bopis.on_due", away, away, OVER)
    handle = await stage.start("bopis", NAGGED)
    await handle.result()
    assert stage.steps.names() == ["bopis.on_due"] * 3
    assert {step.occurrence for step in stage.steps.of("bopis.on_due")} == {
        f"pick_nag_1@{NAGGED.dues[0].at.isoformat()}"
    }
    assert (await _tasks(handle))[1:] == (1, 1)


async def test_a_refusal_is_not_asked_for_a_second_time(stage: Stage) -> None:
    """Neither by this worker nor by Temporal: the journey is suspended, as it is whenever a step is refused."""
    stage.steps.answer("bopis.on_due", StateConflict("It was collected."))
    stage.steps.answer("bopis.suspend", STOPPED)
    handle = await stage.start("bopis", NAGGED)
    await handle.result()
    assert stage.steps.names() == ["bopis.on_due", "bopis.suspend"]
    assert stage.steps.of("bopis.suspend")[0].reason == "StateConflict"


async def test_a_failure_that_is_final_is_not_left_to_temporal(stage: Stage) -> None:
    stage.steps.answer("bopis.on_due", ApplicationError("four times", type="KeyError", non_retryable=True))
    stage.steps.answer("bopis.suspend", STOPPED)
    handle = await stage.start("bopis", NAGGED)
    await handle.result()
    assert stage.steps.names() == ["bopis.on_due", "bopis.suspend"]


async def test_a_worker_that_stops_meanwhile_leaves_the_step_to_another(
    temporal: TemporalServer, task_queue: str
) -> None:
    """Its step is broken off; that is no request to cancel the journey."""
    gate, first, second = Gate(OVER), FakeSteps(), FakeSteps()
    first.answer("bopis.on_due", gate)
    second.answer("bopis.on_due", OVER)

    def worker(steps: FakeSteps) -> Worker:
        return Worker(
            temporal.client,
            task_queue=task_queue,
            workflows=[BopisWorkflow],
            activities=steps.activities(),
            workflow_runner=wire.ProvedRunner(),
            workflow_failure_exception_types=[Exception],
        )

    async with worker(first):
        handle = await temporal.client.start_workflow(
            "bopis", NAGGED.model_copy(update={"dues_here": True}), id=f"{task_queue}-1", task_queue=task_queue
        )
        await gate.reached.wait()
    async with worker(second):
        await handle.result()
    assert second.names() == ["bopis.on_due"]
