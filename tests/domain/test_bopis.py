"""A BOPIS order's states and clocks."""

from datetime import UTC, datetime, time, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bopis import FINAL, TRANSITIONS, BopisState, check_transition, nag_dues, pick_due, window_dues
from domain.calendars import ALWAYS_OPEN, OpeningHours, add_open_time, next_opening
from domain.errors import StateConflict
from domain.policy import BopisPolicy

STORE = OpeningHours("UTC", {day: (time(9), time(21)) for day in range(6)})
POLICY = BopisPolicy()


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """March 2026; the 2nd is a Monday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


class TestTransitions:
    def test_every_state_says_what_may_follow(self) -> None:
        assert set(TRANSITIONS) == set(BopisState)

    @pytest.mark.parametrize("state", sorted(FINAL))
    def test_nothing_follows_an_end(self, state: BopisState) -> None:
        for other in set(BopisState) - {state}:
            with pytest.raises(StateConflict):
                check_transition(state, other)

    def test_what_is_not_listed_is_refused_and_staying_is_not_a_change(self) -> None:
        for current, wanted in product(BopisState, BopisState):
            if current == wanted or wanted in TRANSITIONS[current]:
                check_transition(current, wanted)
            else:
                with pytest.raises(StateConflict):
                    check_transition(current, wanted)

    def test_every_state_but_an_end_can_be_cancelled(self) -> None:
        assert all(BopisState.CANCELLED in TRANSITIONS[state] for state in set(BopisState) - FINAL)


class TestPickDue:
    def test_two_open_hours_without_a_promise(self) -> None:
        assert pick_due(at(2, 10), None, POLICY, STORE) == at(2, 12)

    def test_a_quarter_of_an_hour_before_an_early_promise(self) -> None:
        assert pick_due(at(2, 10), at(2, 11), POLICY, STORE) == at(2, 10, 45)

    def test_a_promise_that_is_over_is_due_at_once(self) -> None:
        assert pick_due(at(2, 10), at(2, 9), POLICY, STORE) == at(2, 10)

    def test_after_the_cut_off_it_is_picked_next_morning(self) -> None:
        assert pick_due(at(2, 20, 30), None, POLICY, STORE) == at(3, 11)

    def test_on_saturday_night_it_is_picked_on_monday(self) -> None:
        assert pick_due(at(7, 20, 55), None, POLICY, STORE) == at(9, 11)

    def test_a_store_that_never_closes_has_no_cut_off(self) -> None:
        assert pick_due(at(2, 23, 30), None, POLICY, ALWAYS_OPEN) == at(3, 1, 30)

    def test_reminders_are_shares_of_the_way(self) -> None:
        dues = nag_dues(at(2, 10), at(2, 12), POLICY)
        assert dues == {"pick_nag_1": at(2, 11), "pick_nag_2": at(2, 12), "pick_nag_3": at(2, 13)}


class TestWindow:
    def test_it_ends_at_closing_of_the_fifth_open_day_with_reminders_before(self) -> None:
        dues = window_dues(at(2, 12), POLICY, STORE, frozen=False)
        assert dues == {"window": at(7, 21), "window_reminder_1": at(4, 9), "window_reminder_2": at(7, 9)}

    def test_frozen_goods_are_kept_for_the_day_and_nobody_is_reminded(self) -> None:
        assert window_dues(at(2, 12), POLICY, STORE, frozen=True) == {"window": at(2, 21)}

    def test_no_reminder_comes_after_the_end(self) -> None:
        short = POLICY.model_copy(update={"window_open_days": 1})
        dues = window_dues(at(2, 12), short, STORE, frozen=False)
        assert set(dues) == {"window"}
        assert dues["window"] - at(2, 12) < timedelta(days=2)


class TestPickDueInOpenHours:
    """The short way for a store that stays open long enough gives what reckoning in open time gives."""

    @given(
        minute=st.integers(0, 14 * 24 * 60),
        pick_s=st.integers(1, 12 * 3600),
        cutoff_s=st.integers(0, 6 * 3600),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
        hours=st.sampled_from([("09:00", "20:00"), ("00:00", "00:00"), ("18:00", "02:00")]),
    )
    def test_is_the_same(self, minute: int, pick_s: int, cutoff_s: int, zone: str, hours: tuple[str, str]) -> None:
        opens, closes = (time.fromisoformat(word) for word in hours)
        calendar = OpeningHours(zone, dict.fromkeys(range(7), (opens, closes)))
        at = datetime(2026, 3, 22, tzinfo=UTC) + timedelta(minutes=minute)  # over the night that loses an hour
        policy = BopisPolicy(pick_open_s=pick_s, cutoff_before_close_s=cutoff_s)
        start = next_opening(at, calendar)
        today = calendar.spans(calendar.local_date(start))
        if today is not None and today[0] <= start < today[1]:
            reopens = next_opening(today[1], calendar)
            if reopens > today[1] and today[1] - start < timedelta(seconds=cutoff_s):
                start = reopens
        assert pick_due(at, None, policy, calendar) == add_open_time(start, timedelta(seconds=pick_s), calendar)
