"""The transfer as a workflow: each state alone under fake steps, then whole paths with the real ledger and server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from temporalio.exceptions import ApplicationError

from domain.messages import Message, Situation
from domain.transfer import BEFORE_APPROVAL, FINAL, ON_THE_WAY, TO_BE_SHIPPED, TransferState
from ledger import verdicts
from ledger.journeys import skip_time
from tests.fakes import due_in
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.transfers import Moved, shelf
from tests.shop import ADA, FIN, MAX, TEA

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

DAY_S = 86_400


def moved(state: str, seq: int = 1, **more: Any) -> Situation:
    return Situation.model_validate({"subject": "transfer:wms:T-1", "state": state, "seq": seq, **more})


class TestEveryState:
    @pytest.mark.parametrize("state", sorted(BEFORE_APPROVAL))
    async def test_a_verdict_is_waited_for_and_carried_out(self, stage: Stage, state: str) -> None:
        stage.steps.answer("transfer.settle_agreement", moved("rejected", 2, ended=True))
        handle = await stage.start("transfer", moved(state, approval_id=3))
        await stage.tell(handle, Message.VERDICT_RECORDED, moved(state, 2, approval_id=3, verdict="rejected"))
        await handle.result()
        (step,) = stage.steps.of("transfer.settle_agreement")
        assert (step.occurrence, step.approval_id) == ("approval-3", 3)

    @pytest.mark.parametrize(
        ("state", "due"),
        [(state, "ship") for state in sorted(TO_BE_SHIPPED)] + [(s, "receipt") for s in sorted(ON_THE_WAY)],
    )
    async def test_what_is_late_is_asked_about_and_the_answer_applied(self, stage: Stage, state: str, due: str) -> None:
        stage.steps.answer("transfer.on_due", moved(state, case_id=7))
        stage.steps.answer("transfer.apply_decision", moved("cancelled", 2, ended=True))
        handle = await stage.start("transfer", moved(state, dues=(due_in(due, seconds=-1),)))
        await stage.took("transfer.on_due")
        await stage.tell(handle, Message.DECISION_RECORDED, moved(state, 2, case_id=7, decision_id=9))
        await handle.result()
        assert stage.steps.names() == ["transfer.on_due", "transfer.apply_decision"]

    async def test_received_it_is_compared_and_asked_about(self, stage: Stage) -> None:
        stage.steps.answer("transfer.compare", moved("discrepancy_review", case_id=7))
        stage.steps.answer("transfer.apply_decision", moved("closed", 2, ended=True))
        handle = await stage.start("transfer", moved("received"))
        await stage.took("transfer.compare")
        await stage.tell(handle, Message.DECISION_RECORDED, moved("discrepancy_review", 2, case_id=7, decision_id=9))
        await handle.result()

    async def test_a_wait_is_looked_at_again(self, stage: Stage) -> None:
        stage.steps.answer("transfer.on_due", moved("closed", ended=True))
        handle = await stage.start("transfer", moved("discrepancy_review", dues=(due_in("await", seconds=-1),)))
        await handle.result()
        assert stage.steps.names() == ["transfer.on_due"]

    async def test_goods_that_come_meanwhile_end_the_question(self, stage: Stage) -> None:
        handle = await stage.start("transfer", moved("discrepancy_review", case_id=7))
        await stage.tell(handle, Message.TRANSFER_RECEIVED, moved("closed", 2, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_entered_at_its_end_it_ends(self, stage: Stage, state: str) -> None:
        handle = await stage.start("transfer", moved(state, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_failure_suspends_it_and_a_person_resumes(self, stage: Stage) -> None:
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("transfer.compare", broken, moved("closed", 2, ended=True))
        stage.steps.answer("transfer.suspend", moved("received", suspended=True))
        handle = await stage.start("transfer", moved("received"))
        await stage.took("transfer.compare", "transfer.suspend")
        await stage.tell(handle, Message.RESUMED, moved("received", 2))
        await handle.result()

    def test_no_state_is_forgotten(self) -> None:
        """Each state is in one of the tests above."""
        seen = {*BEFORE_APPROVAL, *TO_BE_SHIPPED, *ON_THE_WAY, *FINAL, "received", "discrepancy_review"}
        assert seen == set(TransferState)


async def _asked(hub: Hub, journey: str) -> int:
    """The newest approval of a journey, once there is a pending one."""

    async def there() -> object:
        await hub.carry()
        return await hub.shop.value(
            "SELECT max(id) FROM approval WHERE journey_id = :id AND state = 'pending'", id=journey
        )

    return int(await hub.eventually(there))


class TestWholePaths:
    async def test_agreed_sent_received_short_counted_written_off(self, hub: Hub) -> None:
        """The whole of it: a manager agrees, it is sent late, comes short, is counted, and finance writes it off."""
        shop = hub.shop
        await shop.put("S1", 100)
        async with hub.worker():
            it = await Moved.open(shop, (TEA, 90), requested_by="ana")
            assert it.answer.state == "pending_approval"
            asked = await _asked(hub, it.id)
            await verdicts.record_verdict(shop.database, asked, MAX, verdict="approve", note="", via="test")
            await hub.until(it.id, "ready_to_ship")
            await skip_time(shop.database, it.id, ADA, seconds=DAY_S + 60, via="test")
            late = await hub.open_case(it.id, "transfer_shipment_overdue")
            await hub.decide(late, "more_time")
            await hub.ended(f"case:{late}:1")
            await it.ship(carrier="Parcel Co")
            await it.receive(60)
            await it.receive(10, complete=True)
            short = await hub.open_case(it.id, "transfer_short")
            await hub.decide(short, "recount_destination")
            await hub.ended(f"case:{short}:1")
            await skip_time(shop.database, it.id, ADA, seconds=DAY_S + 60, via="test")
            assert await hub.open_case(it.id, "transfer_short") == short
            await hub.decide(short, "accept", root_cause="lost_by_carrier")
            asked = await _asked(hub, it.id)
            await verdicts.record_verdict(shop.database, asked, FIN, verdict="approve", note="", via="test")
            await hub.ended(it.id)
        assert await it.state() == "closed"
        assert await shelf(shop, "S2") == {"available": 75}
        await assert_books_agree(shop.database)

    async def test_nobody_agrees_in_time(self, hub: Hub) -> None:
        await hub.shop.put("S1", 100)
        async with hub.worker():
            it = await Moved.open(hub.shop, (TEA, 90))
            asked = await _asked(hub, it.id)
            await skip_time(hub.shop.database, it.id, ADA, seconds=20 * DAY_S, via="test")
            await hub.until(it.id, "rejected")
            await hub.ended(it.id, f"approval:{asked}")
        assert await shelf(hub.shop, "S1") == {"available": 100}

    async def test_it_does_not_come_and_is_declared_lost(self, hub: Hub) -> None:
        async with hub.worker():
            it = await Moved.open(hub.shop, (TEA, 3))
            await it.ship()
            await hub.until(it.id, "in_transit")
            await skip_time(hub.shop.database, it.id, ADA, seconds=4 * DAY_S, via="test")
            late = await hub.open_case(it.id, "receipt_overdue")
            await hub.decide(late, "accept", root_cause="lost_by_carrier")
            await hub.ended(it.id, f"case:{late}:1")
        assert await it.state() == "closed"
        await assert_books_agree(hub.shop.database)

    async def test_goods_that_come_after_the_end_open_it_again(self, hub: Hub) -> None:
        async with hub.worker():
            it = await Moved.open(hub.shop, (TEA, 3))
            await it.ship()
            await it.receive()
            await hub.ended(it.id)
            await it.receive(1)
            number = await hub.open_case(it.id, "transfer_over")
            await hub.decide(number, "sent_unbooked", root_cause="packing_error")
            await hub.until(it.id, "closed")
            await hub.ended(f"case:{number}:1")
        assert await shelf(hub.shop, "S1") == {"available": 1}
        await assert_books_agree(hub.shop.database)
