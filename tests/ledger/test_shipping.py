"""Ship to home: offered to who has an address, agreed by phone or by link, earned when the goods leave."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import UnknownOption
from domain.events import EventOutcome
from domain.messages import Situation, Step
from ledger.bopis import dues, steps
from tests.ledger.support.books import accounts
from tests.ledger.support.orders import decide, hand_over, pick, situation, step
from tests.shop import TEA, Shop

HOME = {"name": "Kim Lee", "email": "kim@customer.example", "address": {"street": "Am Rhein 1", "city": "Mainz"}}


async def warehouse(shop: Shop, units: int = 20) -> None:
    await shop.change("INSERT INTO stock (location, sku) VALUES ('DC', :sku) ON CONFLICT DO NOTHING", sku=TEA)
    await shop.put("DC", units)


async def failed(shop: Shop, **more: Any) -> tuple[str, int]:
    """An order of eight, of which five are there."""
    journey = await shop.order(8, **({"customer": HOME} | more))
    told = await steps.open_case(shop.database, step(journey, "1"))
    assert told.case_id is not None
    return journey, told.case_id


async def options(shop: Shop) -> list[str]:
    return [one["id"] for one in await shop.value("SELECT options FROM case_file ORDER BY id LIMIT 1")]


async def to_be_shipped(shop: Shop) -> str:
    await warehouse(shop)
    journey, case_id = await failed(shop)
    answer = await decide(shop, case_id, "ship_to_home:DC", agreed_by_phone=True)
    done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
    assert (done.state, done.case_id) == ("to_be_shipped", None)
    return journey


async def ship(shop: Shop, journey: str, quantity: int | None = None) -> EventOutcome:
    lines = None if quantity is None else [{"line_id": "1", "quantity": quantity}]
    return await shop.report("bopis.shipped", journey_id=journey, lines=lines, carrier="DHL", tracking="00340")


async def fall_due(shop: Shop, journey: str, name: str) -> Situation:
    due = next(one for one in (await situation(shop, journey)).dues if one.name == name)
    return await dues.on_due(
        shop.database, Step(subject=journey, occurrence=f"{name}{due.at}", at=due.at + timedelta(seconds=1), due=name)
    )


class TestOffered:
    async def test_to_who_has_an_address_while_a_warehouse_has_everything(self, shop: Shop) -> None:
        await warehouse(shop)
        await failed(shop)
        assert "ship_to_home:DC" in await options(shop)

    async def test_not_without_an_address(self, shop: Shop) -> None:
        await warehouse(shop)
        _, case_id = await failed(shop, customer={"name": "Kim Lee", "email": "kim@customer.example"})
        assert not any("ship_to_home" in one for one in await options(shop))
        with pytest.raises(UnknownOption):
            await decide(shop, case_id, "ship_to_home:DC", agreed_by_phone=True)

    async def test_not_where_the_warehouse_has_too_little(self, shop: Shop) -> None:
        await warehouse(shop, 7)
        await failed(shop)
        assert not any("ship_to_home" in one for one in await options(shop))

    async def test_gone_before_it_is_applied_the_case_comes_back(self, shop: Shop) -> None:
        await warehouse(shop)
        journey, case_id = await failed(shop)
        answer = await decide(shop, case_id, "ship_to_home:DC", agreed_by_phone=True)
        await shop.put("DC", 3)
        done = await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert (done.state, done.case_id) == ("reservation_failed", case_id)
        assert "can promise only 3" in await shop.value("SELECT reason FROM case_decision")


class TestShipped:
    async def test_all_units_are_promised_there_and_the_customer_is_told(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        assert await shop.value("SELECT reserved FROM stock WHERE location = 'DC'") == 8
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5
        assert [due.name for due in (await situation(shop, journey)).dues] == ["ship"]
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'order_to_be_shipped'") == 1

    async def test_revenue_is_earned_when_it_leaves(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        assert "revenue" not in await accounts(shop.database)
        assert (await ship(shop, journey)).outcome == "accepted"
        now = await situation(shop, journey)
        assert (now.state, now.ended) == ("shipped", True)
        assert await accounts(shop.database) == {
            "payment_clearing": 12000, "revenue": -12000, "cogs": 4800, "inventory": -4800,
        }  # fmt: skip
        assert await shop.value(
            "SELECT string_agg(DISTINCT kind, ' ') FROM movement WHERE to_account = 'customer'"
        ) == ("shipped")
        assert await shop.value("SELECT context ->> 'tracking' FROM mail WHERE template = 'order_shipped'") == "00340"

    async def test_in_two_parcels(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        await ship(shop, journey, 3)
        assert (await situation(shop, journey)).state == "to_be_shipped"
        await ship(shop, journey, 5)
        assert (await situation(shop, journey)).state == "shipped"
        assert (await accounts(shop.database))["revenue"] == -12000

    async def test_picked_first_it_leaves_from_where_it_stands(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        await pick(shop, journey, 8)
        assert (await situation(shop, journey)).state == "to_be_shipped"
        await ship(shop, journey)
        assert await shop.value("SELECT staged FROM stock WHERE location = 'DC'") == 0

    async def test_authorised_money_is_taken_when_it_leaves(self, shop: Shop) -> None:
        await warehouse(shop)
        paid = {"reference": "card-1", "tender": "card", "amount_minor": 12000, "state": "authorized"}
        journey, case_id = await failed(shop, payments=[paid])
        answer = await decide(shop, case_id, "ship_to_home:DC", agreed_by_phone=True)
        await steps.apply_decision(shop.database, step(journey, "d", decision_id=answer.decision_id))
        assert (await situation(shop, journey)).operations == ()
        await ship(shop, journey)
        (operation,) = (await situation(shop, journey)).operations
        assert operation.startswith("capture:")

    async def test_more_than_is_left_is_set_aside(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        outcome = await ship(shop, journey, 9)
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("quarantined", "malformed")
        assert (await situation(shop, journey)).state == "to_be_shipped"

    async def test_an_order_for_pickup_that_left_all_the_same_posts(self, shop: Shop) -> None:
        journey = await shop.order(2)
        assert (await ship(shop, journey)).outcome == "accepted"
        assert (await situation(shop, journey)).state == "shipped"
        assert (await accounts(shop.database))["revenue"] == -3000

    async def test_what_left_after_a_cancel_is_asked_about(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        await shop.report("bopis.cancelled", journey_id=journey)
        assert (await ship(shop, journey, 8)).outcome == "accepted"
        assert await shop.value("SELECT count(*) FROM case_file WHERE kind = 'fact_after_close'") == 1

    async def test_a_cancel_and_the_parcel_in_the_same_moment_move_each_unit_once(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        await asyncio.gather(ship(shop, journey, 8), shop.report("bopis.cancelled", journey_id=journey))
        assert await shop.value("SELECT sum(quantity) FROM movement WHERE to_account = 'customer'") == 8
        state = (await situation(shop, journey)).state
        asked = await shop.value("SELECT count(*) FROM case_file WHERE kind = 'fact_after_close'")
        assert (state, asked) in (("shipped", 0), ("cancelled", 1))

    async def test_one_that_does_not_leave_is_asked_about(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        done = await fall_due(shop, journey, "ship")
        assert done.state == "to_be_shipped"
        assert await shop.value("SELECT count(*) FROM case_file WHERE kind = 'shipment_overdue'") == 1

    async def test_collected_at_the_counter_it_is_collected(self, shop: Shop) -> None:
        journey = await to_be_shipped(shop)
        await hand_over(shop, journey, 8)
        assert (await situation(shop, journey)).state == "collected"
