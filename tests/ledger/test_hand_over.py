"""A hand-over happens once, whoever reports it: the store, the till, or both, in either order."""

import asyncio
from typing import Any

import pytest

from domain.events import EventOutcome
from tests.ledger.support.books import accounts
from tests.shop import TEA, Shop


async def ready(shop: Shop, quantity: int = 2) -> str:
    journey = await shop.order(quantity, order_id="W-7")
    lines = [{"line_id": "1", "quantity": quantity}]
    assert (await shop.report("bopis.picked", journey_id=journey, picker="p1", lines=lines)).outcome == "accepted"
    return journey


async def by_store(shop: Shop, quantity: int | None = 2, **more: Any) -> EventOutcome:
    lines = None if quantity is None else [{"line_id": "1", "quantity": quantity}]
    return await shop.report("bopis.handed_over", order_id="W-7", lines=lines, actor="p1", **more)


async def by_till(shop: Shop, quantity: int = 2, receipt: str = "R1") -> EventOutcome:
    line = {"line": "1", "sku": TEA, "quantity": quantity, "unit_price_minor": 1500, "order_id": "W-7", "line_id": "1"}
    return await shop.report("pos.sale", location="S1", receipt=receipt, lines=[line])


async def taken_once(shop: Shop, units: int = 2) -> None:
    assert await shop.value("SELECT collected FROM journey_line") == units
    assert await shop.value("SELECT sum(quantity) FROM movement WHERE to_account = 'customer'") == units
    assert (await accounts(shop.database))["revenue"] == -1500 * units
    assert await shop.value("SELECT count(*) FROM case_file") == 0


class TestCost:
    async def test_units_from_two_places_cost_together_what_is_posted(self, shop: Shop) -> None:
        """At 600.5 a piece, two are 1,201; the one from the hold shelf and the other not 601 each."""
        lines = [{"sku": TEA, "quantity": 5, "unit_cost_minor": 601}]
        assert (await shop.report("stock.received", location="S1", document="D1", lines=lines)).outcome == "accepted"
        journey = await shop.order(2, order_id="W-7")
        picked = [{"line_id": "1", "quantity": 1}]
        await shop.report("bopis.picked", journey_id=journey, picker="p1", lines=picked)
        assert (await by_store(shop)).outcome == "accepted"
        moved = "SELECT array_agg(cost_minor ORDER BY cost_minor) FROM movement WHERE kind = 'handed_over'"
        assert await shop.value(moved) == [600, 601]
        assert (await accounts(shop.database))["cogs"] == 1_201


class TestEcho:
    @pytest.mark.parametrize("quantity", [2, None])
    async def test_the_store_tells_what_the_till_has_told(self, shop: Shop, quantity: int | None) -> None:
        await ready(shop)
        assert (await by_till(shop)).outcome == "accepted"
        assert (await by_store(shop, quantity)).outcome == "accepted"
        await taken_once(shop)

    @pytest.mark.parametrize("quantity", [2, None])
    async def test_the_till_tells_what_the_store_has_told(self, shop: Shop, quantity: int | None) -> None:
        await ready(shop)
        assert (await by_store(shop, quantity)).outcome == "accepted"
        assert (await by_till(shop)).outcome == "accepted"
        await taken_once(shop)

    async def test_both_at_the_same_moment(self, shop: Shop) -> None:
        await ready(shop)
        outcomes = await asyncio.gather(by_till(shop), by_store(shop))
        assert {one.outcome for one in outcomes} == {"accepted"}
        await taken_once(shop)

    async def test_of_each_part(self, shop: Shop) -> None:
        await ready(shop)
        await by_store(shop, 1)
        await by_till(shop, 1)
        assert await shop.value("SELECT state FROM journey") == "partially_collected"
        await taken_once(shop, 1)
        await by_till(shop, 1, "R2")
        await by_store(shop, 1)
        assert await shop.value("SELECT state FROM journey") == "collected"
        await taken_once(shop, 2)

    async def test_the_rest_of_what_the_till_has_told_is_everything_on_the_shelf(self, shop: Shop) -> None:
        await ready(shop)
        await by_till(shop, 1)
        await by_store(shop, None)
        await taken_once(shop, 2)

    async def test_a_cancelled_order_is_lost_once_and_asked_about_once(self, shop: Shop) -> None:
        journey = await ready(shop)
        await shop.report("bopis.cancelled", journey_id=journey)
        await by_till(shop)
        await by_store(shop)
        assert await shop.value("SELECT sum(quantity) FROM movement WHERE to_account = 'customer'") == 2
        assert await shop.value("SELECT string_agg(kind, ' ') FROM case_file") == "fact_after_close"

    @pytest.mark.parametrize("report", [by_store, by_till])
    async def test_more_than_was_ordered_is_set_aside_with_a_case(self, shop: Shop, report: Any) -> None:
        await ready(shop)
        outcome = await report(shop, 3)
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("quarantined", "malformed")
        assert await shop.value("SELECT collected FROM journey_line") == 0


class TestProof:
    async def test_goods_with_an_age_limit_want_a_look_at_the_customers_age(self, shop: Shop) -> None:
        await shop.change("UPDATE item SET age_limit = 18")
        await ready(shop)
        await by_store(shop, 1)
        assert await shop.value("SELECT kind FROM case_file") == "age_not_checked"
        assert await shop.value("SELECT collected FROM journey_line") == 1

    @pytest.mark.parametrize("proof", [{"kind": "id"}, {"kind": "code", "code": "123456", "id_checked": True}])
    async def test_a_recorded_look_is_enough(self, shop: Shop, proof: dict[str, Any]) -> None:
        await shop.change("UPDATE item SET age_limit = 18")
        await ready(shop)
        await by_store(shop, proof={**proof, "name": "Kim Lee", "relation": "friend"})
        assert await shop.value("SELECT count(*) FROM case_file") == 0
        assert await shop.value("SELECT text FROM person_note") == "Kim Lee (friend)"

    async def test_who_is_too_young_gets_the_money_back_and_the_goods_are_put_away(self, shop: Shop) -> None:
        await shop.change("UPDATE item SET age_limit = 18")
        journey = await ready(shop)
        lines = [{"line_id": "1", "quantity": 0, "refused_quantity": 2, "reason": "under age"}]
        await shop.report("bopis.handed_over", journey_id=journey, lines=lines, actor="p1")
        assert await shop.value("SELECT state FROM journey") == "cancelled"
        assert await shop.value("SELECT sum(amount_minor) FROM payment_operation WHERE kind = 'refund'") == 3000
        assert await shop.value("SELECT count(*) FROM case_file") == 0
        await shop.report("bopis.put_away", journey_id=journey)
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 5
