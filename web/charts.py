"""Geometry of the charts that pages draw as inline SVG: columns over time, and bars in parts. Pure arithmetic.

Each chart stands beside a table with the same figures, which is what a keyboard and a screen reader walk through; the
marks are links for whoever points. Nothing is told by colour alone: marks carry their figure, or stand in the order of
the table's columns.
"""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 480.0, 132.0
TOP, BASE = 22.0, 108.0  # room for the figures above the columns, and for names below
MOST_LABELLED = 10  # with more columns their figures would touch
NAMES = 7


class Point(NamedTuple):
    """One column. `value` of nothing is a gap with a dot; `text` is its figure, `title` all there is to say."""

    name: str
    value: float | None
    text: str
    title: str
    href: str | None = None


class Column(NamedTuple):
    """A drawn point, in units of the view box; `name` and `text` are empty where there is no room for them."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    name: str
    text: str
    title: str
    href: str | None
    is_gap: bool


class Columns(NamedTuple):
    """A chart of columns; `summary` says in a sentence what it shows."""

    columns: list[Column]
    title: str
    summary: str
    width: float = WIDTH
    height: float = HEIGHT
    top: float = TOP
    base: float = BASE


class Part(NamedTuple):
    """A part of a bar, in percent of the longest; `number` says which part it is, from 0."""

    x: float
    width: float
    number: int
    title: str
    href: str | None


def columns(title: str, points: Sequence[Point], *, most: float | None = None) -> Columns:
    """Columns from a common base. `most` is what the full height stands for; by default the highest value."""
    known = [point for point in points if point.value is not None]
    full = most if most is not None else max((point.value or 0.0 for point in known), default=0.0)
    slot = WIDTH / max(len(points), 1)
    width = min(slot * 0.62, 44.0)
    every = -(-len(points) // NAMES)
    drawn = []
    for number, point in enumerate(points):
        share = min(max((point.value or 0.0) / full, 0.0), 1.0) if full else 0.0
        # A value of nothing much is still a mark that can be seen and pressed.
        height = max(share * (BASE - TOP), 1.5) if point.value is not None else 0.0
        drawn.append(
            Column(
                x=round(slot * number + (slot - width) / 2, 2),
                y=round(BASE - height, 2),
                width=round(width, 2),
                height=round(height, 2),
                middle=round(slot * (number + 0.5), 2),
                # Counted from the end, so that the newest is always named.
                name=point.name if (len(points) - 1 - number) % every == 0 else "",
                text=point.text if len(points) <= MOST_LABELLED and point.value is not None else "",
                title=point.title,
                href=point.href,
                is_gap=point.value is None,
            )
        )
    return Columns(drawn, title, _summary(points, known))


def _summary(points: Sequence[Point], known: Sequence[Point]) -> str:
    if not known:
        return "Nothing was counted in this period."
    high = max(known, key=lambda point: point.value or 0.0)
    low = min(known, key=lambda point: point.value or 0.0)
    return (
        f"{len(points)} columns from {points[0].name} to {points[-1].name}: lowest {low.text} on {low.name}, "
        f"highest {high.text} on {high.name}. The table says the same."
    )


def parts(counts: Sequence[tuple[int, str, str | None]], most: int) -> list[Part]:
    """A bar in parts, each of (count, title, href), beside others of which the longest has `most`. Empty parts are
    left out.
    """
    drawn = []
    at = 0.0
    for number, (count, title, href) in enumerate(counts):
        width = 100.0 * count / most if most else 0.0
        if count:
            drawn.append(Part(round(at, 2), round(width, 2), number, title, href))
        at += width
    return drawn
