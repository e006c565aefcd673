"""The question about a dearer replacement meets something else: a second answer, another one, goods, a cancel."""

import asyncio
from datetime import datetime, timedelta

import pytest

from domain.errors import OfferAnswered, OfferExpired, OfferWithdrawn
from ledger.returns import dues, requests
from tests.ledger.support.books import accounts
from tests.ledger.support.exchanging import DEAR_MINOR, MORE_MINOR, Swap, dear, exchange, hand_over, offer, paid, wanted
from tests.ledger.support.returning import Back, collected
from tests.shop import PRICE_MINOR, WEB, Shop


class TestFirstOfTwo:
    async def test_answered_twice(self, shop: Shop) -> None:
        swap = await dear(shop)
        number = await offer(swap, "id")
        await swap.say("accept")
        for words in ("accept", "decline"):
            with pytest.raises(OfferAnswered, match="was answered already"):
                await swap.say(words, offer_id=number)
        await swap.carry_on()
        assert swap.provider.charged == [("card-1", MORE_MINOR)]

    async def test_yes_and_no_on_two_devices_at_once_are_one_answer(self, shop: Shop) -> None:
        swap = await dear(shop)
        number = await offer(swap, "id")
        answers = await asyncio.gather(
            swap.say("accept", offer_id=number), swap.say("decline", offer_id=number), return_exceptions=True
        )
        assert sum(isinstance(one, OfferAnswered) for one in answers) == 1
        await swap.carry_on()
        charged = "accepted" in answers
        assert (len(swap.provider.charged), await swap.state()) == ((1, "waiting") if charged else (0, "off"))

    async def test_a_yes_that_comes_too_late(self, shop: Shop) -> None:
        swap = await dear(shop)
        await shop.change("UPDATE offer SET due_at = now() - interval '1 second'")
        with pytest.raises(OfferExpired):
            await swap.say("accept")
        await swap.back.fall_due("answer")
        with pytest.raises(OfferExpired):
            await swap.say("accept")
        await swap.carry_on()
        assert (swap.provider.charged, await swap.order_state()) == ([], "cancelled")

    async def test_a_timer_after_the_answer_does_nothing(self, shop: Shop) -> None:
        swap = await dear(shop)
        row = await swap.back.row()
        await swap.say("accept")
        at = datetime.fromisoformat(row["dues"]["answer"]) + timedelta(seconds=1)
        await swap.back.take(dues.on_due, due="answer", at=at)
        assert await swap.state() == "collecting"

    async def test_the_return_is_called_off_before_the_provider_was_asked(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("accept")
        await requests.cancel(shop.database, WEB, swap.back.id, reason="x", actor="a", via="test")
        await swap.carry_on()
        assert (swap.provider.asked, await paid(swap)) == ([], (0, MORE_MINOR, 0))
        assert await swap.order_state() == "cancelled"

    async def test_the_order_is_cancelled_before_the_provider_was_asked(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("accept")
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        await swap.carry_on()
        assert (swap.provider.asked, await paid(swap)) == ([], (0, MORE_MINOR, 0))
        assert await swap.state() == "off"
        assert await shop.value("SELECT closed_at FROM journey WHERE id = :id", id=swap.order) is not None

    async def test_the_return_is_called_off_after_they_have_paid(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("accept")
        await swap.carry_on()
        await requests.cancel(shop.database, WEB, swap.back.id, reason="x", actor="a", via="test")
        await swap.carry_on()
        refund = swap.provider.asked[-1]
        assert (refund.kind, refund.payment_reference, refund.amount_minor) == ("refund", "p-1", MORE_MINOR)
        assert (await swap.order_state(), await swap.money_back()) == ("cancelled", MORE_MINOR)
        books = await accounts(shop.database)
        assert not {"refund_liability", "refunds_payable", "customer_deposits"} & set(books)

    async def test_the_goods_do_not_come_and_what_they_paid_goes_back(self, shop: Shop) -> None:
        swap = await dear(shop, method="mail")
        await swap.say("accept")
        await swap.carry_on()
        await swap.back.fall_due("goods")
        await swap.carry_on()
        assert (await swap.order_state(), await swap.money_back()) == ("cancelled", MORE_MINOR)


class TestChanged:
    async def test_called_off_while_they_think(self, shop: Shop) -> None:
        swap = await dear(shop)
        number = await offer(swap, "id")
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        await swap.carry_on()
        assert (await swap.state(), await offer(swap, "state")) == ("off", "withdrawn")
        with pytest.raises(OfferWithdrawn):
            await swap.say("accept", offer_id=number)
        assert swap.provider.asked == []

    async def test_called_off_a_moment_before_the_answer_is_what_counts(self, shop: Shop) -> None:
        swap = await dear(shop)
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        assert await swap.say("accept") == "withdrawn"
        await swap.carry_on()
        assert (swap.provider.asked, await swap.state()) == ([], "off")

    async def test_part_of_it_is_called_off_and_they_are_asked_anew(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted()
        body["order"]["lines"] = [
            {"line_id": "1", "sku": "TEA-1", "quantity": 1, "unit_price_minor": 1_800},
            {"line_id": "2", "sku": "TEA-1", "quantity": 1, "unit_price_minor": 400},
        ]
        _, answer = await exchange(shop, back, body)
        assert answer.difference_minor == 700
        swap = Swap(shop, back, answer.order_journey_id)
        first = await offer(swap, "id")
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=["2"])
        await swap.carry_on()
        assert (await offer(swap, "option"))["parameters"]["difference_minor"] == 300
        with pytest.raises(OfferWithdrawn):
            await swap.say("accept", offer_id=first)
        await swap.say("accept")
        await swap.carry_on()
        assert swap.provider.charged == [("card-1", 300)]
        await back.receive()
        await swap.carry_on()
        assert await swap.order_state() == "reserved"

    async def test_what_is_left_costs_no_more_and_nobody_is_asked(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted()
        body["order"]["lines"] = [
            {"line_id": "1", "sku": "TEA-1", "quantity": 1, "unit_price_minor": 1_300},
            {"line_id": "2", "sku": "TEA-1", "quantity": 1, "unit_price_minor": 400},
        ]
        _, answer = await exchange(shop, back, body)
        swap = Swap(shop, back, answer.order_journey_id)
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=["2"])
        await swap.carry_on()
        await back.receive()
        await swap.carry_on()
        assert (await swap.order_state(), await swap.money_back()) == ("reserved", 200)
        assert swap.provider.charged == []

    async def test_sold_meanwhile_the_question_is_taken_back(self, shop: Shop) -> None:
        swap = await dear(shop)
        sold = [{"line": "1", "sku": "TEA-1", "quantity": 4, "unit_price_minor": PRICE_MINOR}]
        await shop.report("pos.sale", location="S1", receipt="T-9", lines=sold)
        assert await swap.say("accept") == "withdrawn"
        await swap.carry_on()
        assert (await swap.state(), swap.provider.charged) == ("off", [])

    async def test_too_few_come_back_while_they_think(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop, 2), 2)
        _, answer = await exchange(shop, back, wanted(2, DEAR_MINOR))
        swap = Swap(shop, back, answer.order_journey_id)
        await back.receive(1)
        await back.inspect(1)
        assert (await swap.state(), await offer(swap, "state")) == ("off", "withdrawn")
        await swap.carry_on()
        assert (await swap.money_back(), swap.provider.charged) == (PRICE_MINOR, [])

    async def test_taken_before_they_have_agreed_somebody_is_asked_and_their_word_heals_it(self, shop: Shop) -> None:
        swap = await dear(shop)
        await hand_over(swap)
        await swap.carry_on()
        kinds = "SELECT string_agg(DISTINCT kind, ' ') FROM case_file WHERE journey_id = :id AND closed_at IS NULL"
        assert (await shop.value(kinds, id=swap.order), swap.provider.asked) == ("capture_failed", [])
        await swap.say("accept")
        await swap.back.receive()
        await swap.carry_on()
        assert (await shop.value(kinds, id=swap.order), swap.provider.charged) == (None, [("card-1", MORE_MINOR)])
