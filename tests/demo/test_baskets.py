"""Baskets of real days: what the customer pays is what the data says, to the cent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.baskets import Assortment, of_day, priced
from demo.source import Sales, day_bounds_s, day_number, trading_date


class TestPrices:
    @given(
        quantity=st.integers(1, 50),
        regular=st.integers(1, 100_000),
        given_away=st.floats(0, 1),
        rate_ppm=st.sampled_from([0, 67_500, 80_000]),
    )
    def test_the_rounded_unit_price_never_changes_what_is_paid(
        self, quantity: int, regular: int, given_away: float, rate_ppm: int
    ) -> None:
        discount = int(regular * given_away)
        line = priced("1", 5, quantity, (regular, discount, 0), rate_ppm, age=False)
        assert line.net_minor == regular - discount
        assert line.quantity * line.unit_price_minor - line.discount_minor == line.net_minor
        assert 0 <= line.discount_minor <= line.quantity * line.unit_price_minor
        assert line.total_minor == line.net_minor + line.tax_minor
        assert abs(line.tax_minor - line.net_minor * rate_ppm / 1e6) <= 0.5


class TestDay:
    def test_a_day_sums_to_the_lines_of_the_data(self, sales: Sales, assortment: Assortment) -> None:
        start_s, end_s = day_bounds_s(day_number(36))
        day = sales.where((sales.at_s >= start_s) & (sales.at_s < end_s))
        known = np.isin(day.product, np.fromiter(assortment.items, dtype=np.int64))
        baskets = of_day(sales, 36, assortment)
        net_minor = sum(line.net_minor for basket in baskets for line in basket.lines)
        assert net_minor == int((day.regular_minor - day.discount_minor)[known].sum())
        assert sum(basket.coupon_minor for basket in baskets) == int(day.coupon_minor[known].sum())
        assert sum(len(basket.lines) for basket in baskets) == int(known.sum()) > 400

    def test_baskets_come_in_the_order_of_the_tills_and_lines_are_told_apart(
        self, sales: Sales, assortment: Assortment
    ) -> None:
        baskets = of_day(sales, 36, assortment)
        assert [basket.at_s for basket in baskets] == sorted(basket.at_s for basket in baskets)
        assert len({basket.id for basket in baskets}) == len(baskets)
        for basket in baskets:
            assert 0 <= basket.at_s < 86_400
            assert len({line.line_id for line in basket.lines}) == len(basket.lines)
            assert basket.coupon_minor <= basket.total_minor

    def test_food_is_not_taxed_and_soft_drinks_are(self, sales: Sales, assortment: Assortment) -> None:
        lines = [line for basket in of_day(sales, 36, assortment) for line in basket.lines]
        departments = {line.sku: assortment.products[int(line.sku)].department for line in lines}
        assert all(line.tax_minor == 0 for line in lines if departments[line.sku] in {"PRODUCE", "MEAT"})
        drinks = [line for line in lines if assortment.products[int(line.sku)].category == "SOFT DRINKS"]
        assert drinks
        assert all(line.tax_minor > 0 for line in drinks if line.net_minor > 20)

    @pytest.mark.parametrize("day", [0, 366, -1])
    def test_a_day_outside_the_year_is_refused(self, day: int, sales: Sales, assortment: Assortment) -> None:
        with pytest.raises(ValueError, match="1 to 365"):
            of_day(sales, day, assortment)

    def test_the_days_are_those_of_the_stores_clock(self, sales: Sales) -> None:
        start_s, end_s = day_bounds_s(day_number(71))  # the clocks go forward on 12 March 2017
        assert end_s - start_s == 23 * 3600
        assert trading_date(start_s) == trading_date(end_s - 1) == day_number(71)
