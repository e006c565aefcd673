"""Words for spans of time in the queue's address: `opened=2026-02-01..2026-02-07`, `closed=today`, `age=4h-1d`,
`due=over`, `due=2026-02-01T14:00Z..2026-02-01T15:00Z`. Days are the reader's, whole, both included.
"""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

# Hours since a case was opened: at least, and less than.
AGES_H: dict[str, tuple[int, int | None]] = {
    "4h": (4, None),
    "1d": (24, None),
    "3d": (72, None),
    "7d": (168, None),
    "0h-4h": (0, 4),
    "4h-1d": (4, 24),
    "1d-3d": (24, 72),
}
SPANS = ("age", "opened", "closed", "due")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ")


def is_understood(name: str, value: str) -> bool:
    """Whether a word of one of `SPANS` means something."""
    try:
        _bounds(name, value, datetime(2000, 1, 1, tzinfo=UTC), "UTC")
    except ValueError:
        return False
    return True


def bounds(given: Mapping[str, str], now: datetime, zone: str) -> dict[str, datetime]:
    """The fields of `CaseFilter` for those of `SPANS` that are given; of two bounds of one field the narrower holds."""
    fields: dict[str, datetime] = {}
    for name in SPANS:
        if name not in given:
            continue
        for field, at in _bounds(name, given[name], now, zone).items():
            pick = max if field.endswith("_from") else min
            fields[field] = pick(fields.get(field, at), at)
    return fields


def days(first: date, last: date) -> str:
    """The word for whole days."""
    return f"{first}" if first == last else f"{first}..{last}"


def hours(start: datetime, end: datetime) -> str:
    """The word for instants from `start` until `end`, to the minute."""
    return "..".join(f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}" for at in (start, end))


def _bounds(name: str, value: str, now: datetime, zone: str) -> dict[str, datetime]:
    """Raises `ValueError` for a word that means nothing."""
    if name == "age":
        if value not in AGES_H:
            raise ValueError(value)
        older, younger = AGES_H[value]
        found = {"opened_until": now - timedelta(hours=older)} if older else {}
        return found | ({"opened_from": now - timedelta(hours=younger)} if younger else {})
    if name == "due":
        if value == "over":
            return {"due_before": now}
        first, _, last = value.partition("..")
        if not (_INSTANT.fullmatch(first) and _INSTANT.fullmatch(last)):
            raise ValueError(value)
        return {"due_from": datetime.fromisoformat(first), "due_before": datetime.fromisoformat(last)}
    first, found_two, last = value.partition("..")
    if value == "today":
        return {f"{name}_from": _midnight(now.astimezone(ZoneInfo(zone)).date(), zone)}
    end = _day(last) if found_two else _day(first)
    return {f"{name}_from": _midnight(_day(first), zone), f"{name}_until": _midnight(end + timedelta(days=1), zone)}


def _day(text: str) -> date:
    """Raises `ValueError` also for a year so far away that its zone would leave the calendar."""
    day = date.fromisoformat(text)
    if not 2000 <= day.year <= 2100:
        raise ValueError(text)
    return day


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
