"""The ways out of a BOPIS order that cannot be promised: what each does, who agrees to it, and what is refused."""

from datetime import timedelta

import pytest

from domain.errors import (
    AlreadyDecided,
    Malformed,
    NotAllowed,
    NothingOffered,
    OwnRequest,
    SelfHealed,
    StateConflict,
    UnknownOption,
)
from domain.messages import Step
from ledger import verdicts
from ledger.bopis import dues, steps
from ledger.reads.cases import case_detail
from tests.ledger.support.books import accounts
from tests.ledger.support.orders import decide, failed_order, pick, report, situation, step
from tests.shop import ANA, FIN, MAX, TEA, Shop


class TestWaysOut:
    async def test_a_failure_opens_one_case_with_ranked_and_priced_ways_out(self, shop: Shop) -> None:
        journey, case_id = await failed_order(shop)
        await shop.put("S2", 20)
        again = await steps.open_case(shop.database, step(journey, "1"))
        assert again.case_id == case_id
        options = await shop.value("SELECT options FROM case_file")
        assert [option["rank"] for option in options] == list(range(1, len(options) + 1))
        assert {option["id"] for option in options} >= {"part", "cancel_refund", "wait"}
        assert await shop.value("SELECT count(*) FROM case_file") == 1

    async def test_other_store_moves_the_order_there(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        journey, case_id = await failed_order(shop)
        with pytest.raises(Malformed):
            await decide(shop, case_id, "other_store:S2")
        answer = await decide(shop, case_id, "other_store:S2", agreed_by_phone=True)
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert done.state == "reserved"
        assert await shop.value("SELECT location FROM journey") == "S2"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5
        assert await shop.value("SELECT state FROM case_file") == "resolved"

    async def test_an_option_that_is_gone_gives_the_case_back(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        journey, case_id = await failed_order(shop)
        answer = await decide(shop, case_id, "other_store:S2", agreed_by_phone=True)
        await shop.order(19, at="S2")
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert (done.state, done.case_id, done.decision_id) == ("reservation_failed", case_id, None)
        assert await shop.value("SELECT state FROM case_file") == "claimed"
        assert "can promise only" in await shop.value("SELECT reason FROM case_decision")

    async def test_a_way_out_that_came_later_is_offered_and_one_that_went_is_refused(self, shop: Shop) -> None:
        journey, case_id = await failed_order(shop)
        async with shop.database.read() as conn:
            before = {option.id for option in (await case_detail(conn, ANA, case_id)).options}
        await shop.put("S2", 20)
        async with shop.database.read() as conn:
            after = {option.id for option in (await case_detail(conn, ANA, case_id)).options}
        assert after - before == {"other_store:S2", "offer:other_store:S2"}
        await decide(shop, case_id, "other_store:S2", agreed_by_phone=True)
        other, other_case = await failed_order(shop, 19)
        assert other != journey
        await shop.order(19, at="S2")
        with pytest.raises(NothingOffered):
            await decide(shop, other_case, "other_store:S2", agreed_by_phone=True)
        with pytest.raises(UnknownOption):
            await decide(shop, other_case, "teleport")

    async def test_a_part_goes_on_and_the_rest_is_refunded(self, shop: Shop) -> None:
        journey, case_id = await failed_order(shop)
        answer = await decide(shop, case_id, "part")
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert (done.state, len(done.operations)) == ("reserved", 1)
        assert (await accounts(shop.database))["refunds_payable"] == -4500

    async def test_an_order_that_waited_and_was_asked_again_wants_what_is_missing_and_no_more(self, shop: Shop) -> None:
        journey, case_id = await failed_order(shop)
        answer = await decide(shop, case_id, "wait", agreed_by_phone=True)
        told = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        wait = next(due for due in told.dues if due.name == "wait")
        again = await dues.on_due(
            shop.database, Step(subject=journey, occurrence="w", at=wait.at + timedelta(seconds=1), due="wait")
        )
        assert again.case_id is not None
        await shop.put("S2", 20)
        answer = await decide(shop, again.case_id, "other_store:S2", agreed_by_phone=True)
        await shop.order(19, at="S2")
        await steps.apply_decision(shop.database, step(journey, "e", decision_id=answer.decision_id))
        wanted = await shop.value("SELECT sum(quantity) FROM waiting_demand WHERE ended_at IS NULL")
        assert wanted == 3

    async def test_found_stock_heals_the_case_by_itself(self, shop: Shop) -> None:
        journey, case_id = await failed_order(shop)
        lines = [{"sku": TEA, "quantity": 10, "unit_cost_minor": 600}]
        await report(shop, "stock.received", {"location": "S1", "document": "D1", "lines": lines})
        assert (await situation(shop, journey)).attention == ("found",)
        with pytest.raises(SelfHealed):
            await decide(shop, case_id, "part")
        healed = await steps.attend(shop.database, step(journey, "2"))
        assert (healed.state, healed.case_id) == ("reserved", None)
        assert await shop.value("SELECT resolution FROM case_file") == "self_healed"
        with pytest.raises(SelfHealed):
            await decide(shop, case_id, "part")

    async def test_a_short_pick_opens_a_case_and_takes_the_shelf_out_of_promise(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 0, "not_in_stock")
        now = await situation(shop, journey)
        assert now.state == "reservation_failed"
        assert await shop.value("SELECT count_pending FROM stock WHERE location = 'S1'") == 5
        told = await steps.open_case(shop.database, step(journey, "2"))
        assert await shop.value("SELECT kind FROM case_file WHERE id = :id", id=told.case_id) == "pick_short"


class TestApproval:
    async def ask(self, shop: Shop) -> tuple[str, int, int, int]:
        journey, case_id = await failed_order(shop, 20)
        answer = await decide(shop, case_id, "cancel_refund")
        asked = await situation(shop, journey)
        assert asked.decision_needs_approval
        told = await steps.open_approval(shop.database, step(journey, "a", decision_id=answer.decision_id))
        assert told.approval_id is not None
        return journey, case_id, answer.decision_id, told.approval_id

    async def test_an_approved_refund_is_applied(self, shop: Shop) -> None:
        journey, _, decision_id, approval_id = await self.ask(shop)
        await verdicts.record_verdict(shop.database, approval_id, MAX, verdict="approve", note="", via="test")
        assert (await situation(shop, journey)).verdict == "approved"
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=decision_id))
        assert (done.state, done.case_id) == ("cancelled", None)
        assert (await accounts(shop.database))["refunds_payable"] == -30000

    async def test_a_rejected_refund_gives_the_case_back_with_its_other_options(self, shop: Shop) -> None:
        journey, case_id, decision_id, approval_id = await self.ask(shop)
        await verdicts.record_verdict(shop.database, approval_id, MAX, verdict="reject", note="No.", via="test")
        back = await steps.give_back(shop.database, step(journey, "b", decision_id=decision_id))
        assert (back.case_id, back.decision_id, back.approval_id) == (case_id, None, None)
        options = {option["id"]: option for option in await shop.value("SELECT options FROM case_file")}
        assert options["cancel_refund"]["allowed"] is False
        assert options["part"]["allowed"] is True

    async def test_the_second_verdict_is_told_who_decided(self, shop: Shop) -> None:
        *_, approval_id = await self.ask(shop)
        await verdicts.record_verdict(shop.database, approval_id, MAX, verdict="approve", note="", via="test")
        with pytest.raises(AlreadyDecided, match="Approved by Max Weber"):
            await verdicts.record_verdict(shop.database, approval_id, MAX, verdict="approve", note="", via="test")

    async def test_nobody_approves_what_they_asked_for_or_without_the_role(self, shop: Shop) -> None:
        *_, approval_id = await self.ask(shop)
        with pytest.raises(OwnRequest):
            await verdicts.record_verdict(shop.database, approval_id, ANA, verdict="approve", note="", via="test")
        with pytest.raises(NotAllowed):
            await verdicts.record_verdict(shop.database, approval_id, FIN, verdict="approve", note="", via="test")
        with pytest.raises(Malformed):
            await verdicts.record_verdict(shop.database, approval_id, MAX, verdict="reject", note=" ", via="test")

    async def test_a_question_stops_the_clock_until_its_answer(self, shop: Shop) -> None:
        *_, approval_id = await self.ask(shop)
        target = f"approval:{approval_id}"
        running = (await situation(shop, target)).dues
        await verdicts.record_verdict(shop.database, approval_id, MAX, verdict="ask", note="Which store?", via="test")
        assert (await situation(shop, target)).dues == ()
        with pytest.raises(Malformed):
            await verdicts.answer(shop.database, approval_id, ANA, text=" ", via="test")
        await verdicts.answer(shop.database, approval_id, ANA, text="Mainz.", via="test")
        assert (await situation(shop, target)).dues[0].at > running[0].at
        with pytest.raises(StateConflict):
            await verdicts.answer(shop.database, approval_id, ANA, text="Again.", via="test")
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'approval_question'") == 1
