"""An offer to a customer meets something else: what turns up, a cancel, a second answer, goods in motion."""

import asyncio

import pytest

from domain.errors import OfferAnswered, OfferWithdrawn
from ledger.bopis import asking, steps
from tests.ledger.support.offers import OOLONG, Asked, asked
from tests.ledger.support.orders import decide, failed_order, pick, step
from tests.shop import TEA, Shop


class TestFound:
    async def test_what_turns_up_withdraws_the_question_and_the_customer_is_told(self, shop: Shop) -> None:
        order = await asked(shop)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
        await steps.attend(shop.database, step(order.journey, "found"))
        held = await order.situation()
        assert (held.state, held.offer_id) == ("reserved", None)
        assert (await order.value("state"), await order.value("because")) == ("withdrawn", "your item was found")
        assert await order.units() == {TEA: (8, 8)}
        assert await shop.value("SELECT available FROM stock WHERE sku = :s", s=OOLONG) == 10
        assert await order.mails() == ["offer_made", "offer_withdrawn"]
        with pytest.raises(OfferWithdrawn, match="your item was found"):
            await order.answer("accept")

    async def test_found_a_moment_before_the_answer_is_what_counts(self, shop: Shop) -> None:
        """The delivery is recorded, the order has not taken it up yet, and the customer presses yes."""
        order = await asked(shop)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
        assert (await order.answer("accept")).state == "withdrawn"
        assert await order.units() == {TEA: (8, 8)}
        assert (await order.situation()).state == "reserved"

    async def test_part_of_it_withdraws_the_question_and_asks_about_the_rest(self, shop: Shop) -> None:
        order = await asked(shop)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 1}])
        await steps.attend(shop.database, step(order.journey, "found"))
        assert await order.value("because") == "what is missing has changed"
        again = await order.look_for_a_way("2")
        assert again.state == "substituting"
        assert await order.value("missing") == {"1": 2}

    async def test_an_accepted_one_stands_and_the_find_goes_to_others(self, shop: Shop) -> None:
        order = await asked(shop)
        await order.answer("accept")
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :s", s=TEA) == 3

    async def test_a_picker_who_finds_it_withdraws_the_question(self, shop: Shop) -> None:
        order = await asked(shop)
        assert (await pick(shop, order.journey, 8)).outcome == "accepted"
        assert (await order.situation()).state == "ready_for_pickup"
        assert await order.value("state") == "withdrawn"

    async def test_an_offered_unit_that_the_till_sold_withdraws_the_question(self, shop: Shop) -> None:
        order = await asked(shop)
        sale = {"line": "1", "sku": OOLONG, "quantity": 9, "unit_price_minor": 1_500}
        await shop.report("pos.sale", location="S1", receipt="R1", lines=[sale])
        assert (await order.situation()).attention == ("doubted",)
        told = await steps.attend(shop.database, step(order.journey, "doubt"))
        assert (told.state, told.offer_id, told.attention) == ("reservation_failed", None, ())
        assert await order.value("because") == "what we offered was sold meanwhile"
        assert (await order.look_for_a_way("2")).case_id is not None


class TestMeetings:
    async def test_a_cancel_by_the_shop_ends_the_question(self, shop: Shop) -> None:
        order = await asked(shop)
        assert (await shop.report("bopis.cancelled", journey_id=order.journey)).outcome == "accepted"
        assert await order.value("state") == "withdrawn"
        with pytest.raises(OfferWithdrawn):
            await order.answer("accept")
        assert await shop.value("SELECT sum(reserved) FROM stock") == 0
        assert await order.mails() == ["offer_made", "order_cancelled"]

    @pytest.mark.parametrize("other", ["accept", "leave_out", "cancel", "other"])
    async def test_two_tabs_at_once_are_one_answer(self, shop: Shop, other: str) -> None:
        order = await asked(shop)
        answers = await asyncio.gather(order.answer("accept"), order.answer(other), return_exceptions=True)
        assert len([one for one in answers if isinstance(one, asking.Outcome)]) == 1
        assert len([one for one in answers if isinstance(one, OfferAnswered)]) == 1

    async def test_a_cancel_and_a_yes_at_once_leave_nothing_held_twice(self, shop: Shop) -> None:
        order = await asked(shop)
        done, _ = await asyncio.gather(
            order.answer("accept"), shop.report("bopis.cancelled", journey_id=order.journey), return_exceptions=True
        )
        assert isinstance(done, (asking.Outcome, OfferWithdrawn))
        assert (await order.situation()).state == "cancelled"
        assert await shop.value("SELECT sum(reserved) FROM stock") == 0

    async def test_goods_in_motion_withdraw_the_offer_of_another_store(self, shop: Shop) -> None:
        await shop.put("S1", 2)
        journey, number = await failed_order(shop, 4)
        answer = await decide(shop, number, "offer:other_store:S2")
        await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        await pick(shop, journey, 2)
        order = Asked(shop, journey)
        assert await order.value("because") == "the store has begun to prepare your order"
        assert await shop.value("SELECT reserved FROM stock WHERE location = 'S2'") == 0
