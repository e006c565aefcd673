"""Transfers that travel in several parcels: what each report says of a line counts, and nothing that was said of an
earlier parcel is taken for the next one.
"""

from datetime import datetime, timedelta

import pytest

from tests.ledger.support.till import COFFEE
from tests.ledger.support.transfers import Moved, now, shelf
from tests.ledger.test_transfer_meets import report_late
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def receipt_due(moved: Moved) -> datetime:
    return datetime.fromisoformat((await moved.row())["dues"]["receipt"])


class TestOneLineInSeveralCartons:
    async def test_what_left_of_a_line_twice_in_one_report_adds_up(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 5))
        cartons = [{"line_id": "1", "quantity": 2}, {"line_id": "1", "sku": TEA, "quantity": 3}]
        assert (await moved.report("shipped", lines=cartons)).outcome == "accepted"
        assert await moved.line() == {"shipped": 5, "in_transit": 5}
        assert await shelf(shop, "S1") == {}

    async def test_what_came_of_a_line_twice_in_one_report_adds_up(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 5))
        await moved.ship()
        cartons = [{"line_id": "1", "quantity": 2}, {"line_id": "1", "quantity": 3}]
        assert (await moved.report("received", lines=cartons)).outcome == "accepted"
        assert await moved.line() == {"shipped": 5, "received": 5}

    @pytest.mark.parametrize("kind", ["announced", "shipped"])
    async def test_another_item_than_the_lines_own_is_set_aside_by_name(self, shop: Shop, kind: str) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        before = await moved.row()
        lines = [{"line_id": "1", "sku": COFFEE, "quantity": 3}]
        outcome = await moved.report(kind, shipment_id="P-1", lines=lines)
        assert outcome.outcome == "quarantined"
        assert outcome.problem is not None
        assert outcome.problem["code"] == "unknown_line"
        assert f"Line 1 is of {TEA}, not of {COFFEE}" in outcome.problem["detail"]
        assert await moved.row() == before
        assert await shelf(shop, "S1") == {"available": 2, "reserved": 3}


class TestEachParcelHasItsOwnTime:
    async def test_the_next_parcel_is_not_late_by_what_was_said_of_the_one_before(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 5))
        expected = (now() - timedelta(days=9)).isoformat()
        await report_late(moved, "shipped", timedelta(days=10), expected_at=expected,
                          lines=[{"line_id": "1", "quantity": 1}])  # fmt: skip
        await moved.receive(1)
        assert "receipt" not in (await moved.row())["dues"]
        await moved.ship(4)
        assert await receipt_due(moved) > now() + timedelta(days=2)

    async def test_what_was_announced_of_it_holds(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 5))
        await moved.report("announced", shipment_id="P-1", expected_at="2050-03-01T10:00:00Z")
        await moved.ship(4)
        assert await receipt_due(moved) == datetime.fromisoformat("2050-03-02T10:00:00+00:00")


class TestComplete:
    async def test_a_number_of_an_earlier_parcel_is_none_for_the_next(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        moved = await Moved.open(shop, (TEA, 4), (TEA, 3))
        await moved.ship(2, 3)
        await moved.receive(2)  # of the first line, all that had left
        await moved.ship(2)
        report = [{"line_id": "2", "quantity": 3}]
        assert (await moved.report("received", lines=report, complete=True)).outcome == "accepted"
        assert await moved.state() == "partially_received"
        assert "Not complete: line 1 has no number." in (await moved.told())[-1]
        assert await moved.receive(1, complete=True) == "received"

    async def test_more_after_complete_fills_what_is_missing_and_asks_about_the_rest(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await moved.receive(2, complete=True)
        assert await moved.compare() == "discrepancy_review"
        assert await moved.receive(5) == "received"
        assert (await moved.case_of("transfer_short"))["resolution"] == "self_healed"
        assert await moved.compare() == "discrepancy_review"
        case = await moved.case_of("transfer_over")
        assert (case["state"], case["facts"]["lines"][0]["units"]) == ("open", 3)
        assert await moved.line() == {"shipped": 4, "received": 4}
        assert await shelf(shop, "S2") == {"available": 5 + 7}
        assert (await moved.decide("sent_unbooked", root_cause="packing_error")).state == "closed"
        assert await shelf(shop, "S1") == {"available": 1 - 3}


class TestLateShipment:
    async def test_only_what_has_not_left_is_at_risk(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(3)
        await moved.due("ship")
        late = await moved.case_of("transfer_shipment_overdue")
        assert (late["facts"]["units"], late["value_at_risk_minor"], late["facts"]["value_minor"]) == (1, 600, 600)
