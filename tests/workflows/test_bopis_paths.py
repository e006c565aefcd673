"""Whole paths of a BOPIS order: real PostgreSQL and Temporal, relay, worker and payment sandbox, people by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.errors import AlreadyDecided, SelfHealed
from ledger import decisions, verdicts
from ledger.journeys import skip_time
from tests.shop import ADA, ANA, FIN, MAX, TEA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub


class TestCollected:
    async def test_picked_and_handed_over_costs_few_events_and_no_step(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(2)
            await hub.until(order, "reserved")
            picked = await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(2)])
            assert picked.outcome == "accepted"
            await hub.until(order, "ready_for_pickup")
            handed = await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=[_line(2)])
            assert handed.outcome == "accepted"
            await hub.ended(order)
        events = await hub.events(order)
        print(f"a collected order costs {events} Temporal events")  # noqa: T201  a figure worth seeing with -s
        assert events <= 20
        await hub.books_balance()

    async def test_facts_reported_while_temporal_hears_nothing_post_and_the_workflow_catches_up(self, hub: Hub) -> None:
        order = await hub.shop.order(1)
        await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(1)])
        await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=[_line(1)])
        assert await hub.shop.value("SELECT state FROM journey WHERE id = :id", id=order) == "collected"
        async with hub.worker():
            await hub.ended(order)
        await hub.books_balance()


def _line(quantity: int, **more: Any) -> dict[str, Any]:
    return {"line_id": "1", "quantity": quantity, **more}


class TestAWayOut:
    async def test_another_store_agreed_by_phone(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.change("UPDATE stock SET available = 0 WHERE location = 'S1'")
            order = await hub.shop.order(2)
            number = await hub.open_case(order, "reservation_failure")
            ways = await hub.options(number)
            best = min(ways.values(), key=lambda way: way.rank)
            assert best.id == "other_store:S2"
            assert best.because
            await hub.decide(number, "other_store:S2", agreed_by_phone=True)
            await hub.until(order, "reserved")
            assert await hub.shop.value("SELECT location FROM journey WHERE id = :id", id=order) == "S2"
            assert await hub.shop.value("SELECT reserved FROM stock WHERE location = 'S2'") == 2
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(2)])
            await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=[_line(2)])
            await hub.ended(order, f"case:{number}:1")
        events = await hub.events(order)
        print(f"an order with a case costs {events} Temporal events")  # noqa: T201  a figure worth seeing with -s
        await hub.books_balance()

    async def test_stock_that_turns_up_heals_the_case_and_beats_a_late_decision(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.change("UPDATE stock SET available = 0 WHERE location = 'S1'")
            order = await hub.shop.order(1)
            number = await hub.open_case(order, "reservation_failure")
            await hub.shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
            with pytest.raises(SelfHealed):
                await hub.decide(number, "wait", agreed_by_phone=True)
            await hub.until(order, "reserved")
            await hub.ended(f"case:{number}:1")
        assert await hub.shop.value("SELECT resolution FROM case_file WHERE id = :id", id=number) == "self_healed"

    async def test_waiting_asks_again_when_the_wait_is_over(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.change("UPDATE stock SET available = 0 WHERE location = 'S1'")
            order = await hub.shop.order(1)
            number = await hub.open_case(order, "reservation_failure")
            await hub.decide(number, "wait", agreed_by_phone=True)
            await hub.ended(f"case:{number}:1")
            await skip_time(hub.shop.database, order, ADA, seconds=30 * 86_400, via="test")
            again = await hub.open_case(order, "reservation_failure")
            assert again == number
            assert await hub.shop.value("SELECT episode FROM case_file WHERE id = :id", id=number) == 2

    async def test_a_promised_unit_sold_at_the_till_is_looked_for_before_anybody_is_asked(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(5)
            sold = await hub.shop.report(
                "pos.sale", location="S1", receipt="R1", lines=[{"line": "1", "sku": TEA, "quantity": 1,
                                                                 "unit_price_minor": 1_500}]
            )  # fmt: skip
            assert sold.outcome == "accepted"

            async def doubted() -> bool:
                await hub.carry()
                return bool(await hub.shop.value("SELECT dues ? 'verify' FROM journey WHERE id = :id", id=order))

            await hub.eventually(doubted)
            assert await hub.shop.value("SELECT count(*) FROM case_file WHERE journey_id = :id", id=order) == 0
            await skip_time(hub.shop.database, order, ADA, seconds=1900, via="test")
            number = await hub.open_case(order, "reservation_lost")
            await hub.decide(number, "part")
            await hub.until(order, "reserved")
            await hub.ended(f"case:{number}:1")

            async def refunded() -> bool:
                await hub.carry()
                paid = await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order)
                assert paid == 1_500
                return True

            await hub.eventually(refunded)

    async def test_a_late_pick_nags_asks_and_gets_more_time(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(1)
            await hub.until(order, "reserved")
            await skip_time(hub.shop.database, order, ADA, seconds=2 * 3600 + 60, via="test")
            number = await hub.open_case(order, "pick_overdue")
            answer = await decisions.decide(
                hub.shop.database, number, ANA, option_id="more_time", parameters={}, via="test"
            )
            assert answer.state == "applied"
            await hub.ended(f"case:{number}:1")
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(1)])
            await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=[_line(1)])
            await hub.ended(order)


class TestApproval:
    async def _asked(self, hub: Hub) -> tuple[str, int, int]:
        """An order above the limit whose refund waits for an approval: (order, case, approval)."""
        await hub.shop.change("UPDATE stock SET available = 0")
        order = await hub.shop.order(20)
        number = await hub.open_case(order, "reservation_failure")
        await hub.decide(number, "cancel_refund")

        async def asked() -> object:
            await hub.carry()
            return await hub.shop.value(
                "SELECT id FROM approval WHERE journey_id = :id AND state = 'pending'", id=order
            )

        return order, number, int(await hub.eventually(asked))

    async def test_an_approved_refund_is_paid_and_everything_ends(self, hub: Hub) -> None:
        async with hub.worker():
            order, number, request = await self._asked(hub)
            assert await hub.shop.value("SELECT state FROM journey WHERE id = :id", id=order) == "reservation_failed"
            await verdicts.record_verdict(
                hub.shop.database, request, MAX, verdict="approve", note="", via="link", way=verdicts.Way("link")
            )
            await hub.until(order, "cancelled")
            await hub.ended(order, f"case:{number}:1", f"approval:{request}")
            with pytest.raises(AlreadyDecided, match="Approved by Max Weber"):
                await verdicts.record_verdict(
                    hub.shop.database, request, FIN, verdict="reject", note="no", via="console"
                )
        refunded = await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order)
        assert refunded == 30_000
        await hub.books_balance()

    async def test_a_rejected_refund_gives_the_case_back_with_its_other_options(self, hub: Hub) -> None:
        async with hub.worker():
            order, number, request = await self._asked(hub)
            await verdicts.record_verdict(
                hub.shop.database, request, MAX, verdict="reject", note="Ask the other store first.", via="console"
            )

            async def given_back() -> bool:
                await hub.carry()
                found = await hub.shop.value("SELECT state FROM case_file WHERE id = :id", id=number)
                assert found == "claimed"
                return True

            await hub.eventually(given_back)
            ways = await hub.options(number)
            assert not ways["cancel_refund"].allowed
            assert ways["wait"].allowed
            assert await hub.shop.value("SELECT state FROM journey WHERE id = :id", id=order) == "reservation_failed"
            await hub.decide(number, "wait", agreed_by_phone=True)
            await hub.ended(f"case:{number}:1")

    async def test_nobody_answers_and_the_request_expires(self, hub: Hub) -> None:
        async with hub.worker():
            order, number, request = await self._asked(hub)
            await skip_time(hub.shop.database, order, ADA, seconds=30 * 86_400, via="test")

            async def expired() -> bool:
                await hub.carry()
                found = await hub.shop.value("SELECT state FROM approval WHERE id = :id", id=request)
                assert found == "expired"
                return True

            await hub.eventually(expired)
            await hub.ended(f"approval:{request}")

            async def refused() -> bool:
                await hub.carry()
                return bool(
                    await hub.shop.value("SELECT count(*) FROM case_decision WHERE case_id = :id AND state = 'refused'",
                                         id=number)
                )  # fmt: skip

            await hub.eventually(refused)


class TestTheWindow:
    async def test_a_no_show_is_released_refunded_and_put_away(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(1)
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(1)])
            await hub.until(order, "ready_for_pickup")
            await skip_time(hub.shop.database, order, ADA, seconds=8 * 86_400, via="test")
            await hub.until(order, "expired")
            await hub.shop.report("bopis.put_away", journey_id=order, actor="p1")
            await hub.ended(order)
        assert await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order) == 1_500
        assert await hub.shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5
        await hub.books_balance()

    async def test_a_hand_over_recorded_before_an_outage_beats_the_window_that_fires_after_it(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(1)
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(1)])
            await hub.until(order, "ready_for_pickup")
            # The workflow hears of the skipped time only; the hand-over is recorded and not delivered yet.
            await skip_time(hub.shop.database, order, ADA, seconds=8 * 86_400, via="test")
            await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=[_line(1)])
            await hub.ended(order)
        assert await hub.shop.value("SELECT state FROM journey WHERE id = :id", id=order) == "collected"
        assert await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order) == 0


class TestMoney:
    async def test_a_lost_answer_of_the_provider_refunds_once(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(
                1,
                prices_include_tax=True,
                lines=[{"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_517}],
                payments=[{"reference": "c", "tender": "card", "amount_minor": 1_517, "state": "captured"}],
            )
            await hub.shop.report("bopis.cancelled", journey_id=order)
            await hub.ended(order)
        assert await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order) == 1_517
        assert await hub.shop.value("SELECT attempts FROM payment_operation WHERE journey_id = :id", id=order) == 2
        await hub.books_balance()

    async def test_a_declined_refund_is_a_case_and_paying_by_hand_ends_the_order(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(
                1,
                lines=[{"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_513}],
                payments=[{"reference": "c", "tender": "card", "amount_minor": 1_513, "state": "captured"}],
            )
            await hub.shop.report("bopis.cancelled", journey_id=order)
            number = await hub.open_case(order, "refund_failed")
            await decisions.decide(
                hub.shop.database, number, FIN, option_id="manual_payout", parameters={"paid_out": True}, via="test"
            )
            await hub.ended(order, f"case:{number}:1")
        assert await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order) == 1_513
        await hub.books_balance()


class TestWorkersDie:
    async def test_a_decision_taken_while_no_worker_runs_is_applied_by_the_next(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.change("UPDATE stock SET available = 0 WHERE location = 'S1'")
            order = await hub.shop.order(1)
            number = await hub.open_case(order, "reservation_failure")
        await hub.decide(number, "other_store:S2", agreed_by_phone=True)
        await hub.carry()
        async with hub.worker():
            await hub.until(order, "reserved")
            await hub.ended(f"case:{number}:1")

    async def test_a_workflow_that_was_lost_is_rebuilt_and_ends_once(self, hub: Hub) -> None:
        async with hub.worker():
            order = await hub.shop.order(1)
            await hub.until(order, "reserved")
            await hub.client.get_workflow_handle(order).terminate("lost")
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(1)])
            await hub.carry()
            await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=[_line(1)])
            await hub.ended(order)
        assert await hub.shop.outbox(order) == [(1, "delivered"), (2, "rebuilt"), (3, "delivered")]

    async def test_a_failing_step_suspends_opens_a_case_and_is_resumed(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ledger.bopis import steps

        async def broken(*_: object) -> None:
            raise KeyError("a mistake of ours")

        async with hub.worker():
            await hub.shop.change("UPDATE stock SET available = 0 WHERE location = 'S1'")
            with monkeypatch.context() as mistake:
                mistake.setattr(steps, "open_case", broken)
                order = await hub.shop.order(1)
                stuck = await hub.open_case(order, "journey_stuck")
            await decisions.decide(hub.shop.database, stuck, ADA, option_id="resume", parameters={}, via="test")
            await hub.open_case(order, "reservation_failure")
            await hub.ended(f"case:{stuck}:1")


async def test_the_ladder_of_a_case_climbs_when_nobody_acts(hub: Hub) -> None:
    async with hub.worker():
        await hub.shop.change("UPDATE stock SET available = 0 WHERE location = 'S1'")
        order = await hub.shop.order(1)
        number = await hub.open_case(order, "reservation_failure")
        await hub.carry()
        await skip_time(hub.shop.database, order, ADA, seconds=3 * 3600, via="test")

        async def climbed() -> bool:
            await hub.carry()
            level = await hub.shop.value("SELECT level FROM case_file WHERE id = :id", id=number)
            assert level >= 2, f"level {level}"
            return True

        await hub.eventually(climbed)
    mails = await hub.shop.value(
        "SELECT count(*) FROM mail WHERE case_id = :id AND template = 'case_escalated'", id=number
    )
    assert mails >= 2
