"""Ship to store: a transfer brings what is missing. What comes is the order's at once, what will not come is asked
about, and what is not needed any more is never turned round, or let come, silently.
"""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from domain.events import EventOutcome
from domain.messages import Step
from ledger.bopis import dues, steps
from ledger.bopis.steps import open_case
from ledger.transfer import steps as of_transfers
from tests.ledger.support.books import accounts
from tests.ledger.support.coming import Coming, brought_by
from tests.ledger.support.offers import Asked
from tests.ledger.support.orders import decide, hand_over, pick, step
from tests.ledger.support.transfers import Moved, shelf
from tests.ledger.test_shipping import warehouse
from tests.shop import PRICE_MINOR, TEA, Shop


class TestWhatComes:
    async def test_a_transfer_begins_where_somebody_chose_it(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        assert await it.shelves() == {"DC": {"available": 17, "reserved": 3}, "S1": {"reserved": 5}}
        row = await it.moved.row()
        assert (row["state"], row["location"], row["requested_by"]) == ("ready_to_ship", "DC", it.journey)
        assert (await shop.value("SELECT reason || ' ' || to_location FROM transfer")) == "ship_to_store S1"
        assert row["promised_at"] == await shop.value("SELECT promised_at FROM journey WHERE id = :id", id=it.journey)
        assert await it.still() == (3, 0, 0, 0)
        assert await shop.value("SELECT state FROM journey_line WHERE journey_id = :id", id=it.journey) == "coming"
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'order_delayed'") == 1
        assert [seq for seq, _ in await shop.outbox(it.moved.id)] == [1]

    async def test_what_comes_is_held_for_the_order_by_the_receipt_itself(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        assert (await it.shelves())["S1"] == {"reserved": 5, "in_transit": 3}
        assert await it.moved.receive() == "closed"
        assert await it.shelves() == {"DC": {"available": 17}, "S1": {"reserved": 8}}
        assert (await it.attend()).state == "reserved"
        now = await it.situation()
        assert ("goods" in [due.name for due in now.dues], now.attention) == (False, ())
        assert "pick_nag_2" in [due.name for due in now.dues]
        await pick(shop, it.journey, 8)
        await hand_over(shop, it.journey, 8)
        assert (await it.situation()).state == "collected"
        books = await accounts(shop.database)
        assert (books["revenue"], books["cogs"], "goods_in_transit" in books) == (-12000, 4800, False)

    async def test_it_comes_in_parts_and_before_it_is_said_to_have_left(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.receive(1)
        assert (await it.attend()).state == "ship_to_store"
        assert await it.still() == (2, 0, 0, 0)
        await it.moved.receive(2)
        assert (await it.attend()).state == "reserved"
        assert await it.moved.ship(3) == "closed"

    async def test_more_than_was_sent_for_it_is_for_sale(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await it.moved.receive(5)
        assert (await it.attend()).state == "reserved"
        assert (await it.shelves())["S1"] == {"available": 2, "reserved": 8}

    async def test_nobody_else_gets_it_however_long_they_have_waited(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        other = await shop.order(2)  # it waits at the same store
        await it.moved.ship()
        await it.moved.receive()
        assert (await it.attend()).state == "reserved"
        assert await shop.value("SELECT reserved FROM journey_line WHERE journey_id = :id", id=other) == 0

    async def test_a_book_below_zero_at_the_store_takes_nothing_from_it(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        sold = [{"line": "1", "sku": TEA, "quantity": 2, "unit_price_minor": PRICE_MINOR}]
        await it.moved.ship()
        await shop.report("pos.sale", location="S1", receipt="R1", lines=sold)
        await it.moved.receive()
        assert (await it.shelves())["S1"] == {"available": -2, "reserved": 8}

    async def test_a_delivery_that_names_the_order_is_the_transfers_receipt(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        line = {"sku": TEA, "quantity": 3, "order_id": "W-7", "line_id": "1"}
        beside = {"sku": TEA, "quantity": 4}
        assert (await _delivered(shop, line, beside)).outcome == "accepted"
        assert (await it.attend()).state == "reserved"
        assert (await it.shelves())["S1"] == {"available": 4, "reserved": 8}
        assert await it.moved.state() == "closed"
        again = await _delivered(shop, line)
        assert (again.outcome, (again.problem or {})["code"]) == ("quarantined", "malformed")
        assert it.moved.id in (again.problem or {})["detail"]

    async def test_goods_that_do_not_come_in_time_are_asked_about_until_they_do(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        due = next(one for one in (await it.situation()).dues if one.name == "goods")
        late = Step(subject=it.journey, occurrence="g", at=due.at + timedelta(seconds=1), due="goods")
        assert (await dues.on_due(shop.database, late)).state == "ship_to_store"
        assert await shop.value("SELECT count(*) FROM case_file WHERE kind = 'shipment_overdue'") == 1
        assert await shop.value("SELECT facts->'units' FROM case_file WHERE kind = 'shipment_overdue'") == 3
        await it.moved.receive(3)
        await it.attend()
        assert await shop.value("SELECT resolution FROM case_file WHERE kind = 'shipment_overdue'") == "self_healed"

    async def test_it_is_not_offered_where_the_warehouse_lacks_it(self, shop: Shop) -> None:
        await warehouse(shop, 2)
        journey = await shop.order(8)
        await open_case(shop.database, step(journey, "1"))
        options = await shop.value("SELECT options FROM case_file")
        assert not any("ship_to_store" in one["id"] for one in options)

    async def test_gone_by_the_time_it_is_carried_out_the_case_goes_back(self, shop: Shop) -> None:
        await warehouse(shop)
        journey = await shop.order(8)
        number = (await open_case(shop.database, step(journey, "1"))).case_id
        assert number is not None
        answer = await decide(shop, number, "ship_to_store:DC", agreed_by_phone=True)
        await shop.put("DC", 2)
        told = await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        assert (told.state, told.case_id) == ("reservation_failed", number)
        assert await shop.value("SELECT count(*) FROM transfer") == 0
        assert "can promise only 2" in await shop.value("SELECT reason FROM case_decision")


async def _delivered(shop: Shop, *lines: dict[str, Any]) -> EventOutcome:
    return await shop.report("stock.received", location="S1", document=uuid.uuid4().hex, lines=list(lines))


class TestWhatWillNotCome:
    async def _new_ways(self, it: Coming, missing: int) -> int:
        """The order is told, and somebody is offered other ways out; returns the case."""
        assert (await it.attend()).state == "reservation_failed"
        number = await it.ask_again()
        kind, facts = (
            await it.shop.value("SELECT kind FROM case_file WHERE id = :id", id=number),
            await it.shop.value("SELECT facts FROM case_file WHERE id = :id", id=number),
        )
        assert (kind, [line["missing"] for line in facts["missing"]]) == ("reservation_lost", [missing])
        return number

    async def test_one_short_is_asked_about_at_once_and_heals_when_it_comes_after_all(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await it.moved.receive(2, complete=True)
        number = await self._new_ways(it, 1)
        assert await it.moved.compare() == "discrepancy_review"
        await it.moved.decide("await_rest")
        await it.moved.receive(1)
        assert (await it.attend()).state == "reserved"
        assert await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=number) == "self_healed"

    async def test_it_may_be_sent_once_more(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await it.moved.receive(1, complete=True)
        number = await self._new_ways(it, 2)
        again = await Coming.chosen(shop, it.journey, number)
        assert again.moved.id != it.moved.id
        await again.moved.receive(2)
        assert (await it.attend()).state == "reserved"
        await it.moved.compare()

    @pytest.mark.parametrize(
        "how", ["damaged", "at another store", "lost", "cancelled", "declined", "sold there", "not sent"]
    )
    async def test_whatever_the_reason_the_order_is_told(self, shop: Shop, how: str) -> None:
        it = await Coming.begin(shop)
        moved = it.moved
        if how in ("damaged", "at another store", "lost"):
            await moved.ship()
        line = {"line_id": "1", "quantity": 3}
        if how == "damaged":
            await moved.report("received", lines=[line | {"condition": "damaged"}], complete=True)
        elif how == "at another store":
            await moved.report("received", lines=[line], location="S2")
        elif how == "lost":
            await moved.due("receipt")
            await moved.decide("accept", root_cause="lost_by_carrier")
        elif how in ("cancelled", "declined"):
            await moved.report(how)
        elif how == "sold there":
            sold = [{"line": "1", "sku": TEA, "quantity": 20, "unit_price_minor": PRICE_MINOR}]
            await shop.report("pos.sale", location="DC", receipt="R1", lines=sold)
            assert (await moved.take(of_transfers.attend)).state == "cancelled"
        else:
            await moved.due("ship")
            await moved.decide("cancel_rest")
        assert await it.still() == (0, 0, 3, 0)
        await self._new_ways(it, 3)
        told = "SELECT count(*) FROM journey_step WHERE detail = 'Of what was to come, 3 units will not.'"
        assert await shop.value(told) == 1
        assert await it.still() == (0, 0, 0, 0)

    async def test_what_is_at_the_store_by_then_serves_it_instead(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await shop.put("S1", 3)
        await it.moved.report("declined")
        assert (await it.attend()).state == "reservation_failed"
        assert (await it.attend()).state == "reserved"
        assert (await it.shelves())["S1"] == {"reserved": 8}


class TestWhatIsNotNeeded:
    async def test_what_has_not_left_stays(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await shop.report("bopis.cancelled", journey_id=it.journey)
        assert (await it.situation()).dues == ()
        assert (await it.shelves())["DC"] == {"available": 17, "reserved": 3}
        assert await it.transfer_attends() == "cancelled"
        assert await it.shelves() == {"DC": {"available": 20}, "S1": {"available": 5}}
        assert any("needs 3 units no more" in told for told in await it.moved.told())

    async def test_on_its_way_somebody_is_asked_and_it_may_come(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await shop.report("bopis.cancelled", journey_id=it.journey)
        assert await it.transfer_attends() == "in_transit"
        assert (await it.moved.case_of("transfer_cancelled"))["facts"]["reason"] == "not_needed"
        await it.moved.decide("carry_on")
        assert await it.moved.receive() == "closed"
        assert (await it.shelves())["S1"] == {"available": 8}

    async def test_on_its_way_it_may_be_brought_back(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await shop.report("bopis.cancelled", journey_id=it.journey)
        await it.transfer_attends()
        assert (await it.moved.decide("bring_back")).state == "cancelled"
        back = await shop.value("SELECT journey_id FROM transfer WHERE reason = 'send_back'")
        assert await Moved(shop, back, None).receive() == "closed"  # type: ignore[arg-type]  # nobody asked for it
        assert await it.shelves() == {"DC": {"available": 20}, "S1": {"available": 5}}

    async def test_part_that_has_left_is_asked_about_and_the_rest_stays(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship(1)
        await shop.report("bopis.cancelled", journey_id=it.journey)
        assert await it.transfer_attends() == "in_transit"
        assert (await it.shelves())["DC"] == {"available": 19}
        assert (await it.moved.case_of("transfer_cancelled"))["state"] == "open"

    async def test_it_has_come_before_the_transfer_heard_of_it(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await shop.report("bopis.cancelled", journey_id=it.journey)
        assert await it.moved.receive() == "closed"
        assert await it.still() == (0, 0, 0, 0)
        assert (await it.shelves())["S1"] == {"available": 8}

    async def test_the_order_has_heard_nothing_yet_of_what_came(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await it.moved.receive()
        await shop.report("bopis.cancelled", journey_id=it.journey)
        assert (await it.shelves())["S1"] == {"available": 8}
        assert await it.still() == (0, 0, 0, 0)

    async def test_a_line_that_is_cancelled_leaves_the_others_coming(self, shop: Shop) -> None:
        lines = [
            {"line_id": name, "sku": TEA, "quantity": number, "unit_price_minor": PRICE_MINOR}
            for name, number in (("1", 6), ("2", 2))
        ]
        it = await Coming.begin(shop, lines=lines)
        await it.moved.ship()
        await shop.report("bopis.cancelled", journey_id=it.journey, lines=["2"])
        assert await it.still() == (1, 0, 0, 2)
        assert await it.transfer_attends() == "in_transit"
        assert any("with what the order still needs" in told for told in await it.moved.told())
        await it.moved.receive()
        assert (await it.attend()).state == "reserved"
        assert (await it.shelves())["S1"] == {"available": 2, "reserved": 6}

    async def test_what_the_store_picked_beyond_its_promise_need_not_come(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await pick(shop, it.journey, 7)
        assert await it.still() == (1, 0, 0, 2)
        assert await it.transfer_attends() == "ready_to_ship"
        assert await it.moved.line() == {"reserved": 1, "cancelled": 2}
        await it.moved.receive(1)
        assert (await it.attend()).state == "picking"

    async def test_an_order_that_goes_elsewhere_gives_up_what_was_to_come(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await shop.put("S2", 12)
        await it.moved.ship(2, complete=True)
        assert (await it.attend()).state == "reservation_failed"
        answer = await decide(shop, await it.ask_again(), "other_store:S2", agreed_by_phone=True)
        told = await steps.apply_decision(shop.database, step(it.journey, "s2", decision_id=answer.decision_id))
        assert told.state == "reserved"
        assert await it.still() == (0, 0, 0, 2)
        await it.transfer_attends()
        assert (await it.moved.case_of("transfer_cancelled"))["state"] == "open"

    async def test_cancelled_and_received_at_the_same_moment(self, shop: Shop) -> None:
        it = await Coming.begin(shop)
        await it.moved.ship()
        await asyncio.gather(it.moved.receive(), shop.report("bopis.cancelled", journey_id=it.journey))
        assert await it.moved.state() == "closed"
        if (await it.situation()).attention:
            await it.attend()
        assert (await it.shelves())["S1"] == {"available": 8}


class TestByLink:
    async def _asked(self, shop: Shop) -> Asked:
        await warehouse(shop)
        journey = await shop.order(8)
        number = (await open_case(shop.database, step(journey, "1"))).case_id
        assert number is not None
        answer = await decide(shop, number, "offer:ship_to_store:DC")
        told = await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        assert (told.state, told.case_id) == ("awaiting_customer", None)
        return Asked(shop, journey)

    async def test_the_goods_are_held_there_until_the_customer_says_yes(self, shop: Shop) -> None:
        order = await self._asked(shop)
        assert await shelf(shop, "DC") == {"available": 17, "reserved": 3}
        assert (await order.answer("accept")).state == "applied"
        assert (await order.situation()).state == "ship_to_store"
        assert await shelf(shop, "DC") == {"available": 17, "reserved": 3}
        it = Coming(shop, order.journey, await brought_by(shop, order.journey))
        await it.moved.receive(3)
        assert (await it.attend()).state == "reserved"

    async def test_what_was_held_is_the_customers_even_where_nothing_else_could_be_promised(self, shop: Shop) -> None:
        order = await self._asked(shop)
        await shop.put("DC", 0)
        assert (await order.answer("accept")).state == "applied"
        assert await shelf(shop, "DC") == {"reserved": 3}

    async def test_a_no_lets_it_go(self, shop: Shop) -> None:
        order = await self._asked(shop)
        assert (await order.answer("other")).state == "declined"
        assert await shelf(shop, "DC") == {"available": 20}
        assert await shop.value("SELECT count(*) FROM transfer") == 0

    async def test_policy_may_have_it_offered_without_anybody_choosing(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('t', '2020-01-01',"
            ' \'{"offers": {"automatic": ["ship_to_store"]}}\')'
        )
        await warehouse(shop)
        order = Asked(shop, await shop.order(8))
        assert (await order.look_for_a_way("1")).state == "awaiting_customer"
        assert await order.value("way") == "ship_to_store:DC"
