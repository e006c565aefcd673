"""Store hours as arithmetic: an instant so many open hours, or open days, after another.

Called by intake and steps, never inside a workflow: zone data changes, and the instant belongs into the history.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

HORIZON_DAYS = 400


class OpeningHours(NamedTuple):
    """A location's calendar. `weekdays` maps 0 (Monday) … 6 to local opening and closing time; a missing day is
    closed. `pauses` are spans in which it is closed all the same, sorted and apart.
    """

    time_zone: str
    weekdays: Mapping[int, tuple[time, time]]
    closed_days: frozenset[date] = frozenset()
    pauses: tuple[tuple[datetime, datetime], ...] = ()

    def spans(self, day: date) -> tuple[datetime, datetime] | None:
        """The open span of a local day, in UTC; None when closed. A closing time at or before opening runs past
        midnight. One that comes twice is meant the first time.
        """
        if day in self.closed_days or day.weekday() not in self.weekdays:
            return None
        opens, closes = self.weekdays[day.weekday()]
        zone = ZoneInfo(self.time_zone)
        start = datetime.combine(day, opens, zone)
        end = datetime.combine(day if closes > opens else day + timedelta(days=1), closes, zone)
        opened, closed = start.astimezone(UTC), end.astimezone(UTC)
        return (opened, closed) if opened < closed else None  # in a night that loses that hour

    def open_spans(self, day: date) -> list[tuple[datetime, datetime]]:
        """The open spans of a local day less the pauses, in UTC."""
        whole = self.spans(day)
        left = [] if whole is None else [whole]
        for begin, end in self.pauses:
            left = [
                part
                for start, stop in left
                for part in ((start, min(stop, begin)), (max(start, end), stop))
                if part[0] < part[1]
            ]
        return left

    def closing(self, day: date) -> datetime | None:
        """The closing time of a local day on which the place is open until then."""
        whole = self.spans(day)
        if whole is None or any(begin < whole[1] <= end for begin, end in self.pauses):
            return None
        return whole[1]

    def local_date(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self.time_zone)).date()


ALWAYS_OPEN = OpeningHours("UTC", {day: (time(0), time(0)) for day in range(7)})


def add_open_time(start: datetime, duration: timedelta, hours: OpeningHours) -> datetime:
    """The instant at which `duration` of open time has passed since `start`, in UTC.

    Reckoned in UTC between local opening bounds, so a day that loses or gains an hour counts what it has.
    A location that never opens within the horizon gets the duration as clock time: a clock must end.
    """
    # In UTC from here on: adding to a wall-clock time would count an hour that a day has lost.
    start = start.astimezone(UTC)
    rest = duration
    day = hours.local_date(start) - timedelta(days=1)
    for _ in range(HORIZON_DAYS):
        for span in hours.open_spans(day):
            if span[1] <= start:
                continue
            begin = max(span[0], start)
            if span[1] - begin >= rest:
                return begin + rest
            rest -= span[1] - begin
        day += timedelta(days=1)
    return start + duration


def open_time_between(start: datetime, end: datetime, hours: OpeningHours) -> timedelta:
    """How much open time lies between two instants."""
    total, day = timedelta(0), hours.local_date(start) - timedelta(days=1)
    while day <= hours.local_date(end):
        for begin, stop in hours.open_spans(day):
            total += max(min(stop, end) - max(begin, start), timedelta(0))
        day += timedelta(days=1)
    return total


def open_days_until(start: datetime, closing: datetime, hours: OpeningHours) -> int | None:
    """The number of days for which `end_of_open_day` answers `closing`; None where no open day closes then."""
    day, last, seen = hours.local_date(start), hours.local_date(closing), 0
    for offset in range((last - day).days + 1):
        found = hours.closing(day + timedelta(days=offset))
        seen += found is not None and offset > 0
        if found == closing:
            return seen
    return None


def end_of_open_day(start: datetime, days: int, hours: OpeningHours) -> datetime:
    """Closing time of the `days`-th open day counted from the day after `start`; 0 means the day of `start` itself."""
    day = hours.local_date(start)
    seen = 0
    closing = start.astimezone(UTC)
    for offset in range(HORIZON_DAYS):
        found = hours.closing(day + timedelta(days=offset))
        if found is None:
            continue
        if offset > 0:
            seen += 1
        closing = found
        if seen >= days and closing > start:
            return closing
    return start.astimezone(UTC) + timedelta(days=max(days, 1))


def next_opening(start: datetime, hours: OpeningHours) -> datetime:
    """The next instant at or after `start` at which the location is open."""
    return add_open_time(start, timedelta(0), hours)


def is_open(instant: datetime, hours: OpeningHours) -> bool:
    return next_opening(instant, hours) == instant.astimezone(UTC)
