"""Which promises are verified when the till may have sold their units."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from domain.policy import Policy
from domain.stock import Promise, promises_in_doubt

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
SHIPPED = Policy().stock.doubt_first


def promise(name: str, *, minute: int = 0, **more: Any) -> Promise:
    values: dict[str, Any] = {
        "journey_id": f"bopis:web:{name}", "reserved": 1, "staged": 0, "at": NOON + timedelta(minutes=minute),
        "promised_at": None, "at_stake_minor": 100, "is_doubted": False,
    }  # fmt: skip
    return Promise(hold_id=name, **(values | more))


def names(chosen: list[Promise]) -> list[str]:
    return [one.hold_id for one in chosen]


class TestShippedPolicy:
    def test_the_newest_is_doubted_first(self) -> None:
        three = [promise("a", minute=1), promise("b", minute=3), promise("c", minute=2)]
        assert names(promises_in_doubt(three, 2, SHIPPED)) == ["b", "c"]

    def test_of_two_as_new_the_one_with_the_least_at_stake(self) -> None:
        assert names(promises_in_doubt([promise("a", at_stake_minor=900), promise("b")], 1, SHIPPED)) == ["b"]

    def test_one_that_is_partly_picked_comes_last_however_new(self) -> None:
        two = [promise("a", minute=9, staged=1), promise("b")]
        assert names(promises_in_doubt(two, 1, SHIPPED)) == ["b"]
        assert names(promises_in_doubt(two, 2, SHIPPED)) == ["b", "a"]

    def test_one_whose_units_are_all_on_the_hold_shelf_is_never_doubted(self) -> None:
        assert promises_in_doubt([promise("a", reserved=0, staged=3)], 5, SHIPPED) == []

    def test_what_is_verified_already_counts_and_is_not_asked_again(self) -> None:
        two = [promise("a", reserved=2, is_doubted=True), promise("b", minute=5)]
        assert promises_in_doubt(two, 2, SHIPPED) == []
        assert names(promises_in_doubt(two, 3, SHIPPED)) == ["b"]

    def test_nothing_is_doubted_while_nothing_lacks(self) -> None:
        assert promises_in_doubt([promise("a")], 0, SHIPPED) == []


class TestOtherPolicies:
    @pytest.mark.parametrize(
        ("rules", "first"),
        [(("oldest",), "old"), (("least_at_stake",), "cheap"), (("latest_promise",), "late"), (("newest",), "new")],
    )
    def test_each_rule_chooses_its_own(self, rules: Any, first: str) -> None:
        four = [
            promise("old", minute=-9, at_stake_minor=500, promised_at=NOON),
            promise("new", minute=9, at_stake_minor=600, promised_at=NOON),
            promise("cheap", at_stake_minor=1, promised_at=NOON),
            promise("late", at_stake_minor=700, promised_at=NOON + timedelta(days=1)),
        ]
        assert names(promises_in_doubt(four, 1, rules)) == [first]

    def test_a_rule_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(ValidationError):
            Policy.model_validate({"stock": {"doubt_first": ["loudest"]}})
