"""How fast a promotion sells: the shape of a week, chance, and what is a surge."""

from datetime import UTC, datetime, timedelta
from math import comb, exp, factorial

import pytest

from domain.velocity import (
    WEEK_HOURS,
    Rule,
    Span,
    drawn_shares,
    expected_below,
    hours_between,
    is_surge,
    loudest,
    pace,
    shape,
    share,
    tail,
    weighed,
)

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULE = Rule(least=5, one_in=1_000_000, spread=0.1)


def flat(value: float = 1.0) -> tuple[float, ...]:
    return (value,) * WEEK_HOURS


class TestTheWeek:
    def test_hours_are_those_of_the_place(self) -> None:
        def hours(zone: str) -> dict[int, float]:
            return {hour: part for hour, part in enumerate(hours_between(MONDAY, MONDAY + HOUR, zone)) if part}

        assert hours("UTC") == {0: 1.0}
        assert hours("America/New_York") == {6 * 24 + 19: 1.0}
        assert hours("Asia/Kolkata") == {5: 0.5, 6: 0.5}  # from half past five

    def test_parts_of_hours_count_as_parts(self) -> None:
        found = hours_between(MONDAY + HOUR / 2, MONDAY + 2.25 * HOUR, "UTC")
        assert found[:4] == (0.5, 1.0, 0.25, 0.0)
        assert sum(found) == 1.75

    def test_a_whole_week_has_each_hour_once(self) -> None:
        assert hours_between(MONDAY, MONDAY + WEEK_HOURS * HOUR, "UTC") == flat()

    def test_the_hour_that_a_day_loses_is_not_counted_and_the_one_it_gains_twice(self) -> None:
        spring = datetime(2026, 3, 29, tzinfo=UTC)  # clocks in Berlin go from 2 to 3 at one o'clock UTC
        found = hours_between(spring - HOUR, spring + 3 * HOUR, "Europe/Berlin")
        assert [found[6 * 24 + hour] for hour in range(5)] == [1.0, 1.0, 0.0, 1.0, 1.0]
        autumn = datetime(2026, 10, 25, tzinfo=UTC)
        assert hours_between(autumn - HOUR, autumn + 3 * HOUR, "Europe/Berlin")[6 * 24 + 2] == 2.0

    def test_nothing_lies_between_an_instant_and_an_earlier_one(self) -> None:
        assert sum(hours_between(MONDAY, MONDAY - HOUR, "UTC")) == 0

    def test_a_shape_adds_up_and_is_drawn_towards_the_model(self) -> None:
        own = [0.0] * WEEK_HOURS
        own[10] = 100.0
        found = shape(own, flat(), 100.0)
        assert sum(found) == pytest.approx(1)
        assert found[10] == pytest.approx((100 + 100 / WEEK_HOURS) / 200)
        assert shape([0.0] * WEEK_HOURS, flat(), 50.0) == pytest.approx(flat(1 / WEEK_HOURS))

    def test_without_a_past_and_a_model_every_hour_is_alike(self) -> None:
        assert shape([0.0] * WEEK_HOURS, [0.0] * WEEK_HOURS, 50.0) == flat(1 / WEEK_HOURS)

    def test_the_share_of_a_span_is_by_its_customers_not_by_its_hours(self) -> None:
        spread = [0.0] * WEEK_HOURS
        spread[5 * 24 + 10], spread[10] = 0.75, 0.25  # three of four come on Saturday at ten
        day = hours_between(MONDAY, MONDAY + 24 * HOUR, "UTC")
        week = hours_between(MONDAY, MONDAY + WEEK_HOURS * HOUR, "UTC")
        assert share(day, week, tuple(spread)) == 0.25
        assert weighed(week, tuple(spread)) == 1.0

    def test_where_nobody_comes_time_alone_counts(self) -> None:
        night = hours_between(MONDAY, MONDAY + 2 * HOUR, "UTC")
        part = hours_between(MONDAY, MONDAY + HOUR, "UTC")
        assert share(part, night, flat(0.0)) == 0.5
        assert share(part, flat(0.0), flat(0.0)) == 0.0

    def test_shares_are_drawn_towards_the_sizes_of_places(self) -> None:
        assert drawn_shares([0.0, 0.0], [3.0, 1.0], 20.0) == [0.75, 0.25]
        assert drawn_shares([20.0, 0.0], [1.0, 1.0], 20.0) == [0.75, 0.25]
        assert drawn_shares([0.0, 0.0], [0.0, 0.0], 2.0) == [0.5, 0.5]


