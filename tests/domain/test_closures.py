"""Periods in which a place is closed: how they lie over each other, and where due instants go."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.bopis import pick_due, window_dues
from domain.calendars import ALWAYS_OPEN, OpeningHours, open_time_between
from domain.closures import Period, laid_over, moved, pickup_hours, staff_hours, status_at
from domain.policy import BopisPolicy

BERLIN = ZoneInfo("Europe/Berlin")
# Monday to Saturday from nine to nine; closed on Sundays. 2 March 2026 is a Monday.
STORE = OpeningHours("Europe/Berlin", {day: (time(9), time(21)) for day in range(6)})
POLICY = BopisPolicy()


def at(day: int, hour: int = 0, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN)


def closed(start: datetime, end: datetime | None) -> Period:
    return Period("closed", start, end)


class TestPeriods:
    def test_a_later_word_holds_in_its_time_and_the_earlier_one_around_it(self) -> None:
        before = laid_over((), Period("no_pickup", at(2), at(6)))
        after = laid_over(before, closed(at(3), at(4)))
        assert [(one.status, one.starts_at, one.ends_at) for one in after] == [
            ("no_pickup", at(2), at(3)), ("closed", at(3), at(4)), ("no_pickup", at(4), at(6)),
        ]  # fmt: skip
        assert [status_at(after, at(day)) for day in (1, 2, 3, 4, 6)] == [
            "open", "no_pickup", "closed", "no_pickup", "open",
        ]  # fmt: skip

    def test_open_ends_whatever_was_said_of_the_time_after(self) -> None:
        before = laid_over(laid_over((), closed(at(2), None)), Period("no_pickup", at(20), at(25)))
        assert laid_over(before, Period("open", at(3), None)) == (closed(at(2), at(3)),)

    def test_the_same_word_again_changes_nothing(self) -> None:
        once = laid_over((), closed(at(2), at(4)))
        assert laid_over(once, closed(at(2), at(4))) == once


class TestMoved:
    def test_a_pick_gets_the_open_time_that_it_had(self) -> None:
        after = staff_hours(STORE, [closed(at(2, 11), at(3, 12))])
        assert moved(at(2, 12), at(2, 10), STORE, after) == at(3, 13)

    def test_a_due_instant_before_the_closure_stays(self) -> None:
        after = staff_hours(STORE, [closed(at(5), at(6))])
        assert moved(at(3, 3), at(2, 10), STORE, after) == at(3, 3)
        assert moved(at(2, 9), at(2, 10), STORE, after) == at(2, 9)

    def test_a_window_loses_no_open_day(self) -> None:
        dues = window_dues(at(2, 12), POLICY, STORE, frozen=False)
        after = pickup_hours(STORE, [closed(at(4), at(6))])
        assert moved(dues["window"], at(3, 8), STORE, after) == at(10, 21)
        assert moved(dues["window_reminder_2"], at(3, 8), STORE, after) == at(10, 9)

    def test_a_day_that_ends_early_is_no_day_on_which_a_window_may_end(self) -> None:
        dues = window_dues(at(2, 12), POLICY, STORE, frozen=False)
        after = pickup_hours(STORE, [closed(at(7, 14), at(9))])
        assert moved(dues["window"], at(3, 8), STORE, after) == at(9, 21)

    def test_no_pickup_moves_the_customer_and_not_the_picker(self) -> None:
        periods = [Period("no_pickup", at(2, 10), at(4))]
        assert staff_hours(STORE, [one for one in periods if one.status == "closed"]) == STORE
        assert pick_due(at(2, 12), None, POLICY, staff_hours(STORE, periods)) == at(2, 14)
        assert pickup_hours(STORE, periods).open_spans(at(3).date()) == []

    @pytest.mark.parametrize("due", [at(2, 12), at(7, 21), at(4, 9)])
    def test_opening_again_takes_back_what_closing_has_moved(self, due: datetime) -> None:
        now, after = at(2, 10), staff_hours(STORE, [closed(at(2, 11), None)])
        assert moved(moved(due, now, STORE, after), now, after, STORE) == due

    def test_an_hour_that_a_night_loses_is_not_given_back(self) -> None:
        always = OpeningHours("Europe/Berlin", ALWAYS_OPEN.weekdays)
        after = staff_hours(always, [closed(at(29, 1), at(29, 4))])  # three o'clock comes right after two
        assert moved(at(29, 1, 30), at(29), always, after) == at(29, 4, 30)

    @given(st.integers(0, 14 * 24 * 60), st.integers(0, 240), st.integers(1, 240))
    def test_open_time_is_kept_wherever_the_closure_lies(self, due_min: int, start_h: int, length_h: int) -> None:
        now = at(2, 10).astimezone(UTC)
        due, start = now + timedelta(minutes=due_min), now + timedelta(hours=start_h)
        after = staff_hours(STORE, [closed(start, start + timedelta(hours=length_h))])
        there = moved(due, now, STORE, after)
        assert there >= due
        had, has = open_time_between(now, due, STORE), open_time_between(now, there, after)
        whole_days = due.astimezone(BERLIN).time() == time(21)
        assert has == had or whole_days


class TestCutOff:
    def test_a_store_that_closes_early_today_has_its_cut_off_early(self) -> None:
        hours = staff_hours(STORE, [closed(at(2, 14), at(3, 10))])
        assert pick_due(at(2, 13, 30), None, POLICY, hours) == at(3, 12)
        assert pick_due(at(2, 12, 30), None, POLICY, hours) == at(3, 10, 30)
