"""The script of a day: the same for a seed, every basket once, faults about as often as stated."""

import pytest

from demo.baskets import Assortment, Basket, of_day
from demo.plan import (
    CANCEL_SHARE,
    FORGOTTEN_SHARE,
    LARGE_LINES,
    LATE_FEED_S,
    NO_SHOW_SHARE,
    SHELF_EMPTY_SHARE,
    Act,
    chance,
    day_script,
    deliveries,
    is_web_order,
    late_feed,
    script_of,
)
from demo.source import Sales


@pytest.fixture(scope="module")
def baskets(sales: Sales, assortment: Assortment) -> list[Basket]:
    return of_day(sales, 36, assortment)


class TestScript:
    def test_the_same_seed_gives_the_same_script(self, baskets: list[Basket]) -> None:
        assert day_script(baskets, 36, 7) == day_script(list(baskets), 36, 7)

    def test_another_seed_gives_another(self, baskets: list[Basket]) -> None:
        assert day_script(baskets, 36, 7) != day_script(baskets, 36, 8)

    def test_every_basket_is_sold_or_ordered_once(self, baskets: list[Basket]) -> None:
        sent = [act.basket.id for act in day_script(baskets, 36, 7) if act.basket]
        assert sorted(sent) == sorted(basket.id for basket in baskets)

    def test_orders_are_large_baskets_without_paper_coupons(self, baskets: list[Basket]) -> None:
        orders = [act.basket for act in day_script(baskets, 36, 7) if act.kind == "order" and act.basket]
        assert 10 < len(orders) < len(baskets) / 2
        assert all(len(basket.lines) >= LARGE_LINES and basket.coupon_minor == 0 for basket in orders)

    def test_acts_come_in_the_order_of_the_day(self, baskets: list[Basket]) -> None:
        times = [act.at_s for act in day_script(baskets, 36, 7)]
        assert times == sorted(times)


class TestFaults:
    def test_a_late_feed_arrives_together_and_says_when_it_happened(self, baskets: list[Basket]) -> None:
        late = late_feed(baskets, 36, 7)
        assert late is not None
        store, from_s = late
        held: list[Act] = [act for act in day_script(baskets, 36, 7) if act.at_s != act.happened_s]
        assert {act.at_s for act in held} <= {from_s + LATE_FEED_S}
        assert all(act.basket and act.basket.store == store for act in held)
        assert all(from_s <= act.happened_s < act.at_s for act in held)

    def test_faults_come_about_as_often_as_stated(self, sales: Sales, assortment: Assortment) -> None:
        orders = [
            script_of(basket, 7)
            for day in range(30, 90)
            for basket in of_day(sales, day, assortment)
            if is_web_order(basket, 7)
        ]
        count = len(orders)
        assert count > 500
        for share, happened in (
            (SHELF_EMPTY_SHARE, sum(order.missing is not None for order in orders)),
            (NO_SHOW_SHARE, sum(order.collect_after_s is None for order in orders)),
            (CANCEL_SHARE, sum(order.cancel_after_s is not None for order in orders)),
            (FORGOTTEN_SHARE, sum(order.pick_after_s is None for order in orders)),
        ):
            assert abs(happened / count - share) < 0.035

    def test_what_is_missing_is_a_line_of_the_order(self, sales: Sales, assortment: Assortment) -> None:
        for basket in of_day(sales, 36, assortment):
            missing = script_of(basket, 7).missing
            assert missing is None or missing in {line.line_id for line in basket.lines}

    def test_chance_depends_on_every_name(self) -> None:
        draws = [chance(7, "pick", 1), chance(7, "pick", 2), chance(7, "web", 1), chance(8, "pick", 1)]
        assert len(set(draws)) == 4
        assert all(0 <= draw < 1 for draw in draws)


class TestDeliveries:
    def test_a_delivery_brings_back_what_was_sold(self, baskets: list[Basket]) -> None:
        acts = deliveries(baskets)
        assert sum(units for act in acts for _, units in act.units) == sum(
            line.quantity for basket in baskets for line in basket.lines
        )
        assert len({act.location for act in acts}) == len(acts)

    def test_nothing_sold_brings_nothing(self) -> None:
        assert deliveries([]) == []