class TestChance:
    def test_without_a_spread_it_is_poisson(self) -> None:
        for count, mean in ((1, 0.3), (4, 2.0), (9, 4.5), (30, 12.0)):
            wanted = 1 - sum(exp(-mean) * mean**k / factorial(k) for k in range(count))
            assert tail(count, mean, 0.0) == pytest.approx(wanted, rel=1e-6)

    def test_with_one_it_is_negative_binomial(self) -> None:
        # Of the size 2 (a spread of a half) and the mean 2 each failure has the chance 1/2: sums of halves.
        for count in (1, 3, 6):
            wanted = 1 - sum(comb(k + 1, k) * 0.5 ** (k + 2) for k in range(count))
            assert tail(count, 2.0, 0.5) == pytest.approx(wanted, rel=1e-9)

    def test_far_out_it_keeps_its_digits(self) -> None:
        terms = (exp(-1.0) / factorial(k) for k in range(30, 60))
        assert tail(30, 1.0, 0.0) == pytest.approx(sum(terms), rel=1e-9)

    def test_nothing_is_certain_and_something_of_nothing_impossible(self) -> None:
        assert tail(0, 3.0, 0.1) == 1.0
        assert tail(1, 0.0, 0.1) == 0.0

    def test_the_largest_expectation_is_where_chance_ends(self) -> None:
        for count, spread in ((5, 0.0), (12, 0.1), (60, 0.5)):
            edge = expected_below(count, 1e-6, spread)
            assert tail(count, edge * 0.999, spread) < 1e-6 <= tail(count, edge * 1.001, spread)

    def test_of_more_than_are_added_up_no_less_is_asked(self) -> None:
        assert expected_below(5_000, 1e-6, 0.1) == pytest.approx(10 * expected_below(500, 1e-6, 0.1))

    def test_an_uncertain_forecast_needs_more(self) -> None:
        assert expected_below(50, 1e-6, 0.25) < expected_below(50, 1e-6, 0.1) < expected_below(50, 1e-6, 0.0)


class TestASurge:
    def test_twenty_where_two_were_expected(self) -> None:
        assert is_surge(Span(2, 20, 2.0), RULE)

    def test_a_busy_hour_is_none(self) -> None:
        assert not is_surge(Span(2, 9, 4.0), RULE)

    def test_few_receipts_are_none_whatever_was_expected(self) -> None:
        assert not is_surge(Span(2, 4, 0.0), RULE)
        assert is_surge(Span(2, 5, 0.0), RULE)

    def test_one_of_many_has_to_be_rarer(self) -> None:
        edge = expected_below(10, 1e-6, 0.1)
        assert is_surge(Span(2, 10, edge * 0.99), RULE)
        assert not is_surge(Span(2, 10, edge * 0.99), RULE, among=100)

    def test_the_loudest_span_is_told(self) -> None:
        spans = [Span(2, 20, 2.0), Span(24, 60, 10.0), Span(None, 61, 40.0)]
        assert loudest(spans, RULE) == Span(2, 20, 2.0)
        assert loudest([Span(2, 3, 2.0)], RULE) is None

    def test_few_receipts_say_little_of_the_pace(self) -> None:
        assert pace(6, 0.5) == pytest.approx(2.0)
        assert pace(600, 50) == pytest.approx(11.0, rel=0.01)
        assert pace(0, 0.5, towards=2.0) == pytest.approx(10 / 5.5)
