"""How rows become a figure: the whole, its groups by a dimension, and its course by day or week.

A source gives the rows that count over a period; this module knows no figure by name.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from sqlalchemy import CTE, ColumnElement, Date, Integer, case, cast, func, literal, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed
from domain.kpi import Dimension, Kpi, Step
from domain.people import Person
from ledger.tables import item, journey, journey_line

LONGEST = timedelta(days=366)
PERCENTILES = (0.5, 0.9, 0.95)


class Figure(BaseModel):
    """`n` is what was counted; a `value` of nothing is null, never 0.

    `group` is a group of the dimension, or the first day (ISO) of a step of the course. `p90` and `p95` come with
    seconds, `currency` with money only.
    """

    group: str
    n: int
    value: float | None
    p90: float | None = None
    p95: float | None = None
    currency: str | None = None


class KpiFigures(BaseModel):
    """One figure over the whole period; by each group of the dimension asked for, largest first (none where it cannot
    be taken apart so); and its course, with every day or week of the period. Money of several currencies has neither
    a whole nor a course: its groups stand by currency.
    """

    kpi: Kpi
    whole: Figure
    groups: list[Figure]
    course: list[Figure]


class Period(NamedTuple):
    """From (inclusive) until (exclusive)."""

    start: datetime
    end: datetime

    def checked(self) -> "Period":
        """Raises `Malformed` for an empty period or one longer than a year."""
        if self.end <= self.start:
            raise Malformed("The period ends before it begins: give `until` later than `from`.", pointer="/until")
        if self.end - self.start > LONGEST:
            raise Malformed(f"A period has {LONGEST.days} days at most; ask for shorter ones.", pointer="/from")
        return self

    def holds(self, at: ColumnElement[Any]) -> ColumnElement[bool]:
        return (at >= self.start) & (at < self.end)

    def steps(self, zone: str, per: Step) -> list[date]:
        """The first day of each day or week (from Monday) that has a part in the period, in the reader's zone."""
        day = self.start.astimezone(ZoneInfo(zone)).date()
        last = (self.end - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
        if per == "week":
            day -= timedelta(days=day.weekday())
        length = timedelta(days=7 if per == "week" else 1)
        return [day + number * length for number in range((last - day) // length + 1)]


class Rows(NamedTuple):
    """What counts: rows with `journey_id`, `region`, `location`, the true instant `at`, maybe `category`, `source` and
    `currency`; and the aggregates that make up value, p90 and p95.
    """

    rows: CTE
    value: Sequence[ColumnElement[Any]]


Source = Callable[[Person | None, Period], Rows]


def share(rows: CTE, good: ColumnElement[bool], of: int = 1) -> Rows:
    """How many of the rows are good: of all, or of a thousand."""
    return Rows(rows, [func.count().filter(good) * float(of) / func.nullif(func.count(), 0)])


def seconds(rows: CTE, column: ColumnElement[Any]) -> Rows:
    """Median, 90th and 95th percentile."""
    return Rows(rows, [func.percentile_cont(one).within_group(column) for one in PERCENTILES])


def total(rows: CTE, amount: ColumnElement[Any]) -> Rows:
    """A sum of money; the rows have a `currency`."""
    return Rows(rows, [func.sum(amount)])


def true_time(at: ColumnElement[Any], offset_s: ColumnElement[Any]) -> ColumnElement[Any]:
    """An instant of a journey's own clock less what a demo moved it on."""
    return at - func.make_interval(0, 0, 0, 0, 0, 0, cast(func.coalesce(offset_s, 0), Integer))


async def figures(
    conn: AsyncConnection, kpi: Kpi, counted: Rows, period: Period, by: Dimension, zone: str, per: Step
) -> KpiFigures:
    """One figure of the rows. `zone` is the reader's: days begin there."""
    rows = counted.rows
    currency = rows.c.currency if "currency" in rows.c else null()
    keyed = [currency] if "currency" in rows.c else []
    day = cast(func.date_trunc(literal(per), func.timezone(literal(zone), rows.c.at)), Date)
    columns = [func.count(), *counted.value, *([null()] * (3 - len(counted.value)))]
    # One statement for whole and course: the row without a day is the whole.
    found = [
        _figure(row)
        for row in await conn.execute(
            select(day, currency, *columns)
            .select_from(rows)
            .group_by(func.rollup(day), *keyed)
            .having(func.count() > 0)
        )
    ]
    whole = [one for one in found if one.group == ""]
    dated = {one.group: one for one in found} if len(whole) == 1 else {}
    groups = []
    if by in kpi.dimensions:
        group, source = grouped(rows, by)
        query = select(group, currency, *columns).select_from(source).group_by(group, *keyed)
        groups = [_figure(row) for row in await conn.execute(query)]
    return KpiFigures(
        kpi=kpi,
        whole=whole[0] if len(whole) == 1 else Figure(group="", n=sum(one.n for one in whole), value=None),
        groups=sorted(groups, key=lambda one: (-one.n, one.group, one.currency or "")),
        course=[
            dated.get(one.isoformat(), Figure(group=one.isoformat(), n=0, value=None))
            for one in (period.steps(zone, per) if len(whole) <= 1 else ())
        ],
    )


def _figure(row: Any) -> Figure:
    numbers = [None if one is None else float(one) for one in row[3:]]
    group = row[0].isoformat() if isinstance(row[0], date) else row[0] or ""
    return Figure(group=group, currency=row[1], n=row[2], value=numbers[0], p90=numbers[1], p95=numbers[2])


def grouped(rows: CTE, by: Dimension) -> tuple[ColumnElement[Any], Any]:
    """The column to group by, and the rows with whatever has to stand beside them for it."""
    if by.value in rows.c:
        return func.coalesce(rows.c[by.value], ""), rows
    if by is Dimension.CATEGORY:
        lines = (
            select(journey_line.c.journey_id, item.c.category)
            .join(item, item.c.sku == journey_line.c.sku)
            .where(journey_line.c.journey_id.in_(select(rows.c.journey_id)))
            .distinct()
            .subquery()
        )
        return func.coalesce(lines.c.category, ""), rows.join(
            lines, lines.c.journey_id == rows.c.journey_id, isouter=True
        )
    beside = rows.join(journey, journey.c.id == rows.c.journey_id, isouter=True)
    if by is Dimension.CHANNEL:
        return func.coalesce(journey.c.channel, ""), beside
    way = case(
        (journey.c.id.is_(None) | (journey.c.kind != "bopis"), ""),
        (journey.c.state == "shipped", "ship_to_home"),
        (journey.c.detail.has_key("moved_from"), "other_store"),
        else_="pickup",
    )
    return way, beside
