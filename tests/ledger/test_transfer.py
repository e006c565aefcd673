"""A transfer in the ledger: every row of its table, goods in any order, and who may do what."""

import pytest

from domain.errors import DomainError, StateConflict
from ledger.transfer import requests
from tests.ledger.books import accounts
from tests.ledger.till import COFFEE
from tests.ledger.transfers import Moved, ask, shelf
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


class TestWithoutADifference:
    async def test_it_is_reserved_sent_received_and_closed(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        assert moved.answer.state == "ready_to_ship"
        assert await shelf(shop, "S1") == {"available": 2, "reserved": 3}
        assert await moved.ship() == "in_transit"
        assert await shelf(shop, "S1") == {"available": 2}
        assert await shelf(shop, "S2") == {"available": 5, "in_transit": 3}
        assert (await accounts(shop.database))["goods_in_transit"] == 1_800
        assert await moved.receive() == "closed"
        assert await shelf(shop, "S2") == {"available": 8}
        row = await moved.row()
        assert row["closed_at"] is not None
        assert row["dues"] == {}
        assert "goods_in_transit" not in await accounts(shop.database)

    async def test_parts_are_sent_and_received_in_any_order(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        assert await moved.ship(1) == "in_transit"
        assert await moved.receive(1) == "partially_received"
        assert await moved.ship(3) == "partially_received"
        assert await moved.receive(1) == "partially_received"
        assert await moved.receive(2) == "closed"
        assert await moved.line() == {"shipped": 4, "received": 4}

    async def test_what_cannot_be_promised_is_not_sent(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 9))
        assert (moved.answer.lines[0].reserved, moved.answer.lines[0].short) == (5, 4)
        nothing = await Moved.open(shop, (COFFEE, 2))
        assert nothing.answer.state == "cancelled"
        assert (await nothing.row())["closed_at"] is not None

    async def test_a_part_shipment_closes_the_rest_when_it_says_so(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        assert await moved.ship(3, complete=True) == "in_transit"
        assert await shelf(shop, "S1") == {"available": 2}
        assert await moved.receive(3) == "closed"


class TestOutOfOrder:
    async def test_received_before_it_was_said_to_be_shipped(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        assert await moved.receive(3) == "closed"
        assert await shelf(shop, "S1") == {"available": 2}
        assert await shelf(shop, "S2") == {"available": 8}
        assert await moved.ship(3) == "closed"
        assert await moved.line() == {"shipped": 3, "received": 3}
        assert await shelf(shop, "S1") == {"available": 2}

    async def test_too_many_that_the_source_reports_later_explain_themselves(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 2))
        await moved.ship()
        assert await moved.receive(4) == "received"
        assert (await accounts(shop.database))["transfer_differences"] == -1_200
        assert await moved.ship(2) in {"received", "closed"}
        assert "transfer_differences" not in await accounts(shop.database)
        assert await shelf(shop, "S1") == {"available": 1}


class TestDifferences:
    async def short(self, shop: Shop) -> Moved:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(carrier="Parcel Co", tracking="PC-1")
        assert await moved.receive(1, complete=True) == "received"
        assert await moved.compare() == "discrepancy_review"
        return moved

    async def test_a_small_one_is_tolerated(self, shop: Shop) -> None:
        await shop.put("S1", 60)
        moved = await Moved.open(shop, (COFFEE, 0 + 1), (TEA, 40))
        await moved.ship(0, 40, complete=True)
        assert await moved.receive(0, 39, complete=True) == "received"
        assert await moved.compare() == "discrepancy_review"  # 6.00 of 5.00 that it may be worth

    async def test_what_does_not_come_is_written_off_with_a_cause(self, shop: Shop) -> None:
        moved = await self.short(shop)
        assert (await moved.decide("accept", root_cause="lost_by_carrier")).state == "closed"
        books = await accounts(shop.database)
        assert (books["transit_loss"], "goods_in_transit" in books) == (1_800, False)
        assert await shelf(shop, "S2") == {"available": 6}

    async def test_a_cause_is_needed(self, shop: Shop) -> None:
        moved = await self.short(shop)
        with pytest.raises(DomainError, match="root cause"):
            await moved.decide("accept")

    async def test_it_never_left(self, shop: Shop) -> None:
        moved = await self.short(shop)
        assert (await moved.decide("never_left")).state == "closed"
        assert await shelf(shop, "S1") == {"available": 4}

    async def test_the_carrier_is_held_liable(self, shop: Shop) -> None:
        moved = await self.short(shop)
        assert (await moved.decide("carrier_claim", root_cause="lost_by_carrier")).state == "closed"
        assert (await accounts(shop.database))["claims_receivable"] == 1_800

    async def test_the_rest_is_awaited_and_comes(self, shop: Shop) -> None:
        moved = await self.short(shop)
        assert (await moved.decide("await_rest")).state == "discrepancy_review"
        assert await moved.receive(3) == "closed"

    async def test_the_rest_is_awaited_and_asked_about_again(self, shop: Shop) -> None:
        moved = await self.short(shop)
        await moved.decide("await_rest")
        assert await moved.due("await") == "discrepancy_review"
        assert (await moved.row())["asks"]["case_id"]

    async def test_goods_that_come_meanwhile_heal_the_case(self, shop: Shop) -> None:
        moved = await self.short(shop)
        assert await moved.receive(3) == "closed"
        assert (await moved.case_of("transfer_short"))["resolution"] == "self_healed"

    async def test_damage_is_written_down_and_asked_about(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(carrier="Parcel Co")
        lines = [{"line_id": "1", "quantity": 1}, {"line_id": "1", "quantity": 3, "condition": "damaged"}]
        outcome = await moved.report("received", lines=lines)
        assert outcome.outcome == "accepted"
        assert await moved.compare() == "discrepancy_review"
        assert await shelf(shop, "S2") == {"available": 6, "damaged": 3}
        assert (await accounts(shop.database))["damage_expense"] == 1_800
        assert (await moved.decide("carrier_claim", root_cause="damaged_by_carrier")).state == "closed"
        books = await accounts(shop.database)
        assert (books["claims_receivable"], books.get("damage_expense", 0)) == (1_800, 0)

    async def test_another_item_is_booked_where_it_came_from(self, shop: Shop) -> None:
        await shop.change("INSERT INTO stock (location, sku) VALUES ('S1', 'COFFEE-1') ON CONFLICT DO NOTHING")
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        outcome = await moved.report("received", lines=[{"line_id": "1", "sku": COFFEE, "quantity": 3}], complete=True)
        assert outcome.outcome == "accepted"
        assert await moved.compare() == "discrepancy_review"
        assert (await moved.case_of("transfer_misship"))["state"] == "open"
        await moved.decide("sent_unbooked", root_cause="picking_error")
        assert (await moved.case_of("transfer_short"))["state"] == "open"
        assert (await moved.decide("never_left")).state == "closed"
        assert await shelf(shop, "S1", COFFEE) == {"available": -3}
        assert await shelf(shop, "S1") == {"available": 5}


class TestRequests:
    async def test_called_off_before_it_leaves(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        outcome = await moved.report("cancelled", reason="changed_plans")
        assert outcome.outcome == "accepted"
        assert await moved.state() == "cancelled"
        assert await shelf(shop, "S1") == {"available": 5}

    async def test_called_off_on_its_way_it_is_brought_back(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        assert (await moved.report("cancelled")).outcome == "accepted"
        assert await moved.state() == "in_transit"
        assert (await moved.decide("bring_back")).state == "cancelled"
        assert await shelf(shop, "S1") == {"available": 2, "in_transit": 3}
        back = await shop.value("SELECT journey_id FROM transfer WHERE to_location = 'S1'")
        home = Moved(shop, back, moved.answer)
        assert await home.receive() == "closed"
        assert await shelf(shop, "S1") == {"available": 5}

    async def test_what_has_come_is_not_called_off(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 3))
        await moved.ship()
        await moved.receive()
        outcome = await moved.report("cancelled")
        assert (outcome.outcome, outcome.problem["code"] if outcome.problem else "") == ("refused", "state_conflict")

        async def find(_tx: object) -> str:
            return moved.id

        with pytest.raises(StateConflict):
            await requests.cancel(shop.database, find, reason="late", actor="test", via="test")

    async def test_places_and_items_that_nobody_knows_are_refused(self, shop: Shop) -> None:
        refused = [
            await ask(shop, to="S9"), await ask(shop, **{"from": "S9"}), await ask(shop, ("NO-SUCH", 1)),
            await ask(shop, needed_by="2001-01-01T00:00:00Z"),
        ]  # fmt: skip
        codes = [one.code for one in refused if isinstance(one, DomainError)]
        assert codes == ["unknown_location", "unknown_location", "unknown_sku", "malformed"]
