"""Store hours as arithmetic: open time, open days, a day that loses or gains an hour, a shop that never opens."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendars import (
    ALWAYS_OPEN,
    OpeningHours,
    add_open_time,
    end_of_open_day,
    is_open,
    next_opening,
    open_time_between,
)

NEW_YORK = ZoneInfo("America/New_York")
# Monday to Saturday from nine to nine; closed on Sundays.
STORE = OpeningHours("America/New_York", {day: (time(9), time(21)) for day in range(6)})


def there(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=NEW_YORK)


class TestOpenTime:
    def test_time_within_opening_hours_is_clock_time(self) -> None:
        assert add_open_time(there(2026, 3, 2, 10), timedelta(hours=2), STORE) == there(2026, 3, 2, 12)

    def test_what_is_left_at_closing_goes_on_at_the_next_opening(self) -> None:
        assert add_open_time(there(2026, 3, 2, 20), timedelta(hours=2), STORE) == there(2026, 3, 3, 10)

    def test_a_closed_sunday_does_not_count(self) -> None:
        assert add_open_time(there(2026, 3, 7, 20, 55), timedelta(hours=2), STORE) == there(2026, 3, 9, 10, 55)

    def test_a_closed_date_does_not_count(self) -> None:
        closed = STORE._replace(closed_days=frozenset({date(2026, 3, 3)}))
        assert add_open_time(there(2026, 3, 2, 20), timedelta(hours=2), closed) == there(2026, 3, 4, 10)

    def test_a_shop_open_through_the_night_counts_past_midnight(self) -> None:
        night = OpeningHours("UTC", {day: (time(22), time(2)) for day in range(7)})
        start = datetime(2026, 3, 2, 23, tzinfo=UTC)
        assert add_open_time(start, timedelta(hours=4), night) == datetime(2026, 3, 3, 23, tzinfo=UTC)

    def test_the_night_that_loses_an_hour_is_an_hour_shorter(self) -> None:
        always = OpeningHours("America/New_York", ALWAYS_OPEN.weekdays)
        before = there(2026, 3, 8, 1)
        assert add_open_time(before, timedelta(hours=2), always) == before.astimezone(UTC) + timedelta(hours=2)
        assert add_open_time(before, timedelta(hours=2), always).astimezone(NEW_YORK).hour == 4

    def test_a_shop_that_never_opens_still_ends_a_clock(self) -> None:
        never = OpeningHours("UTC", {})
        start = datetime(2026, 3, 2, tzinfo=UTC)
        assert add_open_time(start, timedelta(hours=3), never) == start + timedelta(hours=3)

    @given(
        minute=st.integers(0, 525_600),
        first=st.integers(0, 3_000),
        second=st.integers(1, 3_000),
    )
    def test_two_spans_after_each_other_are_one(self, minute: int, first: int, second: int) -> None:
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
        one, two = timedelta(minutes=first), timedelta(minutes=second)
        assert add_open_time(add_open_time(start, one, STORE), two, STORE) == add_open_time(start, one + two, STORE)

    def test_a_span_that_ends_at_closing_ends_there_and_none_at_all_leads_to_the_next_opening(self) -> None:
        closing = there(2026, 3, 7, 21)
        assert add_open_time(there(2026, 3, 7, 20), timedelta(hours=1), STORE) == closing
        assert add_open_time(closing, timedelta(0), STORE) == there(2026, 3, 9, 9)


class TestOddDays:
    @pytest.mark.parametrize(
        ("zone", "first", "open_for"),
        [
            ("Europe/Berlin", date(2026, 3, 29), timedelta(hours=23)),
            ("Europe/Berlin", date(2026, 10, 25), timedelta(hours=25)),
            ("America/New_York", date(2026, 11, 1), timedelta(hours=25)),
            ("Australia/Lord_Howe", date(2026, 4, 5), timedelta(hours=24, minutes=30)),
            ("Australia/Lord_Howe", date(2026, 10, 4), timedelta(hours=23, minutes=30)),
            ("Asia/Kathmandu", date(2026, 3, 29), timedelta(hours=24)),
        ],
    )
    def test_a_day_is_as_long_as_its_zone_has_it(self, zone: str, first: date, open_for: timedelta) -> None:
        hours = OpeningHours(zone, ALWAYS_OPEN.weekdays)
        begins, ends = (
            datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in (first, first + timedelta(days=1))
        )
        assert open_time_between(begins, ends, hours) == open_for
        assert add_open_time(begins, open_for, hours) == ends

    def test_a_shop_that_closes_in_the_hour_that_comes_twice_closes_the_first_time(self) -> None:
        bar = OpeningHours("America/New_York", {5: (time(20), time(1, 30))})
        opens = there(2026, 10, 31, 20).astimezone(UTC)
        assert open_time_between(opens, opens + timedelta(hours=9), bar) == timedelta(hours=5, minutes=30)

    def test_hours_that_the_night_swallows_are_none(self) -> None:
        early = OpeningHours("America/New_York", {day: (time(2, 30), time(3)) for day in range(7)})
        before = there(2026, 3, 7, 12)  # the next morning has no half past two
        assert add_open_time(before, timedelta(minutes=30), early) == there(2026, 3, 9, 3)
        assert next_opening(before, early) == there(2026, 3, 9, 2, 30)

    def test_the_day_that_comes_every_fourth_year_counts_as_any_other(self) -> None:
        assert add_open_time(there(2028, 2, 28, 20), timedelta(hours=13), STORE) == there(2028, 2, 29, 21)
        assert end_of_open_day(there(2028, 2, 28, 12), 1, STORE) == there(2028, 2, 29, 21)
        assert end_of_open_day(there(2028, 2, 29, 12), 1, STORE) == there(2028, 3, 1, 21)
        assert next_opening(there(2028, 2, 28, 21), STORE) == there(2028, 2, 29, 9)
        assert add_open_time(there(2027, 2, 27, 20), timedelta(hours=2), STORE) == there(2027, 3, 1, 10)


class TestOpenDays:
    def test_the_end_of_the_fifth_open_day_skips_the_sunday(self) -> None:
        assert end_of_open_day(there(2026, 3, 5, 12), 5, STORE) == there(2026, 3, 11, 21)

    def test_no_days_is_the_same_day(self) -> None:
        assert end_of_open_day(there(2026, 3, 5, 12), 0, STORE) == there(2026, 3, 5, 21)

    def test_no_days_after_closing_is_the_next_open_day(self) -> None:
        assert end_of_open_day(there(2026, 3, 7, 22), 0, STORE) == there(2026, 3, 9, 21)


class TestOpening:
    def test_an_open_shop_opens_now(self) -> None:
        assert next_opening(there(2026, 3, 2, 10), STORE) == there(2026, 3, 2, 10)
        assert is_open(there(2026, 3, 2, 10), STORE)

    def test_a_closed_one_opens_next_time(self) -> None:
        assert next_opening(there(2026, 3, 7, 21), STORE) == there(2026, 3, 9, 9)
        assert not is_open(there(2026, 3, 8, 12), STORE)
