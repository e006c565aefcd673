"""Geometry of a line chart, units sold beside units forecast over time, as inline SVG. Pure arithmetic; a table beside
it says the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

from domain.looks import Course

WIDTH, HEIGHT = 720.0, 220.0
LEFT, RIGHT, TOP, BASE = 6.0, 714.0, 26.0, 190.0


class Lines(NamedTuple):
    """Two lines as points of a polyline, in units of the view box. They are told apart by their stroke and their words,
    not by colour alone; `now_x` is where the past ends.
    """

    forecast: str
    sold: str
    forecast_end: tuple[float, float]
    sold_end: tuple[float, float] | None
    now_x: float | None
    title: str
    summary: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    base: float = BASE


def lines(title: str, course: Sequence[Course]) -> Lines | None:
    """None where there is nothing to draw."""
    if not course:
        return None
    most = max(max(one.forecast, float(one.sold or 0)) for one in course) or 1.0
    first, last = course[0].until, course[-1].until
    # The first point is drawn after the zero from which both begin.
    step = (last - first) / max(len(course) - 1, 1)
    begins = first - step
    whole = (last - begins).total_seconds() or 1.0

    def x(one: Course) -> float:
        return round(LEFT + (RIGHT - LEFT) * (one.until - begins).total_seconds() / whole, 1)

    def y(value: float) -> float:
        return round(BASE - (BASE - TOP) * min(value / most, 1.0), 1)

    zero = f"{LEFT},{BASE}"
    past = [one for one in course if one.sold is not None]
    ends = past[-1] if past else None
    return Lines(
        forecast=" ".join([zero, *(f"{x(one)},{y(one.forecast)}" for one in course)]),
        sold=" ".join([zero, *(f"{x(one)},{y(float(one.sold or 0))}" for one in past)]),
        forecast_end=(x(course[-1]), y(course[-1].forecast)),
        sold_end=(x(ends), y(float(ends.sold or 0))) if ends else None,
        now_x=x(ends) if ends else None,
        title=title,
        summary=_summary(course, ends),
    )


def _summary(course: Sequence[Course], ends: Course | None) -> str:
    whole = f"The forecast reaches {course[-1].forecast:,.0f} units at the end."
    if ends is None:
        return f"Nothing was looked at yet. {whole} The table says the same."
    so_far = f"{ends.sold:,} units sold so far, where {ends.forecast:,.0f} were forecast by now."
    return f"{so_far} {whole} The table says the same."
