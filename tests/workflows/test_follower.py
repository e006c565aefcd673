"""What all workflows share: the list of refusals, and a history that is cut without losing anything."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import Worker

import wire
from domain.errors import DomainError
from domain.messages import Message, Situation
from embedded.ports import free_port
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, TIME_SKIPPING, EmbeddedTemporal
from tests.conftest import TemporalServer
from tests.fakes import FakeSteps, due_in
from workflows.bopis import BopisWorkflow
from workflows.options import NOT_RETRYABLE, PAYMENT_PAUSES, payment_pause

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage


def _all_refusals(base: type[DomainError]) -> set[str]:
    return {name for child in base.__subclasses__() for name in {child.__name__} | _all_refusals(child)}


class TestOptions:
    def test_every_refusal_is_listed_as_not_to_be_tried_again(self) -> None:
        assert set(NOT_RETRYABLE) == _all_refusals(DomainError)

    def test_pauses_between_payments_grow_and_end_at_a_quarter_of_an_hour(self) -> None:
        assert list(PAYMENT_PAUSES) == sorted(PAYMENT_PAUSES)
        assert payment_pause(1) == timedelta(seconds=2)
        assert payment_pause(500) == timedelta(minutes=15)


@pytest.fixture
async def forgetful(tmp_path: Path) -> AsyncIterator[TemporalServer]:
    """A server that suggests a fresh history after a few events."""
    limits = ("limit.historyCount.suggestContinueAsNew=12",)
    server = EmbeddedTemporal(
        tmp_path / "temporal.log", free_port(), dynamic_config=(*SINGLE_NODE, *TIME_SKIPPING, *QUICK_TIMERS, *limits)
    )
    await server.start()
    try:
        client = await Client.connect(
            server.address,
            namespace=server.namespace,
            data_converter=pydantic_data_converter,
            grpc_compression=GrpcCompression.NONE,
        )
        skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=True, max_session_skip_count=1000))
        yield TemporalServer(server.address, server.namespace, client, skipper)
    finally:
        await server.stop()


class TestContinueAsNew:
    async def test_everything_is_handed_over_to_the_fresh_history(
        self, forgetful: TemporalServer, task_queue: str, eventually: Callable[..., Any]
    ) -> None:
        from tests.workflows.conftest import Stage

        steps = FakeSteps()
        window = due_in("window", hours=3)
        worker = Worker(
            forgetful.client,
            task_queue=task_queue,
            workflows=[BopisWorkflow],
            activities=steps.activities(),
            workflow_runner=wire.workflow_runner(),
            workflow_failure_exception_types=[Exception],
        )
        async with worker:
            stage = Stage(forgetful, task_queue, steps, eventually)
            first = Situation(
                subject="bopis:web:1", state="ready_for_pickup", dues=(window,), case_id=7, clock_offset_s=60
            )
            handle = await stage.start("bopis", first)
            for seq in range(2, 13):
                await stage.tell(handle, Message.WINDOW_EXTENDED, first.model_copy(update={"seq": seq}))
                await stage.waits(handle, seq=seq)
            run_now = (await handle.describe()).run_id
            assert run_now != handle.first_execution_run_id
            await stage.waits(handle, dues=(window,), case_id=7, clock_offset_s=60, seq=12)
            await stage.tell(handle, Message.PICK_RECORDED, first.model_copy(update={"seq": 12, "state": "picking"}))
            await stage.waits(handle, state="ready_for_pickup")
            steps.answer("bopis.on_due", first.model_copy(update={"seq": 12, "state": "expired", "ended": True}))
            current = forgetful.client.get_workflow_handle(handle.id)
            await forgetful.skip(current, timedelta(hours=4))
            await stage.took("bopis.on_due")
            assert steps.of("bopis.on_due")[0].due == "window"
            await current.result()
            # So is where due steps are tried: no task of an activity, but a marker
            kinds = [event.event_type async for event in current.fetch_history_events()]
            assert EventType.EVENT_TYPE_MARKER_RECORDED in kinds
            assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in kinds


class TestWhatPeopleSee:
    async def test_temporals_own_pages_tell_what_is_waited_for(self, stage: Stage) -> None:
        due = due_in("pick_nag_1", hours=1)
        handle = await stage.start("bopis", Situation(subject="bopis:web:1", state="reserved", dues=(due,)))
        await stage.waits(handle, state="reserved")
        metadata = await handle.query("__temporal_workflow_metadata")
        assert "bopis:web:1 is reserved" in str(metadata)
        assert "pick nag 1" in str(metadata)
