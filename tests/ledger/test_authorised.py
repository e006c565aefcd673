"""Money that was authorised: taken when goods are ready, let go where it is not wanted, renewed before it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import StateConflict
from domain.messages import Step
from domain.payments import PaymentOutcome
from ledger import decisions, outcomes, renewals
from ledger.reads.journeys import journey_detail
from tests.ledger.support.books import accounts
from tests.ledger.support.orders import hand_over, pick, situation
from tests.shop import FIN, Shop


def now() -> datetime:
    return datetime.now(UTC)


async def authorised(shop: Shop, quantity: int = 2, **more: Any) -> str:
    paid = {"reference": "card-1", "tender": "card", "amount_minor": quantity * 1500, "state": "authorized"}
    return await shop.order(quantity, payments=[paid | more])


async def operations(shop: Shop, journey: str) -> tuple[str, ...]:
    return (await situation(shop, journey)).operations


async def answer(shop: Shop, journey: str, state: Any = "succeeded", **more: Any) -> str:
    """The provider answers the one operation that is open; returns it."""
    (operation,) = await operations(shop, journey)
    step = Step(subject=journey, occurrence=f"{operation}#{now().timestamp()}", at=now(), operation_id=operation)
    outcome = PaymentOutcome(state, "r1", "card blocked" if state == "declined" else None, **more)
    await outcomes.record_outcome(shop.database, step, outcome)
    return operation


async def kinds(shop: Shop, *, only_open: bool = True) -> Any:
    wanted = " WHERE closed_at IS NULL" if only_open else ""
    return await shop.value(f"SELECT coalesce(string_agg(kind, ' ' ORDER BY kind), '') FROM case_file{wanted}")  # noqa: S608


class TestCapture:
    async def test_nothing_is_posted_until_goods_are_ready_and_then_what_is_ready_is_taken(self, shop: Shop) -> None:
        journey = await authorised(shop)
        assert await accounts(shop.database) == {}
        assert await operations(shop, journey) == ()
        await pick(shop, journey, 2)
        await answer(shop, journey)
        assert await accounts(shop.database) == {"payment_clearing": 3000, "customer_deposits": -3000}

    async def test_what_was_given_up_is_let_go_and_the_rest_taken(self, shop: Shop) -> None:
        journey = await authorised(shop)
        lines = [{"line_id": "1", "quantity": 1, "refused_quantity": 1}]
        await pick(shop, journey, 2)
        await answer(shop, journey)
        await shop.report("bopis.handed_over", journey_id=journey, lines=lines, actor="p1")
        assert await shop.value("SELECT refund_requested_minor FROM payment") == 1500

    async def test_a_cancel_before_it_is_taken_lets_it_go_and_posts_nothing(self, shop: Shop) -> None:
        journey = await authorised(shop)
        await shop.report("bopis.cancelled", journey_id=journey)
        assert (await answer(shop, journey)).startswith("void:")
        assert await accounts(shop.database) == {}
        assert (await situation(shop, journey)).ended

    async def test_each_tender_goes_back_where_it_came_from(self, shop: Shop) -> None:
        paid = [
            {"reference": "gift-1", "tender": "gift_card", "amount_minor": 1000, "state": "captured"},
            {"reference": "card-1", "tender": "card", "amount_minor": 2000, "state": "authorized"},
        ]
        journey = await shop.order(2, payments=paid)
        await shop.report("bopis.cancelled", journey_id=journey)
        found = await shop.value(
            "SELECT string_agg(o.kind || ' ' || p.tender || ' ' || o.amount_minor, ', ' ORDER BY o.kind)"
            " FROM payment_operation o JOIN payment p ON p.id = o.payment_id"
        )
        assert found == "refund gift_card 1000, void card 2000"


class TestDeclined:
    async def declined(self, shop: Shop) -> tuple[str, str]:
        journey = await authorised(shop)
        await pick(shop, journey, 2)
        return journey, await answer(shop, journey, "declined")

    async def test_nothing_may_be_handed_over_and_the_order_says_so(self, shop: Shop) -> None:
        journey, _ = await self.declined(shop)
        assert await kinds(shop) == "capture_failed"
        async with shop.database.read() as conn:
            assert "hand nothing over" in ((await journey_detail(conn, None, journey)).hand_over_blocked or "")

    async def test_handed_over_all_the_same_it_posts_is_asked_about_and_charged_once_more(self, shop: Shop) -> None:
        journey, _ = await self.declined(shop)
        assert (await hand_over(shop, journey, 2)).outcome == "accepted"
        assert await kinds(shop) == "capture_failed handed_over_unpaid"
        assert (await accounts(shop.database))["revenue"] == -3000
        await answer(shop, journey)
        assert await kinds(shop) == ""
        assert (await accounts(shop.database))["payment_clearing"] == 3000
        assert (await situation(shop, journey)).ended

    async def test_asked_again_it_is_taken_and_the_block_is_gone(self, shop: Shop) -> None:
        journey, _ = await self.declined(shop)
        case_id = await shop.value("SELECT id FROM case_file")
        await decisions.decide(shop.database, case_id, FIN, option_id="retry", parameters={}, via="test")
        await answer(shop, journey)
        async with shop.database.read() as conn:
            assert (await journey_detail(conn, None, journey)).hand_over_blocked is None
        assert await shop.value("SELECT captured_minor FROM payment") == 3000

    async def test_it_is_not_asked_for_twice(self, shop: Shop) -> None:
        journey, _ = await self.declined(shop)
        case_id = await shop.value("SELECT id FROM case_file")
        await hand_over(shop, journey, 2)
        with pytest.raises(StateConflict):
            await decisions.decide(shop.database, case_id, FIN, option_id="retry", parameters={}, via="test")
        assert len(await operations(shop, journey)) == 1

    async def test_a_cancel_ends_the_question_and_lets_the_money_go(self, shop: Shop) -> None:
        journey, _ = await self.declined(shop)
        await shop.report("bopis.cancelled", journey_id=journey)
        assert await kinds(shop) == ""
        assert (await answer(shop, journey)).startswith("void:")


class TestRenewal:
    async def test_one_that_ends_soon_is_renewed_once_until_the_provider_says(self, shop: Shop) -> None:
        journey = await authorised(shop, authorized_until=(now() + timedelta(hours=5)).isoformat())
        assert await renewals.sweep(shop.database, now()) == 1
        assert await renewals.sweep(shop.database, now()) == 0
        until = now().replace(microsecond=0) + timedelta(days=30)
        assert (await answer(shop, journey, authorized_until=until)).startswith("renew:")
        assert await shop.value("SELECT authorized_until FROM payment") == until
        assert await accounts(shop.database) == {}
        assert await renewals.sweep(shop.database, now()) == 0

    async def test_where_the_provider_does_not_say_it_holds_as_long_as_policy_has_it(self, shop: Shop) -> None:
        journey = await authorised(shop, authorized_until=(now() + timedelta(hours=5)).isoformat())
        await renewals.sweep(shop.database, now())
        await answer(shop, journey)
        left = await shop.value("SELECT authorized_until FROM payment") - now()
        assert timedelta(days=6) < left < timedelta(days=8)

    async def test_one_that_lasts_is_left_alone_until_the_orders_own_clock_comes_near(self, shop: Shop) -> None:
        journey = await authorised(shop, authorized_until=(now() + timedelta(days=10)).isoformat())
        assert await renewals.sweep(shop.database, now()) == 0
        await shop.change("UPDATE journey SET clock_offset_s = 860000")
        assert await renewals.sweep(shop.database, now()) == 1
        assert len(await operations(shop, journey)) == 1

    @pytest.mark.parametrize("quantity", [2, 0])
    async def test_what_is_taken_or_let_go_needs_none(self, shop: Shop, quantity: int) -> None:
        journey = await authorised(shop, authorized_until=(now() + timedelta(hours=5)).isoformat())
        if quantity:
            await pick(shop, journey, quantity)
        else:
            await shop.report("bopis.cancelled", journey_id=journey)
        assert await renewals.sweep(shop.database, now()) == 0
        await answer(shop, journey)
        assert await renewals.sweep(shop.database, now()) == 0

    async def test_declined_it_is_a_case_and_can_be_tried_again(self, shop: Shop) -> None:
        journey = await authorised(shop, authorized_until=(now() + timedelta(hours=5)).isoformat())
        await renewals.sweep(shop.database, now())
        await answer(shop, journey, "declined")
        assert await kinds(shop) == "capture_failed"
        assert await renewals.sweep(shop.database, now()) == 0
        case_id = await shop.value("SELECT id FROM case_file")
        await decisions.decide(shop.database, case_id, FIN, option_id="retry", parameters={}, via="test")
        await answer(shop, journey)
        assert await shop.value("SELECT authorized_until > now() + interval '1 day' FROM payment")
