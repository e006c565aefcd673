"""A BOPIS order in the ledger: what is promised, what facts do, what requests are refused, and what the books say."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import (
    IdempotencyMismatch,
    Malformed,
    UnknownLocation,
    UnknownSku,
    WrongCurrency,
)
from domain.messages import Step
from ledger import decisions, facts
from ledger.bopis import dues, steps
from tests.ledger.support.books import accounts
from tests.ledger.support.orders import NOW, failed_order, hand_over, pick, report, situation, step
from tests.shop import ADA, TEA, WEB, Shop


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


class TestSuspend:
    async def stuck(self, shop: Shop, quantity: int = 2) -> tuple[str, int]:
        journey = await shop.order(quantity)
        told = await steps.suspend(shop.database, step(journey, "1", reason="a bug"))
        assert told.suspended
        return journey, await shop.value("SELECT id FROM case_file WHERE kind = 'journey_stuck'")

    async def test_a_resumed_journey_goes_on_where_it_was(self, shop: Shop) -> None:
        journey, case_id = await self.stuck(shop)
        await decisions.decide(
            shop.database, case_id, ADA, option_id="resume", parameters={}, note="", version=None, via="test"
        )
        now = await situation(shop, journey)
        assert (now.state, now.suspended) == ("reserved", False)

    async def test_an_abandoned_one_is_undone_and_paid_back(self, shop: Shop) -> None:
        journey, case_id = await self.stuck(shop)
        await decisions.decide(
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
