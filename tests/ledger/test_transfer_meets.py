"""Transfers meet others: counts that have seen the goods, orders that want the same units, reports at once."""

import asyncio
import uuid
from datetime import timedelta

import pytest

from domain.transfers import TransferAnswer
from ledger import facts
from tests.ledger.support.counting import Count
from tests.ledger.support.transfers import WMS, Moved, ask, now, shelf
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def report_late(moved: Moved, kind: str, ago: timedelta, **data: object) -> str:
    """An event that happened so long ago and is reported now."""
    event = {
        "id": uuid.uuid4().hex,
        "type": f"transfer.{kind}",
        "occurred_at": (now() - ago).isoformat(),
        "data": {"transfer_id": moved.id, **data},
    }
    (outcome,) = await facts.receive(moved.shop.database, WMS, [event], received_at=now())
    assert outcome.outcome == "accepted", outcome
    return await moved.state()


class TestCounts:
    async def test_a_receipt_that_a_count_has_seen_changes_no_quantity(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 1))
        await report_late(moved, "shipped", timedelta(hours=3), lines=None)
        count = await Count.open(shop, at="S2")
        await count.enter((TEA, 6))  # the unit is on the shelf already, and nobody has reported it
        await count.compare()
        if await count.state() == "recount":
            await count.enter((TEA, 6), counter="crew-2")
            await count.compare()
        await count.post()
        assert await report_late(moved, "received", timedelta(hours=1), lines=None) == "closed"
        assert (await shelf(shop, "S2"))["available"] == 6

    async def test_a_shipment_that_a_count_has_seen_changes_no_quantity(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 1))
        count = await Count.open(shop, at="S1")
        await count.enter((TEA, 4))  # it has left already, and nobody has reported it
        await count.compare()
        if await count.state() == "recount":
            await count.enter((TEA, 4), counter="crew-2")
            await count.compare()
        await count.post()
        assert await report_late(moved, "shipped", timedelta(hours=1), lines=None) == "in_transit"
        assert await shelf(shop, "S1") == {"available": 4}


class TestAtOnce:
    async def test_orders_and_transfers_never_promise_a_unit_twice(self, shop: Shop) -> None:
        await shop.put("S1", 10)
        answers = await asyncio.gather(
            *(ask(shop, (TEA, 3)) for _ in range(5)), *(shop.order(2) for _ in range(4)), return_exceptions=True
        )
        assert not [one for one in answers if isinstance(one, BaseException)]
        held = await shop.value("SELECT sum(reserved) FROM hold WHERE location = 'S1'")
        there = await shelf(shop, "S1")
        assert there["reserved"] == held <= 10
        assert there["reserved"] + there.get("available", 0) == 10
        assert sum(isinstance(one, TransferAnswer) for one in answers) == 5

    async def test_receipts_at_the_same_moment_add_up(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await asyncio.gather(*(moved.receive(1) for _ in range(4)))
        assert await moved.state() == "closed"
        assert await moved.line() == {"shipped": 4, "received": 4}

    async def test_the_same_transfer_twice_at_once_is_one(self, shop: Shop) -> None:
        first, second = await asyncio.gather(*(ask(shop, (TEA, 2), transfer_id="T-same") for _ in range(2)))
        assert isinstance(first, TransferAnswer)
        assert first == second
        assert await shelf(shop, "S1") == {"available": 3, "reserved": 2}

    async def test_two_transfers_against_each_other_do_not_lock_each_other(self, shop: Shop) -> None:
        there = await Moved.open(shop, (TEA, 2))
        back = await Moved.open(shop, (TEA, 2), **{"from": "S2", "to": "S1"})
        await asyncio.gather(there.ship(), back.ship())
        await asyncio.gather(there.receive(), back.receive())
        assert (await there.state(), await back.state()) == ("closed", "closed")
        assert (await shelf(shop, "S1"), await shelf(shop, "S2")) == ({"available": 5}, {"available": 5})
