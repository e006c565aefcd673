"""The BOPIS journey alone: what it waits for in each state, and that what was recorded first decides."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from domain.bopis import FINAL, BopisState
from domain.errors import NothingOffered
from domain.messages import Due, Message
from tests.fakes import ORDER, Gate, due_in, order

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage


class TestTheHappyPath:
    async def test_collected_order_takes_no_step_and_few_events(self, stage: Stage) -> None:
        window = due_in("window", hours=40)
        handle = await stage.start("bopis", order("reserved", dues=(due_in("pick_nag_1", hours=1),)))
        await stage.waits(handle, state="reserved")
        await stage.tell(handle, Message.PICK_RECORDED, order("ready_for_pickup", 2, dues=(window,)))
        await stage.waits(handle, state="ready_for_pickup")
        await stage.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 3, ended=True))
        await handle.result()
        events = [event async for event in handle.fetch_history_events()]
        print(f"a collected order costs {len(events)} Temporal events")  # noqa: T201  a figure worth seeing with -s
        assert stage.steps.taken == []
        assert len(events) <= 20

    async def test_payment_operations_are_carried_out_before_it_ends(self, stage: Stage) -> None:
        stage.steps.answer("payment.carry_out", order("collected", 2, ended=True))
        handle = await stage.start("bopis", order("ready_for_pickup"))
        await stage.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 2, ended=True, operations=("op-1",)))
        await handle.result()
        (step,) = stage.steps.of("payment.carry_out")
        assert (step.operation_id, step.subject) == ("op-1", ORDER)


class TestMessages:
    async def test_a_message_that_was_heard_before_is_ignored(self, stage: Stage) -> None:
        handle = await stage.start("bopis", order("reserved"))
        ready = order("ready_for_pickup", 3)
        await stage.tell(handle, Message.PICK_RECORDED, ready)
        await stage.tell(handle, Message.PICK_RECORDED, ready)
        await stage.tell(handle, Message.PICK_RECORDED, order("picking", 2))
        await stage.tell(handle, Message.TIME_SKIPPED, order("ready_for_pickup", 4, clock_offset_s=60))
        await stage.waits(handle, state="ready_for_pickup", seq=4, clock_offset_s=60)

    async def test_a_message_of_the_number_it_started_with_is_ignored(self, stage: Stage) -> None:
        handle = await stage.start("bopis", order("ready_for_pickup", 5))
        await stage.tell(handle, Message.PICK_RECORDED, order("picking", 5))
        await stage.tell(handle, Message.WINDOW_EXTENDED, order("ready_for_pickup", 6))
        await stage.waits(handle, state="ready_for_pickup", seq=6)

    async def test_hand_over_and_pick_delivered_at_once_are_both_heard(self, stage: Stage) -> None:
        handle = await stage.start("bopis", order("reserved"))
        await stage.tell(handle, Message.PICK_RECORDED, order("ready_for_pickup", 2))
        await stage.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 3, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_message_that_cannot_be_read_is_not_lost_in_silence(self, stage: Stage) -> None:
        handle = await stage.start("bopis", order("reserved"))
        await stage.waits(handle, state="reserved")
        await handle.signal("tell", {"seq": 2, "message": "SomethingNew", "situation": {}})
        # This worker fails workflows on errors; a production worker tries the task again until it understands.
        with pytest.raises(WorkflowFailureError):
            await handle.result()


class TestDues:
    async def test_the_step_is_taken_when_the_instant_has_come(self, stage: Stage) -> None:
        nag, late = due_in("pick_nag_1", hours=1), due_in("pick_nag_2", hours=2)
        stage.steps.answer("bopis.on_due", order("reserved", dues=(late,)), order("reserved"))
        handle = await stage.start("bopis", order("reserved", dues=(nag, late)))
        await stage.waits(handle, state="reserved")
        assert stage.steps.taken == []
        await stage.temporal.skip(handle, timedelta(hours=1, minutes=1))
        await stage.took("bopis.on_due")
        await stage.temporal.skip(handle, timedelta(hours=1))
        await stage.took("bopis.on_due", "bopis.on_due")
        first, second = stage.steps.of("bopis.on_due")
        assert (first.due, second.due) == ("pick_nag_1", "pick_nag_2")
        assert first.occurrence == f"pick_nag_1@{nag.at.isoformat()}"
        assert first.at >= nag.at
        assert second.at >= late.at

    async def test_two_dues_of_one_instant_are_two_steps(self, stage: Stage) -> None:
        nag = due_in("pick_nag_2", hours=-1)
        late = Due(name="pick", at=nag.at)
        stage.steps.answer("bopis.on_due", order("reserved", dues=(late,)), order("reserved"))
        handle = await stage.start("bopis", order("reserved", dues=(nag, late)))
        await stage.took("bopis.on_due", "bopis.on_due")
        assert len({step.occurrence for step in stage.steps.of("bopis.on_due")}) == 2
        await stage.waits(handle, dues=())

    async def test_a_due_that_remains_after_its_step_is_not_taken_for_ever(self, stage: Stage) -> None:
        stuck = due_in("pick_nag_1", hours=-1)
        stage.steps.answer("bopis.on_due", order("reserved", dues=(stuck,)))
        handle = await stage.start("bopis", order("reserved", dues=(stuck,)))
        await stage.took("bopis.on_due")
        await stage.tell(handle, Message.TIME_SKIPPED, order("reserved", 2, dues=(stuck,)))
        await stage.waits(handle, seq=2)
        await stage.took("bopis.on_due")

    async def test_skipped_time_moves_the_clock_of_the_journey(self, stage: Stage) -> None:
        window = due_in("window", hours=3)
        stage.steps.answer("bopis.on_due", order("expired", 2, ended=True, clock_offset_s=10_860))
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await stage.waits(handle, state="ready_for_pickup")
        skipped = order("ready_for_pickup", 2, dues=(window,), clock_offset_s=10_860)
        await stage.tell(handle, Message.TIME_SKIPPED, skipped)
        await handle.result()
        (step,) = stage.steps.of("bopis.on_due")
        assert step.at >= window.at

    async def test_a_window_that_was_extended_does_not_end_at_the_old_instant(self, stage: Stage) -> None:
        old, new = due_in("window", hours=2), due_in("window", hours=30)
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(old,)))
        await stage.tell(handle, Message.WINDOW_EXTENDED, order("ready_for_pickup", 2, dues=(new,)))
        await stage.waits(handle, seq=2)
        await stage.temporal.skip(handle, timedelta(hours=3))
        assert stage.steps.taken == []


class TestWhatWasRecordedFirstDecides:
    async def test_a_fact_that_arrives_while_a_step_runs_beats_its_answer(self, stage: Stage) -> None:
        window = due_in("window", hours=-1)
        gate = Gate(order("ready_for_pickup", 1))
        stage.steps.answer("bopis.on_due", gate)
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await gate.reached.wait()
        collected = order("collected", 2, operations=("op-1",), ended=True)
        await stage.tell(handle, Message.HAND_OVER_RECORDED, collected)
        stage.steps.answer("payment.carry_out", order("collected", 2, ended=True))
        gate.open.set()
        await handle.result()
        assert stage.steps.names() == ["bopis.on_due", "payment.carry_out"]

    async def test_an_answer_waits_for_the_message_it_already_knows(self, stage: Stage) -> None:
        """The timer fires although the hand-over is recorded: the step does nothing and knows of message 2."""
        window = due_in("window", hours=-1)
        stage.steps.answer("bopis.on_due", order("collected", 2, ended=True))
        handle = await stage.start("bopis", order("ready_for_pickup", dues=(window,)))
        await stage.took("bopis.on_due")
        await stage.waits(handle, state="ready_for_pickup", seq=1)
        await stage.tell(handle, Message.HAND_OVER_RECORDED, order("collected", 2, ended=True))
        await handle.result()

    async def test_a_decision_recorded_before_an_outage_beats_the_timer_that_fires_after_it(self, stage: Stage) -> None:
        late = due_in("ask_fallback", hours=1)
        asked = order("reservation_failed", dues=(late,), case_id=7)
        decided = order("reservation_failed", 2, dues=(late,), case_id=7, decision_id=9)
        # The due step finds the decision recorded, does nothing, and says that message 2 is known to it.
        stage.steps.answer("bopis.on_due", decided)
        stage.steps.answer("bopis.apply_decision", order("reserved", 2))
        handle = await stage.start("bopis", asked)
        await stage.waits(handle, case_id=7)
        await stage.temporal.skip(handle, timedelta(hours=2))
        await stage.took("bopis.on_due")
        await stage.tell(handle, Message.DECISION_RECORDED, decided)
        await stage.took("bopis.on_due", "bopis.apply_decision")
        await stage.waits(handle, state="reserved")


class TestAskingPeople:
    async def test_a_failed_reservation_opens_a_case_and_applies_the_answer(self, stage: Stage) -> None:
        stage.steps.answer("bopis.open_case", order("reservation_failed", case_id=7))
        stage.steps.answer("bopis.apply_decision", order("reserved", 2))
        handle = await stage.start("bopis", order("reservation_failed"))
        await stage.waits(handle, case_id=7)
        decided = order("reservation_failed", 2, case_id=7, decision_id=9)
        await stage.tell(handle, Message.DECISION_RECORDED, decided)
        await stage.waits(handle, state="reserved")
        assert stage.steps.names() == ["bopis.open_case", "bopis.apply_decision"]
        (step,) = stage.steps.of("bopis.apply_decision")
        assert (step.decision_id, step.occurrence) == (9, "decision-9")

    async def test_an_order_that_healed_before_anybody_was_asked_goes_on(self, stage: Stage) -> None:
        stage.steps.answer("bopis.open_case", order("reserved"))
        handle = await stage.start("bopis", order("reservation_failed"))
        await stage.waits(handle, state="reserved")
        assert stage.steps.names() == ["bopis.open_case"]

    async def test_an_order_that_waits_for_stock_asks_again_only_when_the_wait_is_over(self, stage: Stage) -> None:
        waiting = order("reservation_failed", dues=(due_in("wait", hours=20),))
        stage.steps.answer("bopis.on_due", order("reservation_failed", case_id=8))
        handle = await stage.start("bopis", waiting)
        await stage.waits(handle, state="reservation_failed")
        await stage.temporal.skip(handle, timedelta(hours=19))
        assert stage.steps.taken == []
        await stage.temporal.skip(handle, timedelta(hours=2))
        await stage.waits(handle, case_id=8)
        assert stage.steps.names() == ["bopis.on_due"]

    async def test_stock_found_while_the_case_is_open_heals_without_a_step(self, stage: Stage) -> None:
        handle = await stage.start("bopis", order("reservation_failed", case_id=7))
        await stage.tell(handle, Message.STOCK_FOUND, order("reserved", 2))
        await stage.waits(handle, state="reserved")
        assert stage.steps.taken == []

    async def test_stock_that_was_left_for_the_order_is_taken_up(self, stage: Stage) -> None:
        stage.steps.answer("bopis.attend", order("reserved", 2))
        handle = await stage.start("bopis", order("reservation_failed", case_id=7))
        await stage.tell(handle, Message.STOCK_FOUND, order("reservation_failed", 2, case_id=7, attention=("found",)))
        await stage.waits(handle, state="reserved")
        assert stage.steps.of("bopis.attend")[0].occurrence == "message-2"

    async def test_a_decision_that_needs_approval_waits_for_the_verdict(self, stage: Stage) -> None:
        asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
        pending = order("reservation_failed", 2, **asked, approval_id=3)
        stage.steps.answer("bopis.open_approval", pending)
        stage.steps.answer("bopis.apply_decision", order("cancelled", 3, operations=("refund-1",)))
        stage.steps.answer("payment.carry_out", order("cancelled", 3, ended=True))
        handle = await stage.start("bopis", order("reservation_failed", case_id=7))
        await stage.tell(handle, Message.DECISION_RECORDED, order("reservation_failed", 2, **asked))
        await stage.waits(handle, approval_id=3)
        await stage.took("bopis.open_approval")
        approved = order("reservation_failed", 3, **asked, approval_id=3, verdict="approved")
        await stage.tell(handle, Message.VERDICT_RECORDED, approved)
        await handle.result()
        assert stage.steps.names() == ["bopis.open_approval", "bopis.apply_decision", "payment.carry_out"]

    @pytest.mark.parametrize("verdict", ["rejected", "expired", "superseded"])
    async def test_without_approval_the_case_goes_back_to_its_owner(self, stage: Stage, verdict: str) -> None:
        asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True, "approval_id": 3}
        stage.steps.answer("bopis.give_back", order("reservation_failed", 3, case_id=7))
        handle = await stage.start("bopis", order("reservation_failed", 2, **asked))
        await stage.tell(handle, Message.VERDICT_RECORDED, order("reservation_failed", 3, **asked, verdict=verdict))
        await stage.waits(handle, decision_id=None, case_id=7)
        assert stage.steps.names() == ["bopis.give_back"]
        assert stage.steps.of("bopis.give_back")[0].reason == verdict

    async def test_a_decision_withdrawn_while_its_approval_is_pending_is_not_applied(self, stage: Stage) -> None:
        asked = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True, "approval_id": 3}
        handle = await stage.start("bopis", order("reservation_failed", 2, **asked))
        await stage.tell(handle, Message.CANCEL_RECORDED, order("cancelled", 3, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_way_out_that_is_gone_gives_the_case_back_with_the_reason(self, stage: Stage) -> None:
        stage.steps.answer("bopis.apply_decision", NothingOffered("The unit in Mainz was sold a minute ago."))
        stage.steps.answer("bopis.give_back", order("reservation_failed", 2, case_id=7))
        handle = await stage.start("bopis", order("reservation_failed", case_id=7))
        decided = order("reservation_failed", 2, case_id=7, decision_id=9)
        await stage.tell(handle, Message.DECISION_RECORDED, decided)
        await stage.took("bopis.apply_decision", "bopis.give_back")
        assert stage.steps.of("bopis.give_back")[0].reason == "The unit in Mainz was sold a minute ago."

    async def test_the_answer_to_a_late_pick_is_applied_without_leaving_the_pick(self, stage: Stage) -> None:
        stage.steps.answer("bopis.apply_decision", order("reserved", 2))
        handle = await stage.start("bopis", order("reserved", case_id=8))
        await stage.tell(handle, Message.DECISION_RECORDED, order("reserved", 2, case_id=8, decision_id=4))
        await stage.waits(handle, case_id=None)
        assert stage.steps.names() == ["bopis.apply_decision"]


class TestMoney:
    async def test_a_payment_without_an_answer_is_asked_again_under_the_same_key(self, stage: Stage) -> None:
        pending = order("cancelled", operations=("refund-1",))
        stage.steps.answer("payment.carry_out", pending, pending, order("cancelled", ended=True))
        handle = await stage.start("bopis", pending)
        await stage.took("payment.carry_out")
        await stage.temporal.skip_to_the_end(handle)
        assert stage.steps.names() == ["payment.carry_out"] * 3
        assert {step.operation_id for step in stage.steps.of("payment.carry_out")} == {"refund-1"}

    async def test_a_silent_provider_does_not_keep_the_journey_from_going_on(self, stage: Stage) -> None:
        stage.steps.answer("payment.carry_out", order("ready_for_pickup", operations=("capture-1",)))
        handle = await stage.start("bopis", order("ready_for_pickup", operations=("capture-1",)))
        await stage.took("payment.carry_out")
        extended = order("ready_for_pickup", 2, operations=("capture-1",), dues=(due_in("window", hours=9),))
        await stage.tell(handle, Message.WINDOW_EXTENDED, extended)
        await stage.waits(handle, seq=2)

    async def test_a_journey_that_ended_stays_until_its_refund_is_paid(self, stage: Stage) -> None:
        gate = Gate(order("cancelled", ended=True))
        stage.steps.answer("payment.carry_out", gate)
        handle = await stage.start("bopis", order("cancelled", ended=True, operations=("refund-1",)))
        await gate.reached.wait()
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        gate.open.set()
        await handle.result()


class TestEnteredAnywhere:
    @pytest.mark.parametrize("state", [state for state in BopisState if state not in FINAL])
    async def test_it_waits_in_the_state_it_was_given(self, stage: Stage, state: BopisState) -> None:
        case_id = 7 if state is BopisState.RESERVATION_FAILED else None
        handle = await stage.start("bopis", order(state.value, 12, case_id=case_id, dues=(due_in("some", hours=5),)))
        await stage.waits(handle, state=state.value, seq=12)
        assert stage.steps.taken == []
        await stage.tell(handle, Message.CANCEL_RECORDED, order("cancelled", 13, ended=True))
        await handle.result()

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_goods_in_staging_keep_a_final_state_open(self, stage: Stage, state: BopisState) -> None:
        handle = await stage.start("bopis", order(state.value, 4, dues=(due_in("put_away", hours=24),)))
        await stage.waits(handle, state=state.value)
        assert stage.steps.taken == []
        await stage.tell(handle, Message.PUT_AWAY_RECORDED, order(state.value, 5, ended=True))
        await handle.result()

    async def test_one_that_has_ended_ends_at_once(self, stage: Stage) -> None:
        handle = await stage.start("bopis", order("collected", 9, ended=True))
        await handle.result()
        assert stage.steps.taken == []
