"""A claim against a vendor as a workflow: each state alone under fake steps, then whole paths with the real ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from temporalio.exceptions import ApplicationError

from domain.claim import FINAL, ClaimState
from domain.messages import Message, Situation
from ledger import verdicts
from ledger.journeys import skip_time
from tests.fakes import due_in
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.claims import Claimed
from tests.ledger.support.funding import agree, promoted, sell
from tests.shop import ADA, FIN

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

DAY_S = 86_400
WAITING = ("approved", "sent", "matched", "disputed", "partially_settled")


def claimed(state: str, seq: int = 1, **more: Any) -> Situation:
    return Situation.model_validate({"subject": "claim:erp:A-17-1", "state": state, "seq": seq, **more})


class TestEveryState:
    async def test_a_verdict_is_waited_for_and_carried_out(self, stage: Stage) -> None:
        stage.steps.answer("claim.settle_approval", claimed("cancelled", 2, ended=True))
        handle = await stage.start("claim", claimed("prepared", approval_id=3))
        await stage.tell(handle, Message.VERDICT_RECORDED, claimed("prepared", 2, approval_id=3, verdict="expired"))
        await handle.result()
        (step,) = stage.steps.of("claim.settle_approval")
        assert (step.occurrence, step.approval_id) == ("approval-3", 3)

    @pytest.mark.parametrize("state", WAITING)
    async def test_what_is_late_is_asked_about_and_the_answer_applied(self, stage: Stage, state: str) -> None:
        stage.steps.answer("claim.on_due", claimed(state, case_id=7))
        stage.steps.answer("claim.apply_decision", claimed("written_off", 2, ended=True))
        handle = await stage.start("claim", claimed(state, dues=(due_in("answer", seconds=-1),)))
        await stage.took("claim.on_due")
        await stage.tell(handle, Message.DECISION_RECORDED, claimed(state, 2, case_id=7, decision_id=9))
        await handle.result()
        assert stage.steps.names() == ["claim.on_due", "claim.apply_decision"]

    async def test_money_that_comes_meanwhile_ends_the_question(self, stage: Stage) -> None:
        handle = await stage.start("claim", claimed("matched", case_id=7))
        await stage.tell(handle, Message.CLAIM_SETTLED, claimed("settled", 2, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_entered_at_its_end_it_ends(self, stage: Stage, state: str) -> None:
        handle = await stage.start("claim", claimed(state, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_failure_suspends_it_and_a_person_resumes(self, stage: Stage) -> None:
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("claim.settle_approval", broken, claimed("cancelled", 2, ended=True))
        stage.steps.answer("claim.suspend", claimed("prepared", approval_id=3, verdict="rejected", suspended=True))
        handle = await stage.start("claim", claimed("prepared", approval_id=3, verdict="rejected"))
        await stage.took("claim.settle_approval", "claim.suspend")
        await stage.tell(handle, Message.RESUMED, claimed("prepared", 2, approval_id=3, verdict="rejected"))
        await handle.result()

    def test_no_state_is_forgotten(self) -> None:
        """Each state is in one of the tests above."""
        assert {"prepared", *WAITING, *FINAL} == set(ClaimState)


class TestWholePaths:
    async def test_agreed_sent_unanswered_short_paid_disputed_and_written_off(self, hub: Hub) -> None:
        """The whole of it: finance agrees, the vendor is silent, is reminded, leaves a part out, and will not move."""
        shop = hub.shop
        await agree(shop, terms={"kind": "scan_back", "rate_minor": 40_000}, promotions=["P1", "P2"])
        await sell(shop, promoted(2, promotion_id="P1"), promoted(1, promotion_id="P2"))
        async with hub.worker():
            it = await Claimed.prepared(shop)
            await hub.until(it.id, "prepared")
            asked = (await it.row())["asks"]["approval_id"]
            await verdicts.record_verdict(shop.database, asked, FIN, verdict="approve", note="", via="test")
            await hub.until(it.id, "sent")
            await skip_time(shop.database, it.id, ADA, seconds=30 * DAY_S, via="test")
            await skip_time(shop.database, it.id, ADA, seconds=60, via="test")
            silent = await hub.open_case(it.id, "claim_overdue")
            await hub.decide(silent, "chase")
            await hub.ended(f"case:{silent}:1")
            await it.answered(80_000, 0, settlement="deduction", reason="over_cap")
            short = await hub.open_case(it.id, "claim_short_paid")
            await hub.decide(short, "dispute", ground="over_cap")
            await hub.until(it.id, "disputed")
            await skip_time(shop.database, it.id, ADA, seconds=14 * DAY_S + 60, via="test")
            assert await hub.open_case(it.id, "claim_short_paid") == short
            await hub.decide(short, "write_off")

            async def there() -> object:
                await hub.carry()
                query = "SELECT max(id) FROM approval WHERE kind = 'write_off' AND state = 'pending'"
                return await shop.value(query)

            written = int(await hub.eventually(there))
            await verdicts.record_verdict(shop.database, written, FIN, verdict="approve", note="", via="test")
            await hub.ended(it.id)
        assert await it.head() == {"amount": 120_000, "accepted": 80_000, "settled": 80_000, "written_off": 40_000}
        await assert_books_agree(shop.database)

    async def test_silence_of_those_who_should_agree_leaves_it_to_the_next_claim(self, hub: Hub) -> None:
        shop = hub.shop
        await agree(shop, terms={"kind": "scan_back", "rate_minor": 40_000})
        await sell(shop, promoted(3))
        async with hub.worker():
            it = await Claimed.prepared(shop)
            asked = (await it.row())["asks"]["approval_id"]
            await skip_time(shop.database, it.id, ADA, seconds=20 * DAY_S, via="test")
            await hub.until(it.id, "cancelled")
            await hub.ended(it.id, f"approval:{asked}")
        assert await shop.value("SELECT count(*) FROM funding_accrual WHERE claim_id IS NULL") == 1
        await assert_books_agree(shop.database)
