"""A promised unit that may be gone: the store looks and says; another order's empty shelf doubts it as well."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.events import EventOutcome
from domain.messages import Situation, Step
from ledger.bopis import dues, steps
from tests.ledger.support.orders import pick, situation, step
from tests.shop import TEA, Shop


async def doubted_order(shop: Shop) -> str:
    """Four units promised, of which the till has sold two."""
    journey = await shop.order(4)
    lines = [{"line": "1", "sku": TEA, "quantity": 3, "unit_price_minor": 1500}]
    await shop.report("pos.sale", location="S1", receipt="R1", lines=lines)
    await steps.attend(shop.database, step(journey, "doubted"))
    return journey


async def look(shop: Shop, journey: str, *found: tuple[str, int]) -> EventOutcome:
    lines = [{"line_id": line, "quantity": quantity} for line, quantity in found] or None
    return await shop.report("bopis.verified", journey_id=journey, lines=lines, actor="p1")


async def silence(shop: Shop, journey: str) -> Situation:
    due = next(one for one in (await situation(shop, journey)).dues if one.name == "verify")
    return await dues.on_due(shop.database, Step(subject=journey, occurrence="v", at=due.at, due="verify"))


async def failure(shop: Shop, journey: str) -> Any:
    return await shop.value("SELECT detail ->> 'failure' FROM journey WHERE id = :id", id=journey)


class TestVerified:
    async def test_there_keeps_the_promise_and_nobody_is_asked(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        assert (await look(shop, journey)).outcome == "accepted"
        now = await situation(shop, journey)
        assert (now.state, now.attention) == ("reserved", ())
        assert "verify" not in [due.name for due in now.dues]
        assert await shop.value("SELECT count(*) FROM hold WHERE doubted_at IS NOT NULL") == 0

    async def test_not_there_is_lost_at_once(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        await look(shop, journey, ("1", 2))
        assert (await situation(shop, journey)).state == "reservation_failed"
        assert await failure(shop, journey) == "reservation_lost"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 0
        assert await shop.value("SELECT lost FROM hold") == 2

    async def test_what_neither_the_till_has_sold_nor_the_store_finds_waits_for_a_count(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        await look(shop, journey, ("1", 1))
        row = await shop.value("SELECT available || '/' || reserved || '/' || count_pending FROM stock "
                               "WHERE location = 'S1'")  # fmt: skip
        assert row == "0/1/1"

    async def test_more_than_is_promised_is_set_aside(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        outcome = await look(shop, journey, ("1", 5))
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("quarantined", "malformed")
        assert await shop.value("SELECT lost FROM hold") == 0

    async def test_a_line_that_there_is_not_is_named(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        outcome = await look(shop, journey, ("7", 1))
        assert (outcome.problem or {})["code"] == "unknown_line"

    async def test_of_an_order_that_has_ended_it_changes_nothing(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        await shop.report("bopis.cancelled", journey_id=journey)
        assert (await look(shop, journey)).outcome == "accepted"
        assert (await situation(shop, journey)).state == "cancelled"

    async def test_silence_loses_what_the_till_has_sold(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        assert (await silence(shop, journey)).state == "reservation_failed"
        assert await shop.value("SELECT lost FROM hold") == 2

    async def test_an_answer_beats_the_timer(self, shop: Shop) -> None:
        journey = await doubted_order(shop)
        verify = next(due for due in (await situation(shop, journey)).dues if due.name == "verify")
        await look(shop, journey)
        late = Step(subject=journey, occurrence="v", at=verify.at + timedelta(days=1), due="verify")
        assert (await dues.on_due(shop.database, late)).state == "reserved"


class TestEmptyShelf:
    async def two_orders(self, shop: Shop) -> tuple[str, str]:
        first, second = await shop.order(2), await shop.order(2)
        await pick(shop, first, 0, "not_in_stock")
        return first, second

    async def test_the_other_order_is_looked_for(self, shop: Shop) -> None:
        _, second = await self.two_orders(shop)
        assert (await situation(shop, second)).attention == ("doubted",)
        told = await steps.attend(shop.database, step(second, "2"))
        assert [due.name for due in told.dues if due.name == "verify"] == ["verify"]
        assert told.state == "reserved"

    async def test_found_it_is_promised_as_before(self, shop: Shop) -> None:
        _, second = await self.two_orders(shop)
        await steps.attend(shop.database, step(second, "2"))
        await look(shop, second)
        assert (await situation(shop, second)).state == "reserved"
        await pick(shop, second, 2)
        assert (await situation(shop, second)).state == "ready_for_pickup"

    async def test_silence_loses_it_to_a_count(self, shop: Shop) -> None:
        _, second = await self.two_orders(shop)
        await steps.attend(shop.database, step(second, "2"))
        assert (await silence(shop, second)).state == "reservation_failed"
        assert await failure(shop, second) == "reservation_lost"
        assert await shop.value("SELECT count_pending FROM stock WHERE location = 'S1'") == 5

    @pytest.mark.parametrize("reason", ["no_variance", "damaged", "mismatch"])
    async def test_other_reasons_say_nothing_of_other_orders(self, shop: Shop, reason: str) -> None:
        first, second = await shop.order(2), await shop.order(2)
        await pick(shop, first, 1, reason)
        assert (await situation(shop, second)).attention == ()

    async def test_another_store_is_not_concerned(self, shop: Shop) -> None:
        first, second = await shop.order(2), await shop.order(2, at="S2")
        await pick(shop, first, 0, "not_in_stock")
        assert (await situation(shop, second)).attention == ()


class TestArrived:
    async def ready(self, shop: Shop) -> str:
        journey = await shop.order(1)
        await pick(shop, journey, 1)
        return journey

    async def arrive(self, shop: Shop, journey: str) -> EventOutcome:
        return await shop.report("bopis.arrived", journey_id=journey, bay="3", vehicle="A red van, MZ-K 77")

    async def test_the_store_is_told_and_has_ten_minutes(self, shop: Shop) -> None:
        journey = await self.ready(shop)
        assert (await self.arrive(shop, journey)).outcome == "accepted"
        due = next(one for one in (await situation(shop, journey)).dues if one.name == "arrived")
        assert timedelta(0) < due.at - datetime.now(UTC) <= timedelta(minutes=10)
        assert await shop.value("SELECT string_agg(person_id, ' ') FROM mail WHERE template = 'customer_arrived'") == (
            "max"
        )
        assert "red van" in await shop.value("SELECT text FROM person_note")
        assert "red van" not in await shop.value("SELECT string_agg(detail, ' ') FROM journey_step")

    async def test_nobody_comes_out(self, shop: Shop) -> None:
        journey = await self.ready(shop)
        await self.arrive(shop, journey)
        due = next(one for one in (await situation(shop, journey)).dues if one.name == "arrived")
        await dues.on_due(shop.database, Step(subject=journey, occurrence="a", at=due.at, due="arrived"))
        assert await shop.value("SELECT kind FROM case_file") == "customer_waiting"
        await shop.report("bopis.handed_over", journey_id=journey, actor="p1")
        assert await shop.value("SELECT resolution FROM case_file") == "self_healed"
        assert (await situation(shop, journey)).ended

    async def test_a_hand_over_ends_the_clock(self, shop: Shop) -> None:
        journey = await self.ready(shop)
        await self.arrive(shop, journey)
        await shop.report("bopis.handed_over", journey_id=journey, actor="p1")
        assert (await situation(shop, journey)).dues == ()

    async def test_an_order_that_is_not_ready_is_asked_about_at_once(self, shop: Shop) -> None:
        journey = await shop.order(1)
        await self.arrive(shop, journey)
        assert await shop.value("SELECT kind FROM case_file") == "customer_waiting"
