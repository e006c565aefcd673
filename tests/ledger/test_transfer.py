"""A transfer in the ledger: every row of its table, goods in any order, and who may do what."""

from datetime import timedelta

import pytest

from domain.errors import DomainError, StateConflict
from ledger.transfer import requests, steps
from tests.ledger.support.books import accounts
from tests.ledger.support.counting import Count
from tests.ledger.support.till import COFFEE
from tests.ledger.support.transfers import Moved, ask, shelf
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


class TestRecount:
    async def test_the_question_comes_back_when_it_was_counted(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await moved.receive(1, complete=True)
        await moved.compare()
        assert (await moved.decide("recount_destination")).case_id is None
        count = await Count.newest(shop)
        assert (await moved.case_of("transfer_short"))["state"] == "resolved"
        assert (await moved.take(steps.attend)).case_id is None  # nobody has counted yet
        await count.enter((TEA, 6))
        await count.compare()
        await count.post()
        situation = await moved.take(steps.attend)
        assert situation.case_id == (await moved.case_of("transfer_short"))["id"]
        assert (await moved.case_of("transfer_short"))["facts"]["counts"] == [count.id]
        assert (await shop.outbox(moved.id))[-1][1] is None
        assert (
            await shop.value(
                "SELECT payload ->> 'message' FROM outbox WHERE target = :id ORDER BY seq DESC LIMIT 1", id=moved.id
            )
            == "CountEnded"
        )

    async def test_what_it_found_as_a_gain_is_no_loss_in_transit(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await moved.receive(1, complete=True)
        await moved.compare()
        await moved.decide("recount_destination")
        count = await Count.newest(shop)
        for counter in ("crew-1", "crew-2"):
            await count.enter((TEA, 9), counter=counter)  # three more than the book: they were put away unscanned
            await count.compare()
        if (await count.row())["asks"].get("case_id"):
            await count.decide("post_second", root_cause="inbound_not_recorded")
        await count.post()
        await moved.take(steps.attend)
        await moved.decide("accept", root_cause="receipt_found_by_count")
        books = await accounts(shop.database)
        assert (books.get("inventory_found", 0), books.get("transit_loss", 0)) == (0, 0)
        assert await shelf(shop, "S2") == {"available": 9}


class TestLate:
    async def test_not_sent_in_time_the_rest_is_called_off(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(1)
        assert await moved.due("ship") == "in_transit"
        assert (await moved.case_of("transfer_shipment_overdue"))["facts"]["units"] == 3
        await moved.decide("cancel_rest")
        assert await moved.line() == {"shipped": 1, "in_transit": 1, "cancelled": 3}
        assert await shelf(shop, "S1") == {"available": 4}
        assert await moved.receive(1) == "closed"

    async def test_never_sent_it_is_called_off(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.due("ship")
        assert (await moved.decide("cancel_rest")).state == "cancelled"
        assert await shelf(shop, "S1") == {"available": 5}

    async def test_sent_after_all_the_question_goes_away(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.due("ship")
        await moved.ship()
        assert (await moved.case_of("transfer_shipment_overdue"))["resolution"] == "self_healed"

    @pytest.mark.parametrize("option", ["chase", "extend"])
    async def test_not_come_in_time_it_is_waited_for_and_asked_about_again(self, shop: Shop, option: str) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        assert await moved.due("receipt") == "in_transit"
        first = (await moved.case_of("receipt_overdue"))["id"]
        await moved.decide(option)
        assert "receipt" in (await moved.row())["dues"]
        await moved.due("receipt", after=timedelta(days=60))
        again = await moved.case_of("receipt_overdue")
        assert (again["id"], again["episode"], again["state"]) == (first, 2, "open")
        assert await moved.receive() == "closed"

    async def test_some_have_come_and_the_others_are_declared_lost(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await moved.receive(1)
        await moved.due("receipt")
        assert (await moved.decide("accept", root_cause="lost_by_carrier")).state == "closed"
        assert (await accounts(shop.database))["transit_loss"] == 1_800

    async def test_what_falls_due_while_something_is_asked_is_asked_next(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship(1)
        await moved.due("ship")
        await moved.due("receipt")
        assert await shop.value("SELECT count(*) FROM case_file WHERE kind = 'receipt_overdue'") == 0
        await moved.decide("cancel_rest")
        await moved.due("receipt", after=timedelta(days=60))
        assert (await moved.case_of("receipt_overdue"))["state"] == "open"

    async def test_called_off_on_its_way_it_may_come_all_the_same(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        await moved.ship()
        await moved.report("cancelled")
        again = await moved.report("cancelled")
        assert (again.outcome, (again.problem or {})["code"]) == ("refused", "state_conflict")
        await moved.decide("carry_on")
        assert await moved.receive() == "closed"

    async def test_the_source_declines_only_what_has_not_left(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        assert (await moved.report("declined", reason="needed_here")).outcome == "accepted"
        assert await moved.state() == "cancelled"
        other = await Moved.open(shop, (TEA, 2))
        await other.ship()
        assert (await other.report("declined")).outcome == "refused"

    async def test_a_notice_says_when_it_comes(self, shop: Shop) -> None:
        moved = await Moved.open(shop, (TEA, 4))
        outcome = await moved.report("announced", shipment_id="P-1", expected_at="2050-03-01T10:00:00Z")
        assert outcome.outcome == "accepted"
        await moved.ship()
        assert (await moved.row())["dues"]["receipt"] == "2050-03-02T10:00:00+00:00"
