"""The BOPIS journey when a step fails: what is suspended, who resumes it, and what goes on meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from domain.errors import StepMismatch
from domain.messages import Message
from tests.fakes import Gate, due_in, order

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage


class TestFailures:
    async def test_an_unexpected_failure_suspends_and_a_person_resumes(self, stage: Stage) -> None:
        window = due_in("window", hours=-1)
        broken = ApplicationError("row 4711 says no", type="KeyError", non_retryable=True)
        stage.steps.answer("bopis.on_due", broken, order("expired", 2, ended=True))
        stage.steps.answer("bopis.suspend", order("ready_for_pickup", dues=(window,), suspended=True))
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await stage.waits(handle, suspended=True)
        await stage.took("bopis.on_due", "bopis.suspend")
        (suspended,) = stage.steps.of("bopis.suspend")
        assert "KeyError" in (suspended.reason or "")
        assert "4711" not in (suspended.reason or "")
        await stage.tell(handle, Message.RESUMED, order("ready_for_pickup", 2, dues=(window,)))
        await handle.result()
        assert stage.steps.names() == ["bopis.on_due", "bopis.suspend", "bopis.on_due"]

    async def test_a_person_who_resumes_at_once_is_heard_although_the_suspension_is_still_under_way(
        self, stage: Stage
    ) -> None:
        window = due_in("window", hours=-1)
        gate = Gate(order("ready_for_pickup", dues=(window,), suspended=True))
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("bopis.on_due", broken, order("expired", 2, ended=True))
        stage.steps.answer("bopis.suspend", gate)
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await gate.reached.wait()
        await stage.tell(handle, Message.RESUMED, order("ready_for_pickup", 2, dues=(window,)))
        gate.open.set()
        await handle.result()
        assert stage.steps.names() == ["bopis.on_due", "bopis.suspend", "bopis.on_due"]

    async def test_news_that_came_while_a_step_failed_is_acted_on_at_once(self, stage: Stage) -> None:
        window = due_in("window", hours=-1)
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        gate = Gate(order("ready_for_pickup"), raising=broken)
        stage.steps.answer("bopis.on_due", gate)
        stage.steps.answer("bopis.suspend", broken)
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await gate.reached.wait()
        await stage.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 2, ended=True))
        gate.open.set()
        await handle.result()

    async def test_a_suspended_journey_does_nothing_by_itself(self, stage: Stage) -> None:
        still = order("ready_for_pickup", dues=(due_in("window", hours=-1),), operations=("op-1",), suspended=True)
        handle = await stage.start("bopis", still)
        await stage.waits(handle, suspended=True)
        await stage.temporal.skip(handle, timedelta(days=3))
        assert stage.steps.taken == []

    async def test_a_suspended_journey_carries_out_the_answer_of_a_person(self, stage: Stage) -> None:
        stage.steps.answer("bopis.apply_decision", order("cancelled", 2, ended=True))
        handle = await stage.start("bopis", order("ready_for_pickup", suspended=True, case_id=5))
        decided = order("ready_for_pickup", 2, suspended=True, case_id=5, decision_id=6)
        await stage.tell(handle, Message.DECISION_RECORDED, decided)
        await handle.result()
        assert stage.steps.names() == ["bopis.apply_decision"]

    async def test_a_decision_that_fails_unexpectedly_is_not_tried_while_suspended(self, stage: Stage) -> None:
        decided = order("reservation_failed", 2, case_id=7, decision_id=9)
        broken = ApplicationError("no", type="IntegrityError", non_retryable=True)
        stage.steps.answer("bopis.apply_decision", broken, order("reserved", 3))
        stage.steps.answer("bopis.suspend", decided.model_copy(update={"suspended": True}))
        handle = await stage.start("bopis", decided)
        await stage.took("bopis.apply_decision", "bopis.suspend")
        await stage.waits(handle, suspended=True)
        await stage.temporal.skip(handle, timedelta(hours=2))
        await stage.took("bopis.apply_decision", "bopis.suspend")
        await stage.tell(handle, Message.RESUMED, decided.model_copy(update={"seq": 3}))
        await stage.waits(handle, state="reserved")

    async def test_a_step_that_changes_nothing_suspends_instead_of_going_round_and_round(self, stage: Stage) -> None:
        same = order("reservation_failed")
        stage.steps.answer("bopis.open_case", same)
        stage.steps.answer("bopis.suspend", same.model_copy(update={"suspended": True}))
        # Without a case nobody can answer; asking again would open nothing.
        handle = await stage.start("bopis", same)
        await stage.tell(handle, Message.TIME_SKIPPED, order("reservation_failed", 2))
        await stage.eventually(lambda: len(stage.steps.of("bopis.open_case")) >= 1)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING

    async def test_a_step_mismatch_is_a_mistake_of_ours_and_suspends(self, stage: Stage) -> None:
        decided = order("reservation_failed", 2, case_id=7, decision_id=9)
        stage.steps.answer("bopis.apply_decision", StepMismatch("taken before with another input"))
        stage.steps.answer("bopis.suspend", decided.model_copy(update={"suspended": True}))
        handle = await stage.start("bopis", decided)
        await stage.waits(handle, suspended=True)
        assert stage.steps.names() == ["bopis.apply_decision", "bopis.suspend"]

    async def test_an_unknown_state_suspends(self, stage: Stage) -> None:
        stage.steps.answer("bopis.suspend", order("beamed_up", suspended=True))
        handle = await stage.start("bopis", order("beamed_up"))
        await stage.waits(handle, suspended=True)

    async def test_even_a_refused_suspension_leaves_the_journey_running(self, stage: Stage) -> None:
        window = due_in("window", hours=-1)
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("bopis.on_due", broken, order("expired", 1, ended=True))
        stage.steps.answer("bopis.suspend", broken)
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await stage.took("bopis.on_due", "bopis.suspend")
        await stage.temporal.skip_to_the_end(handle)
        assert stage.steps.names() == ["bopis.on_due", "bopis.suspend", "bopis.on_due"]
