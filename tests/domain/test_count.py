"""The count's rules: tolerance by direction, what a difference moves, confidence, risk; its table of states."""

import pytest

from domain.count import (
    FINAL,
    TRANSITIONS,
    CountState,
    Difference,
    accuracy_permille,
    check_transition,
    confidence_after,
    is_tolerated,
    resolve,
    risk_score,
    risk_terms,
)
from domain.errors import StateConflict
from domain.policy import CountPolicy, ToleranceLimits

E4 = 10_000


class TestStates:
    @pytest.mark.parametrize("state", sorted(CountState))
    def test_every_state_leads_to_an_end_or_is_one(self, state: CountState) -> None:
        seen, pending = set(), [state]
        while pending:
            one = pending.pop()
            seen.add(one)
            pending += TRANSITIONS[one] - seen
        assert seen & FINAL

    @pytest.mark.parametrize(
        ("now", "wanted"), [("posted", "recount"), ("scheduled", "posted"), ("rejected", "posted")]
    )
    def test_a_way_that_is_not_in_the_table_is_refused(self, now: str, wanted: str) -> None:
        with pytest.raises(StateConflict, match=now):
            check_transition(now, wanted)

    def test_staying_is_allowed(self) -> None:
        check_transition("posted", "posted")


class TestTolerance:
    LIMITS = ToleranceLimits(units=2, permille=100, value_minor=1_000)

    @pytest.mark.parametrize(
        ("book", "counted", "cost", "tolerated"),
        [
            (100, 100, 9_999, True),
            (100, 98, 500, True),
            (100, 97, 1, False),  # units
            (19, 17, 1, False),  # share of the book
            (20, 18, 1, True),
            (100, 98, 501, False),  # value
            (0, 0, 1, True),
            (-2, -1, 1, False),  # no share of nothing
        ],
    )
    def test_every_limit_is_kept(self, book: int, counted: int, cost: int, *, tolerated: bool) -> None:
        policy = CountPolicy(minus=self.LIMITS, plus=self.LIMITS)
        assert is_tolerated(Difference(book, counted, cost * E4), policy) is tolerated

    def test_each_direction_has_its_own(self) -> None:
        policy = CountPolicy(plus=ToleranceLimits(units=5, permille=None, value_minor=None), minus=self.LIMITS)
        assert is_tolerated(Difference(10, 15, E4), policy)
        assert not is_tolerated(Difference(10, 5, E4), policy)

    def test_without_limits_everything_is_tolerated(self) -> None:
        policy = CountPolicy(minus=ToleranceLimits(units=None, permille=None, value_minor=None))
        assert is_tolerated(Difference(10, 0, 999 * E4), policy)

    def test_value_is_gross_and_the_sign_is_kept_apart(self) -> None:
        assert Difference(5, 3, 600 * E4).value_minor == 1_200
        assert Difference(5, 3, 600 * E4).signed_minor == -1_200
        assert Difference(3, 5, 600 * E4).signed_minor == 1_200


class TestResolve:
    @pytest.mark.parametrize(
        ("variance", "pending", "moved"),
        [
            (0, 0, (0, 0, 0, 0)),
            (0, 5, (5, 0, 0, 0)),  # they were there
            (-2, 5, (3, 0, 2, 0)),
            (-5, 5, (0, 0, 5, 0)),
            (-7, 5, (0, 0, 5, 2)),
            (3, 0, (0, 3, 0, 0)),
            (3, 2, (2, 3, 0, 0)),
        ],
    )
    def test_count_pending_never_stays_behind(self, variance: int, pending: int, moved: tuple[int, ...]) -> None:
        taken = resolve(variance, pending)
        assert tuple(taken) == moved
        assert taken.confirmed + taken.lost_pending == pending
        assert taken.gained - taken.lost_pending - taken.lost_available == variance


class TestConfidence:
    @pytest.mark.parametrize(
        ("book", "counted", "accuracy"),
        [(10, 10, 1000), (10, 9, 900), (9, 10, 900), (0, 0, 1000), (0, 4, 0), (-3, 0, 0)],
    )
    def test_accuracy_is_what_book_and_shelf_have_in_common(self, book: int, counted: int, accuracy: int) -> None:
        assert accuracy_permille(book, counted) == accuracy

    def test_the_latest_count_weighs_as_policy_says(self) -> None:
        assert confidence_after(1000, 10, 5, 600) == 700
        assert confidence_after(700, 5, 5, 600) == 880
        assert confidence_after(0, 5, 5, 1000) == 1000
        assert confidence_after(300, 5, 0, 0) == 300


class TestRisk:
    def test_every_factor_raises_it(self) -> None:
        base = {"value_minor": 10_000, "sold_in_28_days": 28, "days_since_count": 30, "mean_variance_permille": 0}
        plain = risk_score(risk_terms(**base))
        assert plain == 100 * 2 * 1 * 1 * 1000
        for name, more in (("value_minor", 20_000), ("sold_in_28_days", 56), ("days_since_count", 60),
                           ("mean_variance_permille", 500)):  # fmt: skip
            assert risk_score(risk_terms(**base | {name: more})) > plain

    def test_each_term_says_why(self) -> None:
        terms = risk_terms(value_minor=1_250, sold_in_28_days=3, days_since_count=None, mean_variance_permille=125)
        assert [(term.term, term.why) for term in terms] == [
            ("value", "12.50 of stock at cost"),
            ("velocity", "3 sold in 28 days"),
            ("age", "never counted"),
            ("past_variance", "12.5 % off on average"),
        ]

    def test_stock_that_is_worth_nothing_is_still_counted_some_day(self) -> None:
        assert (
            risk_score(risk_terms(value_minor=-5, sold_in_28_days=0, days_since_count=0, mean_variance_permille=0)) > 0
        )
