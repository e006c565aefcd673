"""Corners of transfers that runs against the model have found, each by itself."""

import pytest

from tests.ledger.support.till import COFFEE
from tests.ledger.support.transfers import Moved, other_company, shelf
from tests.ledger.test_transfer_agreed import NORA, OLE, somebody
from tests.shop import FIN, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def across(shop: Shop, quantity: int = 4) -> Moved:
    """To another company, so both sides are asked."""
    await other_company(shop)
    for who in (NORA, OLE):
        await somebody(shop, who)
    return await Moved.open(shop, (TEA, quantity), to="N1")


class TestNothingMoved:
    async def test_a_receipt_of_nothing_leaves_whoever_is_asked(self, shop: Shop) -> None:
        moved = await across(shop)
        assert await moved.receive(0) == "pending_approval"
        assert await moved.agree(FIN) == "pending_approval"
        assert await moved.agree(NORA) == "ready_to_ship"

    async def test_a_receipt_of_nothing_leaves_the_case_of_a_late_shipment(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.due("ship")
        assert await moved.receive(0) == "ready_to_ship"
        assert (await moved.case_of("transfer_shipment_overdue"))["state"] == "open"

    async def test_where_nothing_of_it_is_sent_it_is_over(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        assert await moved.ship(0, complete=True) == "cancelled"
        assert await shelf(shop, "S1") == {"available": 5}
        assert (await moved.row())["closed_at"] is not None

    async def test_where_nothing_of_it_is_sent_nobody_has_to_agree_any_more(self, shop: Shop) -> None:
        moved = await across(shop)
        asked = (await moved.row())["asks"]["approval_id"]
        assert await moved.ship(0, complete=True) == "cancelled"
        assert await shop.value("SELECT state FROM approval WHERE id = :id", id=asked) == "superseded"


class TestWhereGoodsAre:
    async def test_another_item_at_another_store_is_sent_back_from_there(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        line = {"line_id": "1", "quantity": 2, "sku": COFFEE}
        await moved.report("received", location="DC", lines=[line])
        await moved.receive(3)
        await moved.compare()
        await moved.decide("send_back", root_cause="picking_error")
        assert await shelf(shop, "DC", COFFEE) == {"reserved": 2}
        assert await shop.value("SELECT from_location FROM transfer WHERE reason = 'send_back'") == "DC"

    async def test_what_came_to_another_store_is_asked_about_by_itself(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        await moved.report("received", location="DC", lines=[{"line_id": "1", "quantity": 3}])
        await moved.report("received", lines=[{"line_id": "1", "quantity": 2, "sku": COFFEE}])
        await moved.compare()
        assert sorted(await moved.options()) == ["keep_there", "send_on"]
        assert (await moved.decide("keep_there")).state == "discrepancy_review"
        await moved.decide("sent_unbooked", root_cause="picking_error")
        assert await moved.state() == "closed"
        assert await shelf(shop, "S1") == {"available": 2}
        assert await shelf(shop, "DC") == {"available": 3}

    async def test_what_follows_has_an_id_that_can_stand_in_an_address(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        await moved.report("received", location="DC", lines=[{"line_id": "1", "quantity": 3}])
        await moved.compare()
        await moved.decide("send_on")
        key = await shop.value("SELECT key FROM journey WHERE kind = 'transfer' AND source = 'endcap'")
        assert "/" not in key
