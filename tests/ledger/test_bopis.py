"""A BOPIS order in the ledger: what is promised, what facts do, what requests are refused, and what the books say."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import (
    AlreadyDecided,
    IdempotencyMismatch,
    Malformed,
    NotAllowed,
    NothingOffered,
    OwnRequest,
    SelfHealed,
    StateConflict,
    UnknownLocation,
    UnknownOption,
    UnknownSku,
    WrongCurrency,
)
from domain.messages import Situation, Step
from ledger import approval, case, facts, situations
from ledger.bopis import dues, steps
from ledger.people import Caller
from ledger.reads.cases import case_detail
from tests.ledger.books import accounts
from tests.shop import ADA, ANA, FIN, MAX, TEA, WEB, Shop

NOW = datetime.now(UTC)


async def report(
    shop: Shop, kind: str, data: dict[str, Any], *, event_id: str | None = None, caller: Caller = WEB
) -> Any:
    event = {
        "id": event_id or uuid.uuid4().hex,
        "type": kind,
        "occurred_at": datetime.now(UTC).isoformat(),
        "data": data,
    }
    return (await facts.receive(shop.database, caller, [event], received_at=datetime.now(UTC)))[0]


async def situation(shop: Shop, target: str) -> Situation:
    async with shop.database.read() as conn:
        found = await situations.situation_of_target(conn, target)
    assert found is not None
    return found[1]


async def pick(shop: Shop, journey: str, quantity: int, reason: str | None = None, line: str = "1") -> Any:
    lines = [{"line_id": line, "quantity": quantity, "reason": reason}]
    return await report(shop, "bopis.picked", {"journey_id": journey, "picker": "p1", "lines": lines})


async def hand_over(shop: Shop, journey: str, quantity: int | None = None, line: str = "1") -> Any:
    lines = None if quantity is None else [{"line_id": line, "quantity": quantity}]
    return await report(shop, "bopis.handed_over", {"journey_id": journey, "lines": lines, "actor": "p1"})


def step(journey: str, occurrence: str, **more: Any) -> Step:
    return Step(subject=journey, occurrence=occurrence, at=datetime.now(UTC), **more)


async def failed_order(shop: Shop, quantity: int = 8) -> tuple[str, int]:
    journey = await shop.order(quantity)
    told = await steps.open_case(shop.database, step(journey, "1"))
    assert told.case_id is not None
    return journey, told.case_id


async def decide(shop: Shop, case_id: int, option: str, **parameters: Any) -> case.DecisionAnswer:
    return await case.decide(
        shop.database, case_id, ANA, option_id=option, parameters=parameters, note="", version=None, via="test"
    )


class TestPlace:
    async def test_stock_on_hand_is_promised_in_the_answer(self, shop: Shop) -> None:
        journey = await shop.order(3)
        assert (await situation(shop, journey)).state == "reserved"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 2

    async def test_what_is_not_there_is_short_and_waits(self, shop: Shop) -> None:
        journey = await shop.order(8)
        assert (await situation(shop, journey)).state == "reservation_failed"
        assert await shop.value("SELECT quantity FROM waiting_demand") == 3

    async def test_two_hundred_at_once_for_fifty_units_promise_exactly_fifty(self, shop: Shop) -> None:
        await shop.put("S1", 50)
        placed = await asyncio.gather(*(shop.order(1) for _ in range(200)))
        states = [(await situation(shop, journey)).state for journey in placed]
        assert states.count("reserved") == 50
        row = await shop.value("SELECT available || '/' || reserved FROM stock WHERE location = 'S1'")
        assert row == "0/50"

    async def test_the_same_order_again_gives_the_same_answer_and_one_order(self, shop: Shop) -> None:
        first = await shop.order(1, order_id="X-1", placed_at="2026-03-02T10:00:00Z")
        again = await shop.order(1, order_id="X-1", placed_at="2026-03-02T10:00:00Z")
        assert first == again
        assert await shop.value("SELECT count(*) FROM journey") == 1

    async def test_the_same_order_with_another_body_is_refused_by_name(self, shop: Shop) -> None:
        await shop.order(1, order_id="X-1")
        with pytest.raises(IdempotencyMismatch):
            await shop.order(2, order_id="X-1")
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 4

    @pytest.mark.parametrize(
        ("change", "refusal"),
        [
            ({"pickup_location": "S9"}, UnknownLocation),
            ({"pickup_location": "DC"}, UnknownLocation),
            ({"currency": "USD"}, WrongCurrency),
            ({"hold_id": "h1"}, Malformed),
            (
                {"lines": [{"line_id": "1", "sku": "NOPE", "quantity": 1, "unit_price_minor": 1500}]},
                UnknownSku,
            ),
        ],
    )
    async def test_what_cannot_be_promised_is_refused_and_nothing_is_written(
        self, shop: Shop, change: dict[str, Any], refusal: type[Exception]
    ) -> None:
        with pytest.raises(refusal):
            await shop.order(1, **change)
        assert await shop.value("SELECT count(*) FROM journey") == 0
        assert await shop.value("SELECT count(*) FROM idempotency") == 0


class TestCollect:
    async def test_picked_then_handed_over_is_collected_with_balanced_books(self, shop: Shop) -> None:
        journey = await shop.order(2)
        assert (await pick(shop, journey, 2)).outcome == "accepted"
        assert (await situation(shop, journey)).state == "ready_for_pickup"
        assert (await hand_over(shop, journey)).outcome == "accepted"
        now = await situation(shop, journey)
        assert (now.state, now.ended) == ("collected", True)
        assert await accounts(shop.database) == {
            "payment_clearing": 3000, "revenue": -3000, "cogs": 1200, "inventory": -1200,
        }  # fmt: skip

    async def test_two_part_hand_overs_commit_exactly_what_was_handed_over(self, shop: Shop) -> None:
        journey = await shop.order(3)
        await pick(shop, journey, 3)
        await hand_over(shop, journey, 1)
        assert (await situation(shop, journey)).state == "partially_collected"
        assert await shop.value("SELECT committed FROM hold") == 1
        await hand_over(shop, journey, 2)
        assert (await situation(shop, journey)).state == "collected"
        assert await shop.value("SELECT committed FROM hold") == 3
        assert (await accounts(shop.database))["revenue"] == -4500

    async def test_a_hand_over_before_the_pick_posts_by_physical_truth(self, shop: Shop) -> None:
        journey = await shop.order(2)
        assert (await hand_over(shop, journey, 2)).outcome == "accepted"
        assert (await situation(shop, journey)).state == "collected"

    async def test_the_same_event_again_is_a_duplicate_and_does_nothing(self, shop: Shop) -> None:
        journey = await shop.order(3)
        data = {"journey_id": journey, "lines": [{"line_id": "1", "quantity": 1}], "actor": "p1"}
        event = {"id": "h", "type": "bopis.handed_over", "occurred_at": "2026-03-02T10:00:00Z", "data": data}
        outcomes = [(await facts.receive(shop.database, WEB, [event], received_at=NOW))[0].outcome for _ in range(3)]
        assert outcomes == ["accepted", "duplicate", "duplicate"]
        assert await shop.value("SELECT collected FROM journey_line") == 1

    async def test_more_than_was_ordered_is_quarantined_with_a_case(self, shop: Shop) -> None:
        journey = await shop.order(1)
        outcome = await hand_over(shop, journey, 2)
        assert outcome.outcome == "quarantined"
        assert await shop.value("SELECT kind FROM case_file") == "event_rejected"
        assert await shop.value("SELECT collected FROM journey_line") == 0

    async def test_goods_handed_over_after_a_cancel_open_a_case(self, shop: Shop) -> None:
        journey = await shop.order(1)
        await pick(shop, journey, 1)
        assert (await report(shop, "bopis.cancelled", {"journey_id": journey})).outcome == "accepted"
        assert (await hand_over(shop, journey, 1)).outcome == "accepted"
        assert await shop.value("SELECT kind FROM case_file") == "fact_after_close"

    async def test_an_event_before_its_order_waits_and_is_applied_when_the_order_comes(self, shop: Shop) -> None:
        lines = [{"line_id": "1", "quantity": 1}]
        early = await report(shop, "bopis.picked", {"order_id": "LATE", "picker": "p1", "lines": lines})
        assert early.outcome == "parked"
        journey = await shop.order(1, order_id="LATE")
        assert (await situation(shop, journey)).state == "ready_for_pickup"


class TestCancel:
    async def test_a_cancel_releases_and_pays_back_at_once(self, shop: Shop) -> None:
        journey = await shop.order(2)
        assert (await report(shop, "bopis.cancelled", {"journey_id": journey})).outcome == "accepted"
        now = await situation(shop, journey)
        assert (now.state, len(now.operations)) == ("cancelled", 1)
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5
        assert (await accounts(shop.database))["refunds_payable"] == -3000

    async def test_a_collected_order_is_not_cancelled_any_more(self, shop: Shop) -> None:
        journey = await shop.order(1)
        await pick(shop, journey, 1)
        await hand_over(shop, journey)
        refused = await report(shop, "bopis.cancelled", {"journey_id": journey})
        assert refused.outcome == "refused"
        assert refused.problem["code"] == "state_conflict"

    async def test_staged_goods_wait_to_be_put_away(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        await report(shop, "bopis.cancelled", {"journey_id": journey})
        assert await shop.value("SELECT staged FROM stock WHERE location = 'S1'") == 2
        await report(shop, "bopis.put_away", {"journey_id": journey})
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5


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
        await approval.record_verdict(shop.database, approval_id, MAX, verdict="approve", note="", via="test")
        assert (await situation(shop, journey)).verdict == "approved"
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=decision_id))
        assert (done.state, done.case_id) == ("cancelled", None)
        assert (await accounts(shop.database))["refunds_payable"] == -30000

    async def test_a_rejected_refund_gives_the_case_back_with_its_other_options(self, shop: Shop) -> None:
        journey, case_id, decision_id, approval_id = await self.ask(shop)
        await approval.record_verdict(shop.database, approval_id, MAX, verdict="reject", note="No.", via="test")
        back = await steps.give_back(shop.database, step(journey, "b", decision_id=decision_id))
        assert (back.case_id, back.decision_id, back.approval_id) == (case_id, None, None)
        options = {option["id"]: option for option in await shop.value("SELECT options FROM case_file")}
        assert options["cancel_refund"]["allowed"] is False
        assert options["part"]["allowed"] is True

    async def test_the_second_verdict_is_told_who_decided(self, shop: Shop) -> None:
        *_, approval_id = await self.ask(shop)
        await approval.record_verdict(shop.database, approval_id, MAX, verdict="approve", note="", via="test")
        with pytest.raises(AlreadyDecided, match="Approved by Max Weber"):
            await approval.record_verdict(shop.database, approval_id, MAX, verdict="approve", note="", via="test")

    async def test_nobody_approves_what_they_asked_for_or_without_the_role(self, shop: Shop) -> None:
        *_, approval_id = await self.ask(shop)
        with pytest.raises(OwnRequest):
            await approval.record_verdict(shop.database, approval_id, ANA, verdict="approve", note="", via="test")
        with pytest.raises(NotAllowed):
            await approval.record_verdict(shop.database, approval_id, FIN, verdict="approve", note="", via="test")
        with pytest.raises(Malformed):
            await approval.record_verdict(shop.database, approval_id, MAX, verdict="reject", note=" ", via="test")

    async def test_a_question_stops_the_clock_until_its_answer(self, shop: Shop) -> None:
        *_, approval_id = await self.ask(shop)
        target = f"approval:{approval_id}"
        running = (await situation(shop, target)).dues
        await approval.record_verdict(shop.database, approval_id, MAX, verdict="ask", note="Which store?", via="test")
        assert (await situation(shop, target)).dues == ()
        with pytest.raises(Malformed):
            await approval.answer(shop.database, approval_id, ANA, text=" ", via="test")
        await approval.answer(shop.database, approval_id, ANA, text="Mainz.", via="test")
        assert (await situation(shop, target)).dues[0].at > running[0].at
        with pytest.raises(StateConflict):
            await approval.answer(shop.database, approval_id, ANA, text="Again.", via="test")
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'approval_question'") == 1


class TestSuspend:
    async def stuck(self, shop: Shop, quantity: int = 2) -> tuple[str, int]:
        journey = await shop.order(quantity)
        told = await steps.suspend(shop.database, step(journey, "1", reason="a bug"))
        assert told.suspended
        return journey, await shop.value("SELECT id FROM case_file WHERE kind = 'journey_stuck'")

    async def test_a_resumed_journey_goes_on_where_it_was(self, shop: Shop) -> None:
        journey, case_id = await self.stuck(shop)
        await case.decide(
            shop.database, case_id, ADA, option_id="resume", parameters={}, note="", version=None, via="test"
        )
        now = await situation(shop, journey)
        assert (now.state, now.suspended) == ("reserved", False)

    async def test_an_abandoned_one_is_undone_and_paid_back(self, shop: Shop) -> None:
        journey, case_id = await self.stuck(shop)
        await case.decide(
            shop.database, case_id, ADA, option_id="abandon", parameters={}, note="", version=None, via="test"
        )
        now = await situation(shop, journey)
        assert (now.state, now.suspended, len(now.operations)) == ("cancelled", False, 1)
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5


class TestDue:
    async def test_nobody_came_releases_and_refunds(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        due = next(d for d in (await situation(shop, journey)).dues if d.name == "window")
        late = Step(subject=journey, occurrence=due.at.isoformat(), at=due.at + timedelta(seconds=1), due="window")
        done = await dues.on_due(shop.database, late)
        assert (done.state, len(done.operations)) == ("expired", 1)

    async def test_a_hand_over_recorded_first_beats_the_timer(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        due = next(d for d in (await situation(shop, journey)).dues if d.name == "window")
        await hand_over(shop, journey)
        late = Step(subject=journey, occurrence=due.at.isoformat(), at=due.at + timedelta(days=1), due="window")
        done = await dues.on_due(shop.database, late)
        assert (done.state, done.seq) == ("collected", 3)

    async def test_a_step_again_answers_from_the_record(self, shop: Shop) -> None:
        journey, case_id = await failed_order(shop)
        first = await steps.open_case(shop.database, step(journey, "1"))
        assert first.case_id == case_id
        assert await shop.value("SELECT count(*) FROM journey_step WHERE step = 'open_case'") == 1


class TestTill:
    async def sell(self, shop: Shop, quantity: int, receipt: str = "R1") -> Any:
        lines = [{"line": "1", "sku": TEA, "quantity": quantity, "unit_price_minor": 1500}]
        return await report(shop, "pos.sale", {"location": "S1", "receipt": receipt, "lines": lines})

    async def test_a_sale_posts_even_where_it_breaks_a_promise_which_the_store_verifies(self, shop: Shop) -> None:
        journey = await shop.order(4)
        assert (await self.sell(shop, 3)).outcome == "accepted"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == -2
        assert (await situation(shop, journey)).attention == ("doubted",)
        told = await steps.attend(shop.database, step(journey, "2"))
        verify = next(due for due in told.dues if due.name == "verify")
        late = Step(subject=journey, occurrence="v", at=verify.at, due="verify")
        lost = await dues.on_due(shop.database, late)
        assert lost.state == "reservation_failed"
        asked = await steps.open_case(shop.database, step(journey, "3"))
        assert await shop.value("SELECT kind FROM case_file WHERE id = :id", id=asked.case_id) == "reservation_lost"

    async def test_a_sale_of_an_unknown_sku_is_quarantined_alone_with_a_case(self, shop: Shop) -> None:
        lines = [{"line": "1", "sku": "NOPE", "quantity": 1, "unit_price_minor": 100}]
        bad = await report(shop, "pos.sale", {"location": "S1", "receipt": "R9", "lines": lines})
        assert bad.outcome == "quarantined"
        assert bad.problem["code"] == "unknown_sku"
        assert await shop.value("SELECT kind FROM case_file WHERE id = :id", id=bad.case_id) == "event_rejected"
        assert (await self.sell(shop, 1)).outcome == "accepted"

    async def test_a_receipt_line_that_names_an_order_is_its_hand_over_once(self, shop: Shop) -> None:
        journey = await shop.order(2, order_id="W-7")
        await pick(shop, journey, 2)
        line = {"line": "1", "sku": TEA, "quantity": 2, "unit_price_minor": 1500, "order_id": "W-7", "line_id": "1"}
        await report(shop, "pos.sale", {"location": "S1", "receipt": "R2", "lines": [line]})
        assert (await situation(shop, journey)).state == "collected"
        assert (await accounts(shop.database))["revenue"] == -3000
