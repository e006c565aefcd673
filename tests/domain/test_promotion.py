"""Promotions without a database: what an offer makes of a price, which of several counts, what a forecast earns."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import StateConflict
from domain.policy import PromotionPolicy
from domain.promotion import (
    FINAL,
    OPEN_TO_CHANGE,
    TRANSITIONS,
    AmountOff,
    BuyGet,
    Expected,
    FixedPrice,
    Offer,
    PercentOff,
    PromotionState,
    Running,
    ShelfPrice,
    check_transition,
    is_below,
    margin_of,
    offer_of,
    paid_for,
    price_of,
    shelf_price,
    split,
)
from domain.promotions import NewPromotion

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIFTH = PercentOff(kind="percent", off_permille=200)
HALF_EURO = AmountOff(kind="amount", off_minor=50)
AT_99 = FixedPrice(kind="price", price_minor=99)
TWO_FOR_ONE = BuyGet(kind="buy_get", buy=1, get=1)


def running(offer: Offer, stacking: str = "best", number: int = 1) -> Running:
    return Running(f"promotion:web:{number}", stacking, offer, NOON + timedelta(hours=number))


class TestOneOffer:
    @pytest.mark.parametrize(
        ("offer", "regular", "price"),
        [
            (FIFTH, 199, 159),
            (PercentOff(kind="percent", off_permille=500), 3, 2),  # half up
            (HALF_EURO, 199, 149),
            (HALF_EURO, 30, 0),
            (AT_99, 199, 99),
            (AT_99, 89, 89),  # it never raises a price
            (TWO_FOR_ONE, 199, 199),
        ],
    )
    def test_it_lowers_the_price_on_the_shelf(self, offer: Offer, regular: int, price: int) -> None:
        assert shelf_price(offer, regular) == price

    def test_a_deal_is_paid_for_as_if_all_was_bought_by_it(self) -> None:
        assert paid_for(BuyGet(kind="buy_get", buy=2, get=1), 300, 9) == 1_800
        assert paid_for(FIFTH, 300, 9) == 240 * 9

    @pytest.mark.parametrize(
        "stored",
        [
            {"kind": "percent", "off_permille": 0},
            {"kind": "percent", "off_permille": 1000},
            {"kind": "amount", "off_minor": -5},
            {"kind": "price", "price_minor": 0},
            {"kind": "buy_get", "buy": 0, "get": 1},
            {"kind": "gift"},
            {"kind": "percent", "off_permille": 200, "off_minor": 5},
        ],
    )
    def test_what_is_no_offer_is_refused(self, stored: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            offer_of(stored)


class TestSeveral:
    def test_without_any_the_regular_price_stands(self) -> None:
        assert price_of(199, []) == ShelfPrice(199)

    def test_the_lowest_of_the_best_counts(self) -> None:
        assert price_of(200, [running(FIFTH), running(HALF_EURO, number=2)]) == ShelfPrice(150)

    def test_those_that_stack_are_taken_one_after_the_other_in_one_order(self) -> None:
        three = [running(FIFTH, "stack", 3), running(HALF_EURO, "stack", 2), running(AT_99, "stack", 1)]
        assert {price_of(200, order) for order in permutations(three)} == {ShelfPrice(39)}  # (99 - 50) less a fifth

    def test_a_better_one_beats_those_that_stack(self) -> None:
        stacked = [running(FIFTH, "stack", 1), running(FIFTH, "stack", 2)]
        assert price_of(200, stacked) == ShelfPrice(128)
        assert price_of(200, [*stacked, running(AT_99, "best", 3)]) == ShelfPrice(99)

    def test_an_exclusive_one_stands_alone(self) -> None:
        assert price_of(200, [running(FIFTH, "exclusive"), running(AT_99, "stack", 2)]) == ShelfPrice(160)

    def test_the_best_deal_is_named_beside_the_price(self) -> None:
        two_plus_one = BuyGet(kind="buy_get", buy=2, get=1)
        both = [running(two_plus_one, number=1), running(TWO_FOR_ONE, number=2), running(FIFTH, number=3)]
        assert price_of(200, both) == ShelfPrice(160, "1+1")


class TestMargin:
    def test_what_a_forecast_earns(self) -> None:
        found = margin_of(FIFTH, [Expected(200, 1_000_000, 10), Expected(100, 500_000, 4)])
        assert (found.revenue_minor, found.cost_minor, found.discount_minor) == (1_920, 1_200, 480)
        assert found.permille == 375
        assert is_below(found.permille, 400)
        assert not is_below(found.permille, 375)

    def test_what_takes_nothing_in_is_below_every_floor(self) -> None:
        found = margin_of(AmountOff(kind="amount", off_minor=500), [Expected(200, 1_000_000, 10)])
        assert found.permille is None
        assert is_below(found.permille, -1000)

    def test_a_forecast_is_split_without_a_rest(self) -> None:
        assert split(10, 3) == [4, 3, 3]
        assert sum(split(7, 9)) == 7


class TestStates:
    def test_each_state_can_be_reached_and_final_ones_are_left_only_to_be_settled_or_taken_back(self) -> None:
        reached = {then for after in TRANSITIONS.values() for then in after}
        assert reached == set(PromotionState)
        left_for = {then for state in FINAL for then in TRANSITIONS[state]}
        assert left_for == {PromotionState.SETTLED, PromotionState.REVERTING}

    def test_what_was_published_is_taken_back_before_it_is_over(self) -> None:
        for state in ("publishing", "active"):
            with pytest.raises(StateConflict, match="cannot become cancelled"):
                check_transition(state, "cancelled")
            check_transition(state, "reverting")
        assert not OPEN_TO_CHANGE & {PromotionState.PUBLISHING, PromotionState.ACTIVE}


def body(**more: Any) -> dict[str, Any]:
    return {
        "promotion_id": "P-1",
        "name": "Tea weeks",
        "offer": {"kind": "percent", "off_permille": 200},
        "lines": [{"sku": "TEA-1", "forecast_units": 100}],
        "channels": ["web", "pos"],
        "locations": ["S1", "S2"],
        "starts_at": NOON.isoformat(),
        "ends_at": (NOON + timedelta(days=7)).isoformat(),
        **more,
    }


class TestDefinition:
    def test_it_is_read(self) -> None:
        found = NewPromotion.model_validate(body())
        assert found.stacking == "exclusive"
        assert found.submit

    @pytest.mark.parametrize(
        ("change", "because"),
        [
            ({"ends_at": NOON.isoformat()}, "later ends_at"),
            ({"ends_at": "2026-11-27T12:00:00"}, "timezone"),
            ({"lines": []}, "at least 1"),
            ({"lines": [{"forecast_units": 5}]}, "sku or a category"),
            ({"lines": [{"sku": "A", "category": "B", "forecast_units": 5}]}, "sku or a category"),
            ({"lines": [{"sku": "A", "forecast_units": 5}, {"sku": "A", "forecast_units": 6}]}, "the same: SKU A"),
            ({"lines": [{"sku": "A", "forecast_units": 0}]}, "greater than 0"),
            ({"channels": ["web", "web"]}, "the same: web"),
            ({"channels": ["Web shop"]}, "pattern"),
            ({"locations": ["S1", "S1"]}, "the same: S1"),
            ({"locations": "some"}, "all"),
            ({"stacking": "sometimes"}, "exclusive"),
            ({"offer": {"kind": "percent", "value": 20}}, "off_permille"),
            ({"name": "  "}, "at least 1"),
            ({"margin_floor_permille": 2000}, "1000"),
            ({"discount": 5}, "not permitted"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name(self, change: dict[str, Any], because: str) -> None:
        with pytest.raises(ValidationError, match=because):
            NewPromotion.model_validate(body(**change))


def test_the_last_pause_is_kept_for_as_long_as_it_takes() -> None:
    policy = PromotionPolicy(pauses_s=(60, 300))
    assert [policy.pause(run) for run in (1, 2, 3, 50)] == [timedelta(seconds=s) for s in (60, 300, 300, 300)]


def test_read_backs_come_ever_later_and_end() -> None:
    policy = PromotionPolicy(check_after_s=(60, 300))
    assert [policy.check_after(checks) for checks in (0, 1, 2)] == [timedelta(minutes=1), timedelta(minutes=5), None]
    assert PromotionPolicy(check_after_s=()).check_after(0) is None
