"""A replacement that is sent to its customer's address: from a warehouse that has all of it, waiting for the goods or
not, as policy says.
"""

from typing import Any

import pytest

from domain.errors import Malformed, StateConflict, UnknownLocation, UnknownSku
from domain.exchanges import NewExchange
from tests.ledger.support.books import accounts
from tests.ledger.support.exchanging import Swap, exchange, policy, wanted
from tests.ledger.support.returning import Back, collected, shelf
from tests.ledger.test_shipping import HOME, ship, warehouse
from tests.shop import PRICE_MINOR, Shop


def to_be_sent(price_minor: int = PRICE_MINOR, **more: Any) -> dict[str, Any]:
    return wanted(1, price_minor, ship_to_home=True, **({"customer": HOME} | more))


async def mails(swap: Swap) -> list[str]:
    query = "SELECT array_agg(template ORDER BY id) FROM mail WHERE journey_id = :id"
    return list(await swap.shop.value(query, id=swap.order) or [])


class TestSent:
    async def test_from_a_warehouse_once_the_goods_have_come(self, shop: Shop) -> None:
        await warehouse(shop)
        swap = await Swap.open(shop, body=to_be_sent())
        assert (await swap.order_state(), await swap.state()) == ("placed", "waiting")
        assert await shelf(shop, at="DC") == {"available": 19, "reserved": 1}
        await swap.back.receive()
        await swap.carry_on()
        assert await swap.order_state() == "to_be_shipped"
        dues = await shop.value("SELECT dues FROM journey WHERE id = :id", id=swap.order)
        assert set(dues) == {"ship"}
        assert (await ship(shop, swap.order)).outcome == "accepted"
        await swap.back.inspect()
        assert (await swap.order_state(), await swap.back.state()) == ("shipped", "closed")
        assert (await mails(swap), await shelf(shop, at="DC")) == (
            ["order_to_be_shipped", "order_shipped"], {"available": 19},
        )  # fmt: skip
        assert not {"refund_liability", "customer_deposits"} & set(await accounts(shop.database))

    async def test_by_policy_it_does_not_wait_for_the_goods(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_sent_at": "request"}}')
        await warehouse(shop)
        swap = await Swap.open(shop, body=to_be_sent(), method="mail")
        await swap.carry_on()
        assert (await swap.order_state(), await swap.back.state()) == ("to_be_shipped", "authorized")

    async def test_one_that_is_collected_still_waits(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_sent_at": "request"}}')
        swap = await Swap.open(shop)
        await swap.carry_on()
        assert await swap.order_state() == "placed"

    async def test_by_policy_it_waits_for_the_carrier_to_have_the_goods(self, shop: Shop) -> None:
        await policy(shop, '{"returns": {"exchange_sent_at": "scan"}}')
        await warehouse(shop)
        swap = await Swap.open(shop, body=to_be_sent(), method="mail")
        await swap.carry_on()
        assert await swap.order_state() == "placed"
        await swap.back.report("return.shipped", carrier="DHL", tracking="00340")
        await swap.carry_on()
        assert await swap.order_state() == "to_be_shipped"

    async def test_from_a_place_that_is_named(self, shop: Shop) -> None:
        swap = await Swap.open(shop, body=to_be_sent(ship_from="S2"))
        assert await shelf(shop, at="S2") == {"available": 4, "reserved": 1}
        await swap.back.receive()
        await swap.carry_on()
        assert await swap.order_state() == "to_be_shipped"

    async def test_to_the_address_of_the_order_that_comes_back(self, shop: Shop) -> None:
        await warehouse(shop)
        back = await Back.open(shop, await collected(shop, customer=HOME))
        body = to_be_sent()
        del body["order"]["customer"]
        _, answer = await exchange(shop, back, body)
        query = (
            "SELECT c.address ->> 'street' || ', ' || c.name FROM customer c JOIN journey j ON j.customer_id = c.id"
            " WHERE j.id = :id"
        )
        assert await shop.value(query, id=answer.order_journey_id) == "Am Rhein 1, Kim Lee"

    async def test_a_dearer_one_is_asked_about_and_sent_after_the_yes(self, shop: Shop) -> None:
        await warehouse(shop)
        swap = await Swap.open(shop, body=to_be_sent(2_000))
        assert await swap.state() == "asking"
        await swap.agree()
        await swap.back.receive()
        await swap.carry_on()
        assert (await swap.order_state(), swap.provider.charged) == ("to_be_shipped", [("card-1", 500)])

    async def test_sent_before_it_was_paid_for_somebody_is_asked_and_the_goods_heal_it(self, shop: Shop) -> None:
        await warehouse(shop)
        swap = await Swap.open(shop, body=to_be_sent())
        assert (await ship(shop, swap.order)).outcome == "accepted"
        await swap.carry_on()
        kinds = "SELECT string_agg(kind, ' ') FROM case_file WHERE journey_id = :id AND closed_at IS NULL"
        assert (await swap.order_state(), await shop.value(kinds, id=swap.order)) == ("shipped", "capture_failed")
        await swap.back.receive()
        await swap.carry_on()
        assert await shop.value(kinds, id=swap.order) is None
        assert await swap.paid() == (PRICE_MINOR, 0, 0)

    async def test_called_off_it_is_not_sent(self, shop: Shop) -> None:
        await warehouse(shop)
        swap = await Swap.open(shop, body=to_be_sent(), method="mail")
        await swap.back.fall_due("goods")
        await swap.carry_on()
        assert (await swap.order_state(), await shelf(shop, at="DC")) == ("cancelled", {"available": 20})

    async def test_asked_again_it_is_the_same_order_also_where_another_place_would_be_chosen(self, shop: Shop) -> None:
        await warehouse(shop, 1)
        back = await Back.open(shop, await collected(shop))
        body = to_be_sent()
        _, first = await exchange(shop, back, body)
        await shop.change(
            "UPDATE journey SET detail = jsonb_set(detail, '{exchange,state}', '\"placing\"') WHERE id = :id",
            id=back.id,
        )
        _, again = await exchange(shop, back, body)
        assert again.order_journey_id == first.order_journey_id


class TestRefused:
    async def test_without_an_address(self, shop: Shop) -> None:
        await warehouse(shop)
        back = await Back.open(shop, await collected(shop))
        body = to_be_sent(customer={"name": "Kim Lee", "email": "kim@customer.example"})
        with pytest.raises(Malformed, match="no address is known") as refused:
            await exchange(shop, back, body)
        assert refused.value.pointer == "/order/customer/address"
        assert (await back.row())["detail"].get("exchange") is None

    async def test_where_no_warehouse_has_all_of_it(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(StateConflict, match=r"No warehouse can send all .* order\.ship_from"):
            await exchange(shop, back, to_be_sent())

    async def test_from_nowhere_or_of_nothing(self, shop: Shop) -> None:
        await warehouse(shop)
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(UnknownLocation):
            await exchange(shop, back, to_be_sent(ship_from="S9"))
        body = to_be_sent()
        body["order"]["lines"][0]["sku"] = "NOPE"
        with pytest.raises(UnknownSku):
            await exchange(shop, back, body)

    async def test_a_warehouse_hands_out_no_pickups(self, shop: Shop) -> None:
        await warehouse(shop)
        back = await Back.open(shop, await collected(shop))
        with pytest.raises(UnknownLocation, match="hands out no pickups"):
            await exchange(shop, back, wanted(pickup_location="DC"))

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"ship_to_home": True, "pickup_location": "S1"}, "collected or sent"),
            ({"ship_from": "DC"}, "say ship_to_home as well"),
        ],
    )
    def test_collected_and_sent_at_once(self, more: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            NewExchange.model_validate(wanted(**more))
