"""How rows become a figure: the whole, its groups by a dimension, and its course by day or week.

A source gives the rows that count over a period; this module knows no figure by name.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel
from sqlalchemy import CTE, ColumnElement, Date, Integer, case, cast, func, literal, null, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import Malformed
from domain.kpi import Dimension, Kpi, Step
from domain.people import Person
from ledger.tables import item, journey, journey_line

LONGEST = timedelta(days=366)
PERCENTILES = (0.5, 0.9, 0.95)
# What a row of the statement is of, by which of day and group it leaves out.
_DAY, _GROUP, _WHOLE = 1, 2, 3


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

    def may_hold(self, at: ColumnElement[Any]) -> ColumnElement[bool]:
        """Of an instant of a journey's own clock, or one that is later still: a demo only moves clocks on, so the true
        instant is never later. It leaves out no row of the period, and an index can be asked for it.
        """
        return at >= self.start

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
    # The rows are looked for once, for the whole, the course and the groups; a group for which more has to stand beside
    # each row is asked for by itself.
    group, source = grouped(rows, by) if by in kpi.dimensions else (null(), rows)
    is_beside = by in kpi.dimensions and source is rows
    ways = [tuple_(), tuple_(day), *([tuple_(group)] if is_beside else [])]
    which = func.grouping(day, group) if is_beside else func.grouping(day) * 2 + 1
    query = select(which, day, group if is_beside else null(), currency, *columns).select_from(rows)
    query = query.group_by(func.grouping_sets(*ways), *keyed).having(func.count() > 0)
    found = (await conn.execute(query)).all()
    whole = [_figure("", row[3:]) for row in found if row[0] == _WHOLE]
    dated = {row[1].isoformat(): _figure(row[1].isoformat(), row[3:]) for row in found if row[0] == _DAY}
    groups = [_figure(row[2] or "", row[3:]) for row in found if row[0] == _GROUP]
    if by in kpi.dimensions and not is_beside:
        query = select(group, currency, *columns).select_from(source).group_by(group, *keyed)
        groups = [_figure(row[0] or "", row[1:]) for row in await conn.execute(query)]
    return KpiFigures(
        kpi=kpi,
        whole=whole[0] if len(whole) == 1 else Figure(group="", n=sum(one.n for one in whole), value=None),
        groups=sorted(groups, key=lambda one: (-one.n, one.group, one.currency or "")),
        course=[
            dated.get(one.isoformat(), Figure(group=one.isoformat(), n=0, value=None))
            for one in (period.steps(zone, per) if len(whole) <= 1 else ())
        ],
    )


def _figure(group: str, counted: Sequence[Any]) -> Figure:
    """Out of currency, number, value and percentiles."""
    numbers = [None if one is None else float(one) for one in counted[2:]]
    return Figure(group=group, currency=counted[0], n=counted[1], value=numbers[0], p90=numbers[1], p95=numbers[2])


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
