"""A replacement that costs more: its customer is asked by link, charged once with their word, and never without it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Malformed, NotFound, StateConflict
from ledger.returns import requests
from tests.ledger.support.books import accounts
from tests.ledger.support.exchanging import (
    DEAR_MINOR,
    MORE_MINOR,
    Provider,
    Swap,
    carry_out,
    dear,
    exchange,
    hand_over,
    mails,
    offer,
    paid,
    policy,
    wanted,
)
from tests.ledger.support.returning import Back, collected, shelf
from tests.shop import PRICE_MINOR, WEB, Shop


class TestAsking:
    async def test_the_replacement_is_promised_and_the_customer_asked_with_the_figures(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted(1, DEAR_MINOR)
        status, answer = await exchange(shop, back, body)
        swap = Swap(shop, back, answer.order_journey_id)
        assert (status, answer.state, answer.difference_minor) == (201, "asking", MORE_MINOR)
        assert answer.answer_until is not None
        assert answer.answer_until - datetime.now(UTC) > timedelta(days=1, hours=23)
        assert (await swap.order_state(), await shelf(shop)) == ("placed", {"available": 2, "reserved": 1})
        figures = (await offer(swap, "option"))["parameters"]
        assert (figures["price_minor"], figures["worth_minor"]) == (DEAR_MINOR, PRICE_MINOR)
        assert (figures["paid_minor"], figures["difference_minor"]) == (0, MORE_MINOR)
        assert await mails(swap) == ["exchange_asked"]
        again = await exchange(shop, back, body)
        assert again == (200, answer)

    async def test_nothing_is_charged_and_no_line_paid_back_while_they_think(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.back.receive()
        await swap.back.inspect()
        await swap.carry_on()
        assert (await swap.state(), await swap.back.state()) == ("asking", "dispositioned")
        assert (await swap.back.refunds(), swap.provider.asked) == ([], [])

    async def test_what_they_paid_beforehand_is_not_asked_for(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        _, answer = await exchange(shop, back, wanted(1, DEAR_MINOR, paid=200))
        assert (answer.state, answer.difference_minor) == ("asking", 300)

    async def test_a_fee_makes_a_difference(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"fees": [{"permille": 100}]}}')
        back = await Back.open(shop, await collected(shop))
        _, answer = await exchange(shop, back)
        assert (answer.state, answer.difference_minor, answer.credit_minor) == ("asking", 150, 1_350)

    async def test_they_are_reminded_once(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.back.fall_due("answer_reminder")
        assert await mails(swap) == ["exchange_asked", "exchange_asked"]
        assert "answer_reminder" not in (await swap.back.row())["dues"]

    async def test_by_policy_they_are_not_reminded(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_answer_s": 3600}}')
        swap = await dear(shop)
        assert {"answer", "answer_reminder"} & set((await swap.back.row())["dues"]) == {"answer"}


class TestYes:
    async def test_the_difference_is_charged_once_and_the_goods_pay_the_rest(self, shop: Shop) -> None:
        swap = await dear(shop)
        sold = await accounts(shop.database)
        assert await swap.say("accept") == "accepted"
        assert (await swap.state(), await paid(swap)) == ("collecting", (0, 0, 0))
        await swap.carry_on()
        assert swap.provider.charged == [("card-1", MORE_MINOR)]
        assert (await swap.state(), await paid(swap)) == ("waiting", (MORE_MINOR, 0, 0))
        assert (await offer(swap, "state"), await mails(swap)) == ("applied", ["exchange_asked", "exchange_paid"])
        await swap.back.receive()
        await swap.carry_on()
        await hand_over(swap)
        await swap.back.inspect()
        assert (await swap.back.state(), await swap.order_state()) == ("closed", "collected")
        books = await accounts(shop.database)
        assert books["payment_clearing"] - sold["payment_clearing"] == MORE_MINOR
        assert not {"refund_liability", "refunds_payable", "customer_deposits"} & set(books)
        assert (await swap.money_back(), len(swap.provider.asked)) == (0, 1)

    async def test_goods_that_are_here_pay_as_soon_as_the_difference_is_paid(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.back.receive()
        await swap.say("accept")
        await swap.carry_on()
        assert (await swap.state(), await swap.order_state()) == ("applied", "reserved")

    async def test_the_answer_is_lost_and_asked_for_under_the_same_key(self, shop: Shop) -> None:
        swap = await dear(shop)
        swap.provider.does = ["unknown", "unknown"]
        await swap.say("accept")
        await swap.carry_on()
        assert [one.kind for one in swap.provider.asked] == ["charge"] * 3
        assert len({one.operation_id for one in swap.provider.asked}) == 1
        assert (await swap.state(), await paid(swap)) == ("waiting", (MORE_MINOR, 0, 0))

    async def test_it_is_known_to_be_asked_before_it_is_asked(self, shop: Shop) -> None:
        """A worker that dies while the provider is asked leaves an operation that nobody may take back."""
        swap = await dear(shop)
        await swap.say("accept")

        class Died(Provider):
            async def carry_out(self, request: Any) -> Any:
                self.asked.append(request)
                raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await carry_out(shop, swap.order, Died())
        query = "SELECT state FROM payment_operation WHERE journey_id = :id AND kind = 'capture'"
        assert await shop.value(query, id=swap.order) == "unknown"
        await requests.cancel(shop.database, WEB, swap.back.id, reason="x", actor="a", via="test")
        await swap.carry_on()
        assert swap.provider.charged == [("card-1", MORE_MINOR)]  # only the provider knows whether it was charged
        assert await swap.money_back() == MORE_MINOR
        assert await swap.order_state() == "cancelled"

    async def test_two_workers_charge_once(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("accept")
        await asyncio.gather(*(carry_out(shop, swap.order, swap.provider) for _ in range(3)))
        assert len({one.operation_id for one in swap.provider.asked}) == 1
        assert await paid(swap) == (MORE_MINOR, 0, 0)
        assert await shop.value("SELECT count(*) FROM journal WHERE event = 'bopis.capture'") == 1

    async def test_by_a_card_that_was_named(self, shop: Shop) -> None:
        body = wanted(1, DEAR_MINOR, difference_from={"reference": "wallet-7", "tender": "wallet"})
        swap = await Swap.open(shop, body=body)
        await swap.say("accept")
        await swap.carry_on()
        assert swap.provider.charged == [("wallet-7", MORE_MINOR)]
        assert swap.provider.asked[0].tender == "wallet"


class TestDeclinedByTheProvider:
    async def test_they_are_told_and_asked_once_more_under_another_key(self, shop: Shop) -> None:
        swap = await dear(shop)
        swap.provider.does = ["declined"]
        await swap.say("accept")
        await swap.carry_on()
        assert (await swap.state(), await mails(swap)) == ("asking", ["exchange_asked", "exchange_asked"])
        assert await shop.value("SELECT count(*) FROM case_file") == 0
        await swap.say("accept")
        await swap.carry_on()
        assert len({one.operation_id for one in swap.provider.asked}) == 2
        assert (await swap.state(), await paid(swap)) == ("waiting", (MORE_MINOR, 0, 0))

    async def test_twice_and_it_is_money(self, shop: Shop) -> None:
        swap = await dear(shop)
        swap.provider.does = ["declined", "declined"]
        await swap.back.receive()
        for _ in range(2):
            await swap.say("accept")
            await swap.carry_on()
        assert (await swap.state(), await swap.order_state()) == ("off", "cancelled")
        assert (await swap.money_back(), await paid(swap)) == (PRICE_MINOR, (0, MORE_MINOR, 0))
        assert (await mails(swap))[-1] == "exchange_off"
        assert len(swap.provider.charged) == 2

    async def test_no_answer_at_all_and_somebody_is_asked(self, shop: Shop) -> None:
        swap = await dear(shop)
        swap.provider.does = ["unknown"] * 5
        await swap.say("accept")
        for _ in range(5):
            await carry_out(shop, swap.order, swap.provider)
        kinds = "SELECT string_agg(kind, ' ') FROM case_file WHERE journey_id = :id AND closed_at IS NULL"
        assert await shop.value(kinds, id=swap.order) == "capture_failed"
        await swap.carry_on()
        assert await shop.value(kinds, id=swap.order) is None
        assert (await swap.state(), await paid(swap)) == ("waiting", (MORE_MINOR, 0, 0))


class TestNo:
    async def test_the_goods_are_refunded_by_the_usual_way(self, shop: Shop) -> None:
        swap = await dear(shop)
        assert await swap.say("decline") == "declined"
        assert await swap.state() == "off"
        await swap.carry_on()
        assert (await swap.order_state(), await shelf(shop)) == ("cancelled", {"available": 4})
        await swap.back.receive()
        assert await swap.back.refunds() == [("card", PRICE_MINOR, "requested")]
        assert (swap.provider.charged, await paid(swap)) == ([], (0, MORE_MINOR, 0))
        assert await mails(swap) == ["exchange_asked"]

    async def test_goods_that_are_here_are_refunded_at_once(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.back.receive()
        await swap.back.inspect()
        await swap.say("decline")
        await swap.carry_on()
        assert (await swap.back.state(), await swap.money_back()) == ("closed", PRICE_MINOR)

    async def test_silence_is_a_no(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.back.receive()
        await swap.back.fall_due("answer")
        await swap.carry_on()
        assert (await swap.state(), await swap.order_state()) == ("off", "cancelled")
        assert (await swap.money_back(), await offer(swap, "state")) == (PRICE_MINOR, "expired")
        assert await mails(swap) == ["exchange_asked", "exchange_off"]

    async def test_after_a_no_another_one_may_be_asked_for(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("decline")
        await swap.carry_on()
        _, answer = await exchange(shop, swap.back, wanted(1, 1_800))
        assert (answer.state, answer.difference_minor) == ("asking", 300)


class TestRefused:
    async def test_words_that_are_no_answer(self, shop: Shop) -> None:
        swap = await dear(shop)
        for words in ("", "other", "cancel", "leave_out"):
            with pytest.raises(Malformed, match="Choose one of the answers"):
                await swap.say(words)
        assert await offer(swap, "state") == "open"

    async def test_somebody_elses_question(self, shop: Shop) -> None:
        swap = await dear(shop)
        with pytest.raises(NotFound):
            await swap.say("accept", customer="somebody")
        with pytest.raises(NotFound):
            await swap.say("accept", offer_id=10**15)

    @pytest.mark.parametrize("side", ["notice", "refund"])
    async def test_where_the_source_writes_or_pays_it_asks_itself(self, shop: Shop, side: str) -> None:
        await policy(shop, f'{{"authority": {{"{side}": "source"}}}}')
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(StateConflict, match=r"5\.00 EUR more .* ask the customer there"):
            await exchange(shop, back, wanted(1, DEAR_MINOR))
        assert (await back.row())["detail"].get("exchange") is None

    async def test_a_customer_whom_nobody_can_write_to(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop, customer={"name": "Kim Lee"}))
        with pytest.raises(StateConflict, match="no customer whom we could ask"):
            await exchange(shop, back, wanted(1, DEAR_MINOR))
        await back.receive()
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]

    async def test_a_return_of_somebody_elses_order_is_not_charged_to_its_card(self, shop: Shop) -> None:
        order = await collected(shop)
        back = await Back.open(shop, order, customer={"name": "Lou", "email": "lou@customer.example"})
        with pytest.raises(StateConflict, match="nothing is known that their customer could be charged by"):
            await exchange(shop, back, wanted(1, DEAR_MINOR))

    async def test_an_order_that_was_paid_in_cash(self, shop: Shop) -> None:
        cash = [{"reference": "c", "tender": "cash", "amount_minor": PRICE_MINOR, "state": "captured"}]
        back = await Back.open(shop, await collected(shop, 1, payments=cash))
        with pytest.raises(StateConflict, match=r"a card in order\.difference_from"):
            await exchange(shop, back, wanted(1, DEAR_MINOR))

    async def test_what_is_not_there_is_not_asked_about(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        body = wanted(9, DEAR_MINOR)
        for _ in range(2):
            with pytest.raises(StateConflict, match=r"not exchanged.*: what the customer wants instead is not there"):
                await exchange(shop, back, body)
        swap = Swap(shop, back, f"bopis:web:{body['order']['order_id']}")
        await swap.carry_on()
        assert (await swap.order_state(), await mails(swap)) == ("cancelled", [])

    async def test_a_payment_cannot_be_called_a_difference(self) -> None:
        body = wanted(1, DEAR_MINOR)
        card = {"reference": "difference:card-9", "tender": "card", "amount_minor": 500, "state": "authorized"}
        body["order"]["payments"] = [card]
        from domain.exchanges import NewExchange

        with pytest.raises(ValueError, match="may not begin with difference:"):
            NewExchange.model_validate(body)

    async def test_on_any_other_order_the_name_means_nothing(self, shop: Shop) -> None:
        card = {"reference": "difference:card-9", "tender": "card", "amount_minor": PRICE_MINOR, "state": "captured"}
        order = await shop.order(1, payments=[card])
        await shop.report("bopis.cancelled", journey_id=order, lines=None)
        provider = Provider()
        await carry_out(shop, order, provider)
        assert [(one.kind, one.payment_reference) for one in provider.asked] == [("refund", "difference:card-9")]


class TestComesBack:
    async def test_each_part_goes_back_where_it_came_from(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("accept")
        await swap.back.receive()
        await swap.carry_on()
        await swap.back.inspect()
        await hand_over(swap)
        again = await Back.open(shop, swap.order)
        await again.receive()
        await again.inspect()
        provider = Provider()
        for one in (again.id, swap.back.id):
            await carry_out(shop, one, provider)
        asked = sorted((one.kind, one.payment_reference, one.amount_minor) for one in provider.asked)
        assert asked == [("refund", "card-1", PRICE_MINOR), ("refund", "p-1", MORE_MINOR)]
        assert "refund_liability" not in await accounts(shop.database)

    async def test_a_dearer_one_once_more_is_charged_to_the_same_card(self, shop: Shop) -> None:
        swap = await dear(shop)
        await swap.say("accept")
        await swap.back.receive()
        await swap.carry_on()
        await hand_over(swap)
        again = await Back.open(shop, swap.order)
        _, answer = await exchange(shop, again, wanted(1, 2_600))
        second = Swap(shop, again, answer.order_journey_id)
        await second.say("accept")
        await second.carry_on()
        assert second.provider.charged == [("card-1", 600)]
