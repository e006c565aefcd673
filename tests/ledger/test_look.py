"""A running promotion is looked at: sold against forecast, surges, and what is proposed then."""

from datetime import timedelta

import pytest

from ledger.look.looking import running
from tests.ledger.support.looking import DAY, HOUR, START, Watched
from tests.ledger.support.promoting import Promoted
from tests.ledger.support.till import COFFEE
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
MINUTE = timedelta(minutes=1)


class TestWhatIsCounted:
    async def test_sold_against_forecast_uplift_and_margin(self, shop: Shop) -> None:
        it = await Watched.open(shop, forecast=672)  # twice what is usual
        await it.sell("S1", 3, at=START + 30 * MINUTE, units=2)
        await it.sell("S2", 2, at=START + 90 * MINUTE)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        figures = found.figures
        assert (figures.sold_units, figures.receipts, figures.forecast_units) == (8, 5, 672)
        assert figures.expected_units == pytest.approx(8, abs=0.01)
        assert figures.usual_units == pytest.approx(4, abs=0.01)
        assert figures.uplift_permille == pytest.approx(1_000, abs=5)
        assert (figures.revenue_minor, figures.cost_minor) == (8 * 1_200, 8 * 600)
        assert figures.margin_permille == 500
        assert (figures.places, figures.surging, figures.proposed_units) == (2, 0, 0)

    async def test_what_was_sold_before_it_began_or_of_another_item_does_not_count(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await it.sell("S1", 2, at=START - MINUTE)
        await it.sell("S1", 2, at=START + MINUTE, sku=COFFEE)
        await it.sell("S1", 1, at=START + MINUTE)
        found = await it.look(START + HOUR)
        assert found is not None
        assert found.figures.sold_units == 1

    async def test_a_receipt_with_two_items_is_one_customer(self, shop: Shop) -> None:
        it = await Watched.open(shop, TEA, COFFEE)
        await it.sell("S1", 1, at=START + MINUTE)
        await it.sell_together("S1", (TEA, COFFEE), at=START + 2 * MINUTE)
        found = await it.look(START + HOUR)
        assert found is not None
        assert (found.figures.sold_units, found.figures.receipts) == (3, 2)

    async def test_what_a_till_tells_late_counts_in_the_hour_in_which_it_was_sold(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await it.sell("S1", 1, at=START + 10 * MINUTE)
        assert (await it.look(START + 3 * HOUR)) is not None
        await it.sell("S1", 4, at=START + 20 * MINUTE)
        found = await it.look(START + 4 * HOUR)
        assert found is not None
        assert (found.number, found.figures.sold_units) == (2, 5)
        assert await it.hours("S1") == {0: 5}

    async def test_an_order_counts_when_it_was_placed_at_what_it_pays(self, shop: Shop) -> None:
        it = await Watched.running_now(shop)
        paid = {"reference": "card-1", "tender": "card", "amount_minor": 2_380, "state": "captured"}
        line = {"line_id": "1", "sku": TEA, "quantity": 2, "unit_price_minor": 1_190}
        await shop.order(2, lines=[line], payments=[paid])
        found = await it.look_now()
        assert found is not None
        assert (found.figures.sold_units, found.figures.receipts) == (2, 1)
        assert (found.figures.revenue_minor, found.figures.cost_minor) == (2_380, 1_200)

    async def test_a_clock_that_was_moved_on_moves_its_sales_along(self, shop: Shop) -> None:
        it = await Watched.open(shop, past=False)
        await shop.change("UPDATE journey SET clock_offset_s = 86400 WHERE id = :id", id=it.id)
        await it.sell("S1", 2, at=START - DAY + HOUR)
        found = await it.look(START - DAY + 2 * HOUR)
        assert found is not None
        assert found.figures.sold_units == 2

    async def test_without_a_past_its_forecast_is_spread_over_opening_hours(self, shop: Shop) -> None:
        it = await Watched.open(shop, past=False)
        found = await it.look(START + DAY)
        assert found is not None
        assert found.figures.expected_units == pytest.approx(48)
        assert found.figures.usual_units is None
        assert found.figures.uplift_permille is None

    async def test_what_was_expected_stays_whatever_is_sold(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        assert await it.look(START + HOUR) is not None
        before = await it.expected()
        await it.sell("S1", 30, at=START + 2 * HOUR)
        assert await it.look(START + 3 * HOUR) is not None
        assert await it.expected() == before


class TestOnce:
    async def test_a_look_is_taken_once(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        assert await it.look(START + HOUR, "ten") is not None
        assert await it.look(START + HOUR, "ten") is None
        assert await running(shop.database, "ten") == []
        assert await running(shop.database, "eleven") == [it.id]

    async def test_one_that_comes_late_does_not_look_back(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        assert await it.look(START + 2 * HOUR) is not None
        assert await it.look(START + HOUR) is None

    async def test_one_that_is_over_or_has_not_begun_is_not_looked_at(self, shop: Shop) -> None:
        it = await Watched.open(shop)
        await Promoted.open(shop, COFFEE)
        over = Promoted(shop, it.id, None)  # type: ignore[arg-type]
        await over.due("end")
        assert await it.look(START + 8 * DAY) is None
        assert await running(shop.database, "any") == []


class TestASurge:
    async def test_goods_go_from_where_they_are_left_to_where_they_sell(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 300)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        assert (found.figures.surging, found.figures.places) == (1, 2)
        (made,) = await it.proposals()
        assert (made["from_location"], made["to_location"], made["sku"]) == ("S2", "S1", TEA)
        place = await it.place("S1")
        assert (place["state"], place["surge_sold"]) == ("surge", 20)
        assert place["surge_expected"] == pytest.approx(2, abs=0.01)
        # What Wiesbaden sells itself until the end stays there: one an hour for the 166 hours that are left.
        assert made["quantity"] == 134
        assert "20 receipts in the last 2 hours, where 2.0 were to be expected" in made["because"]
        assert "Wiesbaden, 9 km away, has 300 beyond its safety stock, and sells 166" in made["because"]

    async def test_above_the_band_somebody_must_agree_and_reads_why(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 300)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        (made,) = await it.proposals()  # 134 units at 6.00 are above 500.00
        assert made["state"] == "pending_approval"
        facts = await shop.value("SELECT facts FROM approval WHERE journey_id = :id", id=made["transfer_id"])
        assert facts["because"] == made["because"]
        assert facts["reason"] == "rebalance"

    async def test_below_the_band_it_is_made_and_reserved_at_once(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 200)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        (made,) = await it.proposals()  # 34 units at 6.00
        assert (made["state"], made["quantity"]) == ("ready_to_ship", 34)
        reserved = await shop.value("SELECT reserved FROM stock WHERE location = 'S2' AND sku = :sku", sku=TEA)
        assert reserved == 34

    async def test_it_is_not_proposed_again_while_it_is_under_way(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 200)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        await it.sell("S1", 20, at=START + 2 * HOUR)
        await shop.put("S2", 400)
        again = await it.look(START + 3 * HOUR)
        assert again is not None
        assert again.figures.surging == 1
        assert len(await it.proposals()) == 1

    async def test_what_was_turned_down_rests_for_a_day(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 300)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        (made,) = await it.proposals()
        await shop.change("UPDATE journey SET state = 'rejected', closed_at = now() WHERE id = :id",
                          id=made["transfer_id"])  # fmt: skip
        await it.look(START + 3 * HOUR)
        assert len(await it.proposals()) == 1
        await it.sell("S1", 60, at=START + 26 * HOUR)
        await it.look(START + 27 * HOUR)
        assert len(await it.proposals()) == 2

    async def test_with_enough_on_its_shelf_nothing_is_proposed(self, shop: Shop) -> None:
        await shop.put("S1", 2_000)
        await shop.put("S2", 300)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        assert (found.figures.surging, found.figures.short) == (1, 0)
        assert await it.proposals() == []

    async def test_nobody_gives_what_it_will_sell_itself(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 166)
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        assert await it.proposals() == []

    async def test_nor_its_safety_stock(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 200)
        await shop.change("UPDATE stock SET safety_stock = 20 WHERE location = 'S2'")
        it = await Watched.open(shop)
        await it.sell("S1", 20, at=START + HOUR)
        await it.look(START + 2 * HOUR)
        assert [made["quantity"] for made in await it.proposals()] == [14]

    async def test_who_surges_as_well_gives_nothing(self, shop: Shop) -> None:
        await shop.put("S1", 30)
        await shop.put("S2", 3_000)
        it = await Watched.open(shop)
        for place in ("S1", "S2"):
            await it.sell(place, 20, at=START + HOUR)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        assert found.figures.surging == 2
        assert await it.proposals() == []

    async def test_one_customer_who_buys_a_hundred_is_no_surge(self, shop: Shop) -> None:
        await shop.put("S1", 130)
        await shop.put("S2", 300)
        it = await Watched.open(shop)
        await it.sell("S1", 1, at=START + HOUR, units=100)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        assert (found.figures.sold_units, found.figures.surging) == (100, 0)
        assert await it.proposals() == []

    async def test_an_item_surges_among_others_and_goes_alone(self, shop: Shop) -> None:
        await shop.put("S1", 40)
        await shop.put("S2", 300)
        await shop.change("INSERT INTO stock (location, sku) VALUES ('S1', :sku), ('S2', :sku)", sku=COFFEE)
        it = await Watched.open(shop, TEA, COFFEE)
        await it.sell("S1", 16, at=START + HOUR)
        found = await it.look(START + 2 * HOUR)
        assert found is not None
        assert found.figures.surging == 1
        assert {made["sku"] for made in await it.proposals()} == {TEA}
