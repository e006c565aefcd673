"""Exchanges that end: called off on either side, taken before they were paid, cut off, brought back."""

import asyncio

from ledger.returns import requests
from tests.ledger.support.books import accounts
from tests.ledger.support.exchanging import Swap, carry_out, exchange, hand_over, policy, wanted
from tests.ledger.support.returning import Back, collected, shelf
from tests.shop import PRICE_MINOR, WEB, Shop


class TestCalledOff:
    async def test_the_replacement_before_the_goods_came(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        await swap.carry_on()
        assert (await swap.order_state(), await swap.state()) == ("cancelled", "off")
        await swap.back.receive()
        assert await swap.back.refunds() == [("card", PRICE_MINOR, "requested")]

    async def test_part_of_the_replacement_before_the_goods_came(self, shop: Shop) -> None:
        lines = [
            {"line_id": str(number), "sku": "TEA-1", "quantity": 1, "unit_price_minor": PRICE_MINOR}
            for number in (1, 2)
        ]
        back = await Back.open(shop, await collected(shop, 2), 2)
        body = wanted()
        body["order"]["lines"] = lines
        _, answer = await exchange(shop, back, body)
        swap = Swap(shop, back, answer.order_journey_id)
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=["2"])
        await swap.carry_on()
        await back.receive(2)
        await swap.carry_on()
        assert sorted(await back.refunds()) == [
            ("card", PRICE_MINOR, "succeeded"),
            ("exchange", PRICE_MINOR, "succeeded"),
        ]
        assert await swap.paid() == (PRICE_MINOR, PRICE_MINOR, 0)

    async def test_the_replacement_after_it_was_paid_for(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await swap.back.receive()
        await swap.back.inspect()
        await swap.carry_on()
        assert await swap.back.state() == "closed"
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        await swap.carry_on()
        assert (await swap.paid(), await swap.money_back()) == ((PRICE_MINOR, 0, PRICE_MINOR), PRICE_MINOR)
        assert ("card", PRICE_MINOR, "succeeded") in await swap.back.refunds()
        assert (await swap.back.state(), await swap.order_state()) == ("closed", "cancelled")
        books = await accounts(shop.database)
        assert not {"refund_liability", "refunds_payable", "customer_deposits"} & set(books)

    async def test_the_replacement_between_the_goods_and_the_payment(self, shop: Shop) -> None:
        """The order has ended when the return is about to pay for it: what it owes is money again."""
        swap = await Swap.open(shop)
        await swap.back.receive()
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        await swap.carry_on()
        assert await swap.paid() == (0, PRICE_MINOR, 0)
        assert sorted(await swap.back.refunds()) == [
            ("card", PRICE_MINOR, "succeeded"), ("exchange", PRICE_MINOR, "withdrawn"),
        ]  # fmt: skip

    async def test_the_return_and_the_replacement_goes_with_it(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await requests.cancel(shop.database, WEB, swap.back.id, reason="x", actor="a", via="test")
        await swap.carry_on()
        assert (await swap.back.state(), await swap.order_state()) == ("cancelled", "cancelled")
        assert (await shelf(shop), await swap.money_back()) == ({"available": 4}, 0)

    async def test_goods_that_do_not_come(self, shop: Shop) -> None:
        swap = await Swap.open(shop, method="mail")
        await swap.back.fall_due("goods")
        await swap.carry_on()
        assert (await swap.back.state(), await swap.order_state()) == ("not_received", "cancelled")
        await swap.back.receive()
        await swap.back.inspect()
        assert await swap.back.refunds() == [("card", PRICE_MINOR, "requested")]

    async def test_goods_that_are_declined_after_their_inspection(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_at": "inspection"}}')
        swap = await Swap.open(shop)
        await swap.back.receive()
        await swap.back.inspect(disposition="send_back")
        await swap.carry_on()
        assert (await swap.order_state(), await swap.money_back()) == ("cancelled", 0)

    async def test_both_at_once(self, shop: Shop) -> None:
        """The goods come while the customer calls the replacement off: one of the two, and the money once."""
        swap = await Swap.open(shop)
        await asyncio.gather(swap.back.receive(), shop.report("bopis.cancelled", journey_id=swap.order, lines=None))
        await swap.carry_on()
        assert await swap.money_back() == PRICE_MINOR
        assert await swap.order_state() == "cancelled"

    async def test_after_the_exchange_is_off_another_one_is_asked_for(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
        await swap.carry_on()
        status, answer = await exchange(shop, swap.back)
        assert (status, answer.state) == (201, "waiting")


class TestBeforeTheGoods:
    async def test_taken_before_it_was_paid_for_somebody_is_asked_and_the_goods_heal_it(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await hand_over(swap)
        await swap.carry_on()
        kinds = "SELECT string_agg(kind, ' ' ORDER BY kind) FROM case_file WHERE journey_id = :id AND closed_at IS NULL"
        assert await shop.value(kinds, id=swap.order) == "capture_failed"
        await swap.back.receive()
        await swap.carry_on()
        assert await shop.value(kinds, id=swap.order) is None
        assert await swap.paid() == (PRICE_MINOR, 0, 0)

    async def test_the_source_cannot_let_it_go_on(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        outcome = await shop.report("bopis.hold_released", journey_id=swap.order)
        assert outcome.outcome == "refused"
        assert outcome.problem is not None
        assert "waits for the goods that it is exchanged for" in outcome.problem["detail"]


class TestCutOff:
    async def placing(self, shop: Shop, *, with_order: bool) -> Swap:
        """As it is when the process ended between two of its transactions."""
        swap = await Swap.open(shop)
        await shop.change(
            "UPDATE journey SET detail = jsonb_set(detail, '{exchange,state}', '\"placing\"'),"
            " dues = dues || jsonb_build_object('exchange', now()::text) WHERE id = :id",
            id=swap.back.id,
        )  # fmt: skip
        if not with_order:
            await shop.change(
                "UPDATE journey SET detail = jsonb_set(detail, '{exchange,order}', '\"bopis:web:never\"')"
                " WHERE id = :id",
                id=swap.back.id,
            )
            await shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
            await swap.carry_on()
        return swap

    async def test_an_order_that_was_placed_is_found(self, shop: Shop) -> None:
        swap = await self.placing(shop, with_order=True)
        await swap.back.fall_due("exchange")
        assert await swap.state() == "waiting"

    async def test_one_that_was_never_placed_is_money(self, shop: Shop) -> None:
        swap = await self.placing(shop, with_order=False)
        await swap.back.receive()
        assert await swap.back.refunds() == []  # kept until it is known
        await swap.back.fall_due("exchange")
        assert (await swap.state(), await swap.back.refunds()) == ("off", [("card", PRICE_MINOR, "requested")])


class TestReturned:
    async def again(self, swap: Swap) -> Back:
        """The replacement was paid for and collected, and comes back."""
        await swap.back.receive()
        await swap.back.inspect()
        await swap.carry_on()
        await hand_over(swap)
        back = await Back.open(swap.shop, swap.order)
        await back.receive()
        await back.inspect()
        return back

    async def test_a_replacement_that_comes_back_is_paid_out_where_the_first_order_was_paid_from(
        self, shop: Shop
    ) -> None:
        swap = await Swap.open(shop)
        again = await self.again(swap)
        assert await again.refunds() == [("exchange", PRICE_MINOR, "requested")]
        await carry_out(shop, again.id)
        assert ("card", PRICE_MINOR, "requested") in await swap.back.refunds()
        assert (await again.state(), await swap.back.state()) == ("closed", "refund_pending")
        await swap.carry_on()
        assert (await swap.back.state(), await swap.money_back()) == ("closed", PRICE_MINOR)
        assert "refund_liability" not in await accounts(shop.database)

    async def test_what_its_customer_paid_of_it_goes_back_by_itself(self, shop: Shop) -> None:
        swap = await Swap.open(shop, body=wanted(1, 2_000, paid=500))
        again = await self.again(swap)
        assert sorted(await again.refunds()) == [
            ("card", 500, "requested"), ("exchange", PRICE_MINOR, "requested"),
        ]  # fmt: skip

    async def test_exchanged_again_and_back_again_the_money_finds_its_way(self, shop: Shop) -> None:
        first = await Swap.open(shop)
        second = await self.again_exchanged(first)
        again = await self.again(second)
        for one in (again, second.back, first.back):
            await carry_out(shop, one.id)
        await first.carry_on()
        assert (await first.money_back(), await second.money_back()) == (PRICE_MINOR, 0)
        assert "refund_liability" not in await accounts(shop.database)

    async def again_exchanged(self, swap: Swap) -> Swap:
        await swap.back.receive()
        await swap.back.inspect()
        await swap.carry_on()
        await hand_over(swap)
        back = await Back.open(swap.shop, swap.order)
        _, answer = await exchange(swap.shop, back)
        return Swap(swap.shop, back, answer.order_journey_id)
