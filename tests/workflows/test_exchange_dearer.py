"""A replacement that costs more, with workers and a provider: charged once with the customer's yes, though the answer
was lost; not at all when they stay silent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.exchanging import Swap, hand_over, wanted
from tests.shop import PRICE_MINOR
from tests.workflows.bank import a_bank

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.workflows.hub import Hub


async def dear(hub: Hub) -> Swap:
    return await Swap.open(hub.shop, body=wanted(1, PRICE_MINOR + 500))


async def test_agreed_charged_once_and_handed_over(hub: Hub) -> None:
    async with a_bank("pays_and_is_silent") as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            swap = await dear(hub)
            assert await swap.say("accept") == "accepted"
            await swap.back.receive()
            await hub.until(swap.order, "reserved")
            await swap.back.inspect()
            await hand_over(swap)
            await hub.ended(swap.order, swap.back.id)
    (key,) = bank.paid
    assert (bank.paid[key], bank.times_asked[key]) == (500, 2)
    assert (await swap.back.state(), await swap.money_back()) == ("closed", 0)
    await assert_books_agree(hub.shop.database)


async def test_reminded_and_silent_so_it_is_money(hub: Hub, temporal: TemporalServer) -> None:
    async with a_bank() as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            swap = await dear(hub)
            await swap.back.receive()
            await swap.back.inspect()
            handle = hub.client.get_workflow_handle(swap.back.id)

            async def over() -> bool:
                await hub.carry()
                if await swap.state() == "asking":
                    await temporal.skip(handle, timedelta(days=1, minutes=1))
                assert await swap.state() == "off"
                return True

            await hub.eventually(over)
            await hub.ended(swap.order, swap.back.id)
    query = "SELECT count(*) FROM mail WHERE journey_id = :id AND template = 'exchange_asked'"
    assert await hub.shop.value(query, id=swap.back.id) == 2
    assert (await swap.order_state(), await swap.back.state()) == ("cancelled", "closed")
    assert list(bank.paid.values()) == [PRICE_MINOR]
    await assert_books_agree(hub.shop.database)
