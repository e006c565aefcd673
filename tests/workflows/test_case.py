"""The clocks of a case and of an approval: they climb, remind and expire by steps, and stop when somebody acted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from domain.messages import Due, Message, Situation
from tests.fakes import due_in

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage


def asked(state: str, seq: int = 1, *, ended: bool = False, dues: tuple[Due, ...] = ()) -> Situation:
    return Situation(subject="7", state=state, seq=seq, ended=ended, dues=dues)


class TestTheLadder:
    async def test_it_climbs_level_by_level_while_nobody_acts(self, stage: Stage) -> None:
        levels = tuple(due_in("level", hours=hours) for hours in (1, 2, 3))
        stage.steps.answer(
            "case.on_due", asked("open", dues=levels[1:2]), asked("open", dues=levels[2:3]), asked("open")
        )
        handle = await stage.start("case", asked("open", dues=levels[:1]))
        await stage.waits(handle, state="open")
        for number in (1, 2, 3):
            await stage.temporal.skip(handle, timedelta(hours=1, minutes=1))
            await stage.took(*["case.on_due"] * number)
        assert [step.occurrence for step in stage.steps.of("case.on_due")] == [
            f"level@{level.at.isoformat()}" for level in levels
        ]

    async def test_a_claim_moves_the_next_level(self, stage: Stage) -> None:
        handle = await stage.start("case", asked("open", dues=(due_in("level", hours=1),)))
        await stage.tell(handle, Message.CASE_CHANGED, asked("claimed", 2, dues=(due_in("level", hours=6),)))
        await stage.waits(handle, state="claimed")
        await stage.temporal.skip(handle, timedelta(hours=2))
        assert stage.steps.taken == []

    async def test_it_ends_when_the_case_is_closed(self, stage: Stage) -> None:
        handle = await stage.start("case", asked("claimed", dues=(due_in("level", hours=1),)))
        await stage.tell(handle, Message.CASE_CLOSED, asked("resolved", 2, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_pause_ends_by_a_step(self, stage: Stage) -> None:
        stage.steps.answer("case.on_due", asked("claimed"))
        handle = await stage.start("case", asked("waiting", dues=(due_in("waiting", hours=-1),)))
        await stage.waits(handle, state="claimed")
        assert stage.steps.of("case.on_due")[0].due == "waiting"

    async def test_a_failing_step_neither_closes_it_nor_is_given_up(self, stage: Stage) -> None:
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("case.on_due", broken, asked("open", ended=True))
        handle = await stage.start("case", asked("open", dues=(due_in("level", hours=-1),)))
        await stage.took("case.on_due")
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        await stage.temporal.skip_to_the_end(handle)
        assert stage.steps.names() == ["case.on_due"] * 2

    @pytest.mark.parametrize("state", ["open", "claimed", "waiting", "deciding"])
    async def test_it_can_be_entered_in_every_open_state(self, stage: Stage, state: str) -> None:
        handle = await stage.start("case", asked(state, 8))
        await stage.waits(handle, state=state, seq=8)
        await stage.tell(handle, Message.CASE_CLOSED, asked("cancelled", 9, ended=True))
        await handle.result()


class TestApprovals:
    async def test_reminders_next_level_and_expiry_are_steps(self, stage: Stage) -> None:
        instants = tuple(due_in("next", hours=hours) for hours in (4, 6, 8))
        stage.steps.answer(
            "approval.on_due",
            asked("pending", dues=instants[1:2]),
            asked("pending", dues=instants[2:3]),
            asked("expired", ended=True),
        )
        handle = await stage.start("approval", asked("pending", dues=instants[:1]))
        await stage.waits(handle, state="pending")
        await stage.temporal.skip_to_the_end(handle)
        taken = stage.steps.of("approval.on_due")
        assert [step.occurrence for step in taken] == [f"next@{instant.at.isoformat()}" for instant in instants]
        assert all(step.at >= instant.at for step, instant in zip(taken, instants, strict=True))

    async def test_a_verdict_ends_it_without_a_step(self, stage: Stage) -> None:
        handle = await stage.start("approval", asked("pending", dues=(due_in("next", hours=4),)))
        await stage.tell(handle, Message.APPROVAL_CLOSED, asked("approved", 2, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_an_expiry_that_lost_to_a_verdict_ends_with_the_verdict(self, stage: Stage) -> None:
        stage.steps.answer("approval.on_due", asked("approved", 2, ended=True))
        handle = await stage.start("approval", asked("pending", dues=(due_in("next", hours=-1),)))
        await stage.took("approval.on_due")
        await stage.waits(handle, state="pending")
        await stage.tell(handle, Message.APPROVAL_CLOSED, asked("approved", 2, ended=True))
        await handle.result()
