"""Words for spans of time in the queue's address: what each means, in the reader's zone, and which mean nothing."""

from datetime import UTC, datetime

import pytest

from web.console.spans import bounds, hours, is_understood

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"age": "4h"}, {"opened_until": at(2, 11)}),
        ({"age": "4h-1d"}, {"opened_until": at(2, 11), "opened_from": at(1, 15)}),
        ({"age": "0h-4h"}, {"opened_from": at(2, 11)}),
        ({"opened": "today"}, {"opened_from": at(2, 5)}),
        ({"opened": "2026-03-01"}, {"opened_from": at(1, 5), "opened_until": at(2, 5)}),
        ({"closed": "2026-03-01..2026-03-04"}, {"closed_from": at(1, 5), "closed_until": at(5, 5)}),
        ({"opened": "2026-03-01..2026-03-04", "age": "0h-4h"}, {"opened_from": at(2, 11), "opened_until": at(5, 5)}),
        ({"due": "over"}, {"due_before": NOW}),
        ({"due": hours(at(2, 16), at(2, 17))}, {"due_from": at(2, 16), "due_before": at(2, 17)}),
        ({"kind": "pick_short"}, {}),
    ],
)
def test_a_word_is_a_span_of_the_readers_days(given: dict[str, str], wanted: dict[str, datetime]) -> None:
    assert bounds(given, NOW, "America/New_York") == wanted
    assert all(is_understood(name, value) for name, value in given.items() if name != "kind")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", "5h"), ("age", "9000h"), ("opened", "yesterday"), ("opened", "2026-02-30"), ("opened", "0001-01-01"),
        ("closed", "2026-03-01..x"), ("closed", "9999-01-01"), ("due", "soon"), ("due", "2026-03-02T15:00Z"),
        ("due", "2026-03-02T15:00..2026-03-02T16:00"), ("due", "2026-13-02T15:00Z..2026-13-02T16:00Z"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_not_understood(name: str, value: str) -> None:
    assert not is_understood(name, value)
