"""The return as a workflow: each state alone under fake steps, then whole paths with the real ledger and server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from temporalio.exceptions import ApplicationError

from domain.messages import Message, Situation
from domain.returns import FINAL, ReturnState
from ledger import verdicts
from ledger.journeys import skip_time
from tests.fakes import due_in
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.returning import Back, collected, shelf
from tests.shop import ADA, MAX, TEA

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

RETURN = "returns:web:RT-1"
OPEN = frozenset(ReturnState) - FINAL
DAY_S = 86_400


def back(state: str, seq: int = 1, **more: Any) -> Situation:
    return Situation.model_validate({"subject": RETURN, "state": state, "seq": seq, **more})


class TestEveryState:
    @pytest.mark.parametrize("state", sorted(OPEN))
    async def test_what_falls_due_is_taken_and_then_it_waits(self, stage: Stage, state: str) -> None:
        stage.steps.answer("returns.on_due", back(state))
        await stage.start("returns", back(state, dues=(due_in("inspection", seconds=-1),)))
        await stage.took("returns.on_due")

    @pytest.mark.parametrize("state", sorted(OPEN))
    async def test_a_refund_is_carried_out_in_whatever_state(self, stage: Stage, state: str) -> None:
        stage.steps.answer("payment.carry_out", back("closed", ended=True))
        handle = await stage.start("returns", back(state, operations=("refund-1",)))
        await handle.result()
        assert stage.steps.of("payment.carry_out")[0].operation_id == "refund-1"

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_entered_at_its_end_it_ends(self, stage: Stage, state: str) -> None:
        handle = await stage.start("returns", back(state, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_over_and_not_yet_paid_it_stays_until_it_is(self, stage: Stage, state: str) -> None:
        stage.steps.answer("payment.carry_out", back(state, ended=True))
        handle = await stage.start("returns", back(state, operations=("refund-1",)))
        await handle.result()
        assert stage.steps.names() == ["payment.carry_out"]

    @pytest.mark.parametrize("state", ["requested", "received", "inspecting", "dispositioned"])
    async def test_a_case_is_waited_for_and_its_answer_applied(self, stage: Stage, state: str) -> None:
        stage.steps.answer("returns.apply_decision", back("closed", 2, ended=True))
        handle = await stage.start("returns", back(state, case_id=7))
        await stage.tell(handle, Message.DECISION_RECORDED, back(state, 2, case_id=7, decision_id=9))
        await handle.result()
        assert stage.steps.of("returns.apply_decision")[0].decision_id == 9

    async def test_what_is_not_approved_is_given_back(self, stage: Stage) -> None:
        asked: dict[str, Any] = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
        stage.steps.answer("returns.open_approval", back("received", 2, **asked, approval_id=3))
        stage.steps.answer("returns.give_back", back("received", 3, case_id=7))
        handle = await stage.start("returns", back("received", case_id=7))
        await stage.tell(handle, Message.DECISION_RECORDED, back("received", 2, **asked))
        await stage.took("returns.open_approval")
        verdict = back("received", 3, **asked, approval_id=3, verdict="rejected")
        await stage.tell(handle, Message.VERDICT_RECORDED, verdict)
        await stage.took("returns.open_approval", "returns.give_back")
        await stage.waits(handle, decision_id=None, case_id=7)

    async def test_a_failure_suspends_it_and_a_person_resumes(self, stage: Stage) -> None:
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("returns.on_due", broken)
        stage.steps.answer("returns.suspend", back("received", suspended=True))
        handle = await stage.start("returns", back("received", dues=(due_in("inspection", seconds=-1),)))
        await stage.took("returns.on_due", "returns.suspend")
        await stage.tell(handle, Message.RESUMED, back("closed", 2, ended=True))
        await handle.result()


class TestWholePaths:
    async def test_at_the_counter_and_paid_once_though_the_first_answer_is_lost(self, hub: Hub) -> None:
        async with hub.worker():
            lines = [{"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_517}]
            pays = [{"reference": "c", "tender": "card", "amount_minor": 1_517, "state": "captured"}]
            back = await Back.open(hub.shop, await collected(hub.shop, 1, lines=lines, payments=pays))
            await back.receive()
            await back.inspect()
            await hub.ended(back.id)
        assert await back.state() == "closed"
        assert await back.refunds() == [("card", 1_517, "succeeded")]
        assert await hub.shop.value("SELECT attempts FROM payment_operation WHERE journey_id = :id", id=back.id) == 2
        assert await shelf(hub.shop) == {"available": 5}
        await assert_books_agree(hub.shop.database)

    async def test_not_received_and_open_again_when_the_goods_come_late(self, hub: Hub) -> None:
        async with hub.worker():
            back = await Back.open(hub.shop, await collected(hub.shop), method="mail")
            await hub.until(back.id, "authorized")
            await skip_time(hub.shop.database, back.id, ADA, seconds=15 * DAY_S, via="test")
            await hub.ended(back.id)
            assert await back.state() == "not_received"
            await back.receive()
            await back.inspect(condition="used")
            await hub.until(back.id, "closed")
            await hub.ended(back.id)
        told = await back.rows("SELECT step, detail FROM journey_step WHERE journey_id = :id AND step = 'on_due'")
        assert "The customer was reminded to send the goods." in [row["detail"] for row in told]
        await assert_books_agree(hub.shop.database)

    async def test_nobody_inspects_it_and_somebody_asks_why(self, hub: Hub) -> None:
        async with hub.worker():
            back = await Back.open(hub.shop, await collected(hub.shop), method="mail")
            await back.receive()
            await hub.until(back.id, "received")
            await skip_time(hub.shop.database, back.id, ADA, seconds=DAY_S + 60, via="test")
            await hub.open_case(back.id, "return_uninspected")
            await back.inspect()
            await hub.ended(back.id)
        assert (await back.state(), await back.cases()) == ("closed", [])
        await assert_books_agree(hub.shop.database)

    async def test_a_large_refund_is_approved_without_a_case_and_paid(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.put("S1", 20)
            back = await Back.open(hub.shop, await collected(hub.shop, 14), 14)
            await back.receive(14)
            await back.inspect(14)
            assert await back.cases() == []
            number = int((await back.row())["asks"]["approval_id"])
            await verdicts.record_verdict(hub.shop.database, number, MAX, verdict="approve", note="", via="test")
            await hub.ended(back.id)
        assert await back.state() == "closed"
        assert await back.refunds() == [("card", 21_000, "succeeded")]
        await assert_books_agree(hub.shop.database)

    async def test_a_large_refund_that_is_refused_is_a_case_with_the_other_ways_out(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.put("S1", 20)
            back = await Back.open(hub.shop, await collected(hub.shop, 14), 14)
            await back.receive(14)
            number = int((await back.row())["asks"]["approval_id"])
            await verdicts.record_verdict(hub.shop.database, number, MAX, verdict="reject", note="no", via="test")
            number = await hub.open_case(back.id, "return_review")
            await hub.decide(number, "decline")
            await back.inspect(14, condition="used")
            await hub.ended(back.id)
        assert (await back.state(), await back.refunds()) == ("closed", [])
        await assert_books_agree(hub.shop.database)

    async def test_nobody_answers_a_large_refund_and_it_is_a_case(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.put("S1", 20)
            back = await Back.open(hub.shop, await collected(hub.shop, 14), 14)
            await back.receive(14)
            await back.inspect(14)
            await skip_time(hub.shop.database, back.id, ADA, seconds=2 * DAY_S, via="test")
            await hub.open_case(back.id, "return_review")
        assert await hub.shop.value("SELECT state FROM approval WHERE journey_id = :id", id=back.id) == "expired"
        assert await back.refunds() == []
