"""Exchanges in the ledger: the replacement waits for what pays for it, and every unit is paid back once."""

import asyncio

import pytest

from domain.errors import IdempotencyMismatch, Malformed, NotFound, StateConflict, UnknownLine, UnknownSku
from domain.messages import Step
from ledger.returns import exchange_payments
from tests.ledger.support.books import accounts
from tests.ledger.support.exchanging import Swap, carry_out, exchange, hand_over, policy, wanted
from tests.ledger.support.returning import Back, collected, now, shelf
from tests.shop import PRICE_MINOR, Shop


class TestEven:
    async def test_the_replacement_waits_for_the_goods_and_is_paid_by_them(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        sold = await accounts(shop.database)
        assert (await swap.order_state(), await swap.state()) == ("placed", "waiting")
        assert await shelf(shop) == {"available": 3, "reserved": 1}
        await swap.back.receive()
        assert await swap.back.refunds() == [("exchange", PRICE_MINOR, "requested")]
        assert await swap.state() == "applied"
        await swap.carry_on()
        assert (await swap.order_state(), await swap.paid()) == ("reserved", (PRICE_MINOR, 0, 0))
        await hand_over(swap)
        await swap.back.inspect()
        assert (await swap.back.state(), await swap.order_state()) == ("closed", "collected")
        books = await accounts(shop.database)
        assert books["payment_clearing"] == sold["payment_clearing"]  # no money has moved
        assert "refund_liability" not in books
        assert "customer_deposits" not in books
        assert books["sales_returns"] == PRICE_MINOR

    async def test_goods_that_are_here_already_pay_at_once(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"refund_at": [{"at": "inspection"}]}}')
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        _, answer = await exchange(shop, back)
        assert answer.state == "applied"
        swap = Swap(shop, back, answer.order_journey_id)
        await swap.carry_on()
        assert await swap.order_state() == "reserved"

    async def test_by_policy_it_waits_for_nothing(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_at": "request"}}')
        swap = await Swap.open(shop, method="mail")
        await swap.carry_on()
        assert (await swap.order_state(), await swap.back.state()) == ("reserved", "authorized")
        await swap.back.fall_due("goods")
        assert await swap.back.cases() == ["return_not_received"]
        assert await swap.order_state() == "reserved"  # what was promised stands; somebody is asked about the goods

    async def test_by_policy_it_waits_for_the_inspection(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_at": "inspection"}}')
        swap = await Swap.open(shop)
        await swap.back.receive()
        assert await swap.back.refunds() == []
        await swap.back.inspect()
        await swap.carry_on()
        assert await swap.order_state() == "reserved"

    async def test_one_line_is_exchanged_and_the_other_paid_back(self, shop: Shop) -> None:
        order = await collected(shop, 3)
        lines = [
            {"line_id": str(number), "sku": "TEA-1", "quantity": number, "reason": "wrong_size"} for number in (1, 2)
        ]
        back = await Back.open(shop, order, lines=lines)
        _, answer = await exchange(shop, back, wanted(lines=["1"]))
        swap = Swap(shop, back, answer.order_journey_id)
        await back.receive(2, line_id="2", complete=False)
        assert await back.refunds() == [("card", 2 * PRICE_MINOR, "requested")]
        await back.receive(1)
        await swap.carry_on()
        assert sorted(await back.refunds()) == [
            ("card", 2 * PRICE_MINOR, "succeeded"), ("exchange", PRICE_MINOR, "succeeded"),
        ]  # fmt: skip

    async def test_the_same_again_is_answered_the_same(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted()
        first = await exchange(shop, back, body)
        again = await exchange(shop, back, body)
        assert (first[0], again) == (201, (200, first[1]))

    async def test_asked_twice_at_once_there_is_one_replacement(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted()
        answers = await asyncio.gather(*(exchange(shop, back, body) for _ in range(3)))
        assert len({answer.order_journey_id for _, answer in answers}) == 1
        assert await shelf(shop) == {"available": 2, "reserved": 1}


class TestDifference:
    async def test_cheaper_the_rest_goes_back(self, shop: Shop) -> None:
        swap = await Swap.open(shop, body=wanted(1, 1_100))
        await swap.back.receive()
        await swap.carry_on()
        assert sorted(await swap.back.refunds()) == [("card", 400, "succeeded"), ("exchange", 1_100, "succeeded")]

    async def test_dearer_with_the_customers_payment(self, shop: Shop) -> None:
        swap = await Swap.open(shop, body=wanted(1, 2_000, paid=500))
        await swap.back.receive()
        await swap.carry_on()
        await hand_over(swap)
        assert (await swap.money_back(), await swap.paid()) == (0, (PRICE_MINOR, 0, 0))

    async def test_the_fee_is_not_paid_by_the_exchange(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"fees": [{"permille": 100}]}}')
        back = await Back.open(shop, await collected(shop))
        _, answer = await exchange(shop, back, wanted(1, 1_350))
        assert (answer.credit_minor, answer.back_minor) == (1_350, 0)

    async def test_fewer_came_than_pay_for_it_so_it_is_money(self, shop: Shop) -> None:
        swap = await Swap.open(shop, 2)
        await swap.back.receive(1)
        await swap.back.inspect(1)
        assert (await swap.state(), await swap.back.refunds()) == ("off", [("card", PRICE_MINOR, "requested")])
        await swap.carry_on()
        assert (await swap.order_state(), await swap.paid()) == ("cancelled", (0, 2 * PRICE_MINOR, 0))
        assert await swap.money_back() == PRICE_MINOR
        assert (await shelf(shop))["available"] == 4


class TestRefusals:
    async def test_a_return_that_nobody_knows(self, shop: Shop) -> None:
        with pytest.raises(NotFound):
            await exchange(shop, Back(shop, "RT-404"))

    async def test_lines_that_do_not_come_back(self, shop: Shop) -> None:
        order = await collected(shop)
        back = await Back.open(shop, order)
        with pytest.raises(UnknownLine, match="no line 9"):
            await exchange(shop, back, wanted(lines=["9"]))
        await shop.change("UPDATE journey SET closed_at = now() - interval '31 days' WHERE id = :id", id=order)
        declined = await Back.open(shop, order)
        with pytest.raises(StateConflict, match="The return is declined"):
            await exchange(shop, declined)

    async def test_what_was_paid_back(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        with pytest.raises(StateConflict, match="was paid back already"):
            await exchange(shop, back)

    async def test_goods_that_were_declined_pay_for_nothing(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), method="mail")
        await back.inspect(disposition="send_back")
        with pytest.raises(StateConflict, match="The return is closed"):
            await exchange(shop, back)

    async def test_a_second_one(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        with pytest.raises(StateConflict, match=r"exchanged for order X-.* already"):
            await exchange(shop, swap.back)

    async def test_the_same_order_with_another_body(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted()
        await exchange(shop, back, body)
        body["order"]["channel"] = "app"
        with pytest.raises(IdempotencyMismatch):
            await exchange(shop, back, body)

    async def test_an_order_that_is_there_already(self, shop: Shop) -> None:
        key = (await shop.order(1)).removeprefix("bopis:web:")
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(IdempotencyMismatch):
            await exchange(shop, back, wanted(order_id=key))
        await back.receive()
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]

    async def test_an_order_that_is_refused_leaves_the_return_as_it_was(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted()
        body["order"]["lines"][0]["sku"] = "NOPE"
        with pytest.raises(UnknownSku):
            await exchange(shop, back, body)
        assert (await back.row())["detail"]["exchange"]["state"] == "off"
        _, answer = await exchange(shop, back)
        assert answer.state == "waiting"

    async def test_one_that_is_paid_in_full(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(Malformed, match="nothing to pay"):
            await exchange(shop, back, wanted(paid=PRICE_MINOR))


class TestOnce:
    async def test_two_workers_carry_the_same_operation_out_once(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await swap.back.receive()
        await asyncio.gather(*(carry_out(shop, swap.back.id) for _ in range(3)))
        assert await swap.paid() == (PRICE_MINOR, 0, 0)
        assert await shop.value("SELECT count(*) FROM journal WHERE event = 'returns.exchanged'") == 1

    async def test_a_step_that_is_taken_again_answers_from_its_record(self, shop: Shop) -> None:
        swap = await Swap.open(shop)
        await swap.back.receive()
        (operation,) = await swap.back.operations()
        step = Step(subject=swap.back.id, occurrence="1", at=now(), operation_id=operation)
        first = await exchange_payments.carry_out(shop.database, step)
        assert await exchange_payments.carry_out(shop.database, step) == first
        assert await swap.paid() == (PRICE_MINOR, 0, 0)
