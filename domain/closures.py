"""When a place is closed, or hands out no pickups: periods laid over its opening hours, which move due instants."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from domain.calendars import OpeningHours, add_open_time, end_of_open_day, open_days_until, open_time_between

LocationStatus = Literal["open", "no_pickup", "closed"]
# A closure without an end is reckoned as this long; whoever reopens the place moves everything back.
UNTIL_TOLD = timedelta(days=365)
_MOMENT = timedelta(microseconds=1)


class Period(NamedTuple):
    """A status from an instant until another; `ends_at` None is until further notice."""

    status: LocationStatus
    starts_at: datetime
    ends_at: datetime | None
    reason: str = ""

    @property
    def end(self) -> datetime:
        return self.ends_at or self.starts_at + UNTIL_TOLD


def laid_over(periods: Iterable[Period], new: Period) -> tuple[Period, ...]:
    """The periods after a later word about some time: it holds from its start to its end, the earlier ones around it.

    A word without an end ends what was said about any later time, too.
    """
    found = [] if new.status == "open" else [new]
    for old in periods:
        if old.starts_at < new.starts_at:
            before = old.ends_at is None or old.ends_at > new.starts_at
            found.append(old._replace(ends_at=new.starts_at) if before else old)
        if new.ends_at is not None and (old.ends_at is None or old.ends_at > new.ends_at):
            found.append(old._replace(starts_at=max(old.starts_at, new.ends_at)))
    return tuple(sorted(found, key=lambda period: (period.starts_at, period.end)))


def status_at(periods: Iterable[Period], instant: datetime) -> LocationStatus:
    """What holds at an instant; a place is open where nothing else was said."""
    holding = [period.status for period in periods if period.starts_at <= instant < period.end]
    return holding[0] if holding else "open"


def staff_hours(hours: OpeningHours, periods: Sequence[Period]) -> OpeningHours:
    """When goods are picked and put away: opening hours less the time in which the place is closed."""
    return _less(hours, [period for period in periods if period.status == "closed"])


def pickup_hours(hours: OpeningHours, periods: Sequence[Period]) -> OpeningHours:
    """When customers can collect: opening hours less the time in which the place hands nothing out."""
    return _less(hours, [period for period in periods if period.status != "open"])


def _less(hours: OpeningHours, periods: Sequence[Period]) -> OpeningHours:
    return hours._replace(pauses=tuple((period.starts_at, period.end) for period in periods)) if periods else hours


def moved(due: datetime, since: datetime, before: OpeningHours, after: OpeningHours) -> datetime:
    """Where a due instant goes when the calendar changes: as much open time after `since` as it had.

    The closing of an open day stays the closing of an open day, as many of them away; an opening stays an opening. What
    was due by `since` stays.
    """
    if due <= since:
        return due
    rest = open_time_between(since, due, before)
    if rest == open_time_between(since, due, after):
        return due
    days = open_days_until(since, due, before)
    if days is not None:
        return end_of_open_day(since, days, after)
    if any(start == due for start, _ in before.open_spans(before.local_date(due))):
        return add_open_time(since, rest + _MOMENT, after) - _MOMENT
    return add_open_time(since, rest, after)
