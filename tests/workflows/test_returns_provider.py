"""Refunds of returns with a provider that says no, that is silent after it has paid, that is away for an hour: each
ends paid once, or is a case.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ledger import decisions
from tests.ledger.support.books import accounts, assert_books_agree
from tests.ledger.support.exchanging import Swap
from tests.ledger.support.returning import Back, collected
from tests.shop import FIN, PRICE_MINOR
from tests.workflows.bank import Bank, a_bank

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.workflows.hub import Hub

ATTEMPTS = 5  # without an answer, somebody is asked


async def looked_at(hub: Hub) -> Back:
    """A return that was received and inspected: its refund is asked for."""
    back = await Back.open(hub.shop, await collected(hub.shop))
    await back.receive()
    await back.inspect()
    return back


async def closed_and_paid_once(hub: Hub, back: Back, bank: Bank) -> None:
    await hub.until(back.id, "closed")
    await hub.ended(back.id)
    assert sum(bank.paid.values()) == PRICE_MINOR
    assert "refund_liability" not in await accounts(hub.shop.database)
    await assert_books_agree(hub.shop.database)


async def test_it_pays_and_the_answer_is_lost_so_it_is_asked_by_the_same_key(hub: Hub) -> None:
    async with a_bank("pays_and_is_silent") as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            back = await looked_at(hub)
            await closed_and_paid_once(hub, back, bank)
    (key,) = bank.paid
    assert bank.times_asked == {key: 2}
    assert await back.refunds() == [("card", PRICE_MINOR, "succeeded")]


async def test_it_says_no_and_somebody_asks_again_by_another_key(hub: Hub) -> None:
    async with a_bank("declines") as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            back = await looked_at(hub)
            number = await hub.open_case(back.id, "refund_failed")
            assert await back.state() == "refund_pending"
            await decisions.decide(hub.shop.database, number, FIN, option_id="retry", parameters={}, via="test")
            await closed_and_paid_once(hub, back, bank)
    assert len(set(bank.asked)) == 2  # a provider keeps its answer to a key
    assert [state for _, _, state in await back.refunds()] == ["declined", "succeeded"]


async def test_it_says_no_and_somebody_pays_by_hand(hub: Hub) -> None:
    async with a_bank("declines") as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            back = await looked_at(hub)
            number = await hub.open_case(back.id, "refund_failed")
            await decisions.decide(
                hub.shop.database, number, FIN, option_id="manual_payout", parameters={"paid_out": True}, via="test"
            )
            await hub.ended(back.id)
    assert (bank.paid, await back.state()) == ({}, "closed")
    await assert_books_agree(hub.shop.database)


async def test_it_is_away_for_an_hour_and_pays_once_when_it_is_back(hub: Hub, temporal: TemporalServer) -> None:
    async with a_bank() as (bank, provider):
        hub.provider, bank.is_down = provider, True
        async with hub.worker():
            back = await looked_at(hub)
            handle = hub.client.get_workflow_handle(back.id)

            async def asked_about() -> bool:
                """Each look skips the pause before the next attempt."""
                await hub.carry()
                if bank.asked:
                    await temporal.skip(handle, timedelta(minutes=15))
                assert await back.cases() == ["refund_failed"]
                return True

            await hub.eventually(asked_about)
            assert (await back.refunds(), bank.paid) == ([("card", PRICE_MINOR, "unknown")], {})
            assert len(bank.asked) >= ATTEMPTS
            bank.is_down = False

            async def paid() -> bool:
                await hub.carry()
                await temporal.skip(handle, timedelta(minutes=15))
                assert await back.state() == "closed"
                return True

            await hub.eventually(paid)
            await closed_and_paid_once(hub, back, bank)
    assert len(set(bank.asked)) == 1
    assert await hub.shop.value("SELECT resolution FROM case_file WHERE kind = 'refund_failed'") == "self_healed"


async def test_two_tenders_of_which_one_is_declined(hub: Hub) -> None:
    """What was paid is not paid again when the other is asked for anew."""
    pays = [
        {"reference": "a-gift", "tender": "gift_card", "amount_minor": 1_000, "state": "captured"},
        {"reference": "b-card", "tender": "card", "amount_minor": 2 * PRICE_MINOR - 1_000, "state": "captured"},
    ]
    async with a_bank("pays", "declines") as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            back = await Back.open(hub.shop, await collected(hub.shop, 2, payments=pays), 2)
            await back.receive(2)
            await back.inspect(2)
            number = await hub.open_case(back.id, "refund_failed")
            await decisions.decide(hub.shop.database, number, FIN, option_id="retry", parameters={}, via="test")
            await hub.ended(back.id)
    assert sum(bank.paid.values()) == 2 * PRICE_MINOR
    assert len(bank.asked) == 3
    await assert_books_agree(hub.shop.database)


async def test_an_exchange_asks_no_provider_and_money_goes_back_by_it_when_the_replacement_is_given_up(
    hub: Hub,
) -> None:
    async with a_bank() as (bank, provider):
        hub.provider = provider
        async with hub.worker():
            swap = await Swap.open(hub.shop)
            await swap.back.receive()
            await swap.back.inspect()
            await hub.until(swap.order, "reserved")
            await hub.until(swap.back.id, "closed")
            assert bank.asked == []
            await hub.shop.report("bopis.cancelled", journey_id=swap.order, lines=None)
            await hub.ended(swap.order)

            async def paid() -> bool:
                await hub.carry()
                assert await swap.money_back() == PRICE_MINOR
                return True

            await hub.eventually(paid)
            await closed_and_paid_once(hub, swap.back, bank)
    await assert_books_agree(hub.shop.database)
