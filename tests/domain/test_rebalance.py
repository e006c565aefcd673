"""From where to where goods of a promotion go."""

from typing import Any

import pytest

from domain.rebalance import Leg, Need, Shelves, distance_km, need_of, propose, spare_of


def shelf(**more: Any) -> Shelves:
    given: dict[str, Any] = {
        "location": "S1", "sku": "TEA", "available": 10, "safety": 2, "free": 8, "inbound": 0, "until_short": 20.0,
        "until_filled": 40.0, "until_end": 70.0,
    }  # fmt: skip
    return Shelves(**{**given, **more})


NEAR = {("S2", "S1"): 10.0, ("S3", "S1"): 20.0, ("S4", "S1"): 500.0}


def near(source: str, target: str) -> float | None:
    return NEAR.get((source, target))


class TestWhatAPlaceLacks:
    def test_what_it_sells_until_filled_and_its_safety_stock_less_what_it_has(self) -> None:
        assert need_of(shelf()) == Need("S1", "TEA", 32, 10 / 22)

    def test_what_comes_already_counts(self) -> None:
        assert need_of(shelf(inbound=12)) is None
        assert need_of(shelf(inbound=11)) == Need("S1", "TEA", 21, 21 / 22)

    def test_a_shelf_below_zero_lacks_no_more_than_an_empty_one(self) -> None:
        empty = need_of(shelf(available=0))
        assert empty is not None
        assert need_of(shelf(available=-5)) == empty

    def test_what_is_not_sold_any_more_is_not_needed(self) -> None:
        assert need_of(shelf(available=0, until_short=0.0, until_filled=0.0)) is None


class TestWhatAPlaceGives:
    def test_what_it_has_beyond_all_that_it_sells(self) -> None:
        assert spare_of(shelf(free=100, until_end=70.2)) == 29

    def test_never_less_than_nothing(self) -> None:
        assert spare_of(shelf(free=60, until_end=70.0)) == 0


class TestWhoGivesToWhom:
    def test_the_nearest_gives_first(self) -> None:
        legs = propose(
            [Need("S1", "TEA", 30, 0.5)], [(("S3", "TEA"), 50), (("S2", "TEA"), 20)], near, radius_km=100, least_units=6
        )
        assert legs == [Leg("S2", "S1", "TEA", 20, 10.0), Leg("S3", "S1", "TEA", 10, 20.0)]

    def test_the_most_urgent_is_served_first(self) -> None:
        needs = [Need("S1", "TEA", 10, 0.9), Need("S5", "TEA", 10, 0.1)]
        legs = propose(needs, [(("S2", "TEA"), 12)], lambda *_: 5.0, radius_km=100, least_units=6)
        assert legs == [Leg("S2", "S5", "TEA", 10, 5.0)]

    def test_nobody_beyond_the_radius_is_asked(self) -> None:
        assert propose([Need("S1", "TEA", 30, 0.5)], [(("S4", "TEA"), 50)], near, radius_km=100, least_units=6) == []

    def test_a_place_of_unknown_distance_comes_last(self) -> None:
        spares = [(("S0", "TEA"), 50), (("S3", "TEA"), 10)]
        legs = propose([Need("S1", "TEA", 30, 0.5)], spares, near, radius_km=100, least_units=6)
        assert [(leg.source, leg.units) for leg in legs] == [("S3", 10), ("S0", 20)]

    def test_who_lacks_an_item_gives_none_of_it(self) -> None:
        needs = [Need("S1", "TEA", 30, 0.5), Need("S2", "TEA", 10, 0.5)]
        legs = propose(needs, [(("S2", "TEA"), 50)], near, radius_km=100, least_units=6)
        assert legs == []

    def test_another_item_is_not_sent_instead(self) -> None:
        assert propose([Need("S1", "TEA", 30, 0.5)], [(("S2", "MILK"), 50)], near, radius_km=100, least_units=6) == []

    @pytest.mark.parametrize(("has", "sent"), [(5, 0), (6, 6), (29, 29)])
    def test_a_handful_is_not_worth_the_way(self, has: int, sent: int) -> None:
        legs = propose([Need("S1", "TEA", 30, 0.5)], [(("S2", "TEA"), has)], near, radius_km=100, least_units=6)
        assert sum(leg.units for leg in legs) == sent

    def test_nothing_is_given_twice(self) -> None:
        needs = [Need("S1", "TEA", 10, 0.1), Need("S5", "TEA", 10, 0.2)]
        legs = propose(needs, [(("S2", "TEA"), 17)], lambda *_: 1.0, radius_km=100, least_units=6)
        assert [(leg.target, leg.units) for leg in legs] == [("S1", 10), ("S5", 7)]


def test_the_distance_is_that_of_the_globe() -> None:
    assert distance_km((50.0, 8.25), (50.08, 8.25)) == pytest.approx(8.9, abs=0.05)
    assert distance_km((None, 8.25), (50.08, 8.25)) is None
