"""Reads of the figures that `domain/kpi.py` defines, over a period, whole and taken apart by one dimension.

Instants are compared on each journey's own clock less what a demo moved it on, so a skipped hour belongs to the moment
at which somebody skipped it.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    and_,
    case,
    cast,
    exists,
    extract,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.bopis import BopisState
from domain.errors import Malformed
from domain.kpi import KPIS, Dimension, Kpi
from domain.people import Person
from ledger.reads.access import visible
from ledger.tables import approval, case_file, item, journey, journey_line, journey_step

LONGEST = timedelta(days=366)


class Figure(BaseModel):
    """`n` is what was counted; a `value` of nothing is null, never 0. `p90` comes with seconds only."""

    group: str
    n: int
    value: float | None
    p90: float | None = None


class KpiFigures(BaseModel):
    """One figure over the whole period, and by each group of the dimension asked for, largest first."""

    kpi: Kpi
    whole: Figure
    groups: list[Figure]


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


async def kpis(conn: AsyncConnection, viewer: Person | None, period: Period, by: Dimension) -> list[KpiFigures]:
    """Every figure for what the viewer may see. Raises `Malformed` for a period that is none."""
    period.checked()
    found = []
    for kpi in KPIS:
        rows, measures = _SOURCES[kpi.name](viewer, period)
        whole = await _figures(conn, rows, measures, None)
        groups = await _figures(conn, rows, measures, by)
        found.append(
            KpiFigures(
                kpi=kpi,
                whole=whole[0] if whole else Figure(group="", n=0, value=None),
                groups=sorted(groups, key=lambda one: (-one.n, one.group)),
            )
        )
    return found


class Measures(NamedTuple):
    """Which column of the rows counts: whether a row is good (a share), or its seconds."""

    column: ColumnElement[Any]
    unit: str


async def _figures(conn: AsyncConnection, rows: CTE, measures: Measures, by: Dimension | None) -> list[Figure]:
    group, source = _grouped(rows, by)
    if measures.unit == "share":
        good = func.count().filter(measures.column)
        columns = [group.label("grp"), func.count(), good * 1.0 / func.count(), literal(None)]
    else:
        at = [func.percentile_cont(share).within_group(measures.column) for share in (0.5, 0.9)]
        columns = [group.label("grp"), func.count(), *at]
    query = select(*columns).select_from(source).group_by(group)
    return [
        Figure(group=row[0] or "", n=row[1], value=_number(row[2]), p90=_number(row[3]))
        for row in await conn.execute(query)
        if row[1]
    ]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _grouped(rows: CTE, by: Dimension | None) -> tuple[ColumnElement[Any], Any]:
    """The column to group by, and the rows with whatever has to stand beside them for it."""
    if by is None:
        return literal(""), rows
    if by in (Dimension.REGION, Dimension.LOCATION):
        return rows.c[by.value], rows
    if by is Dimension.CATEGORY and "category" in rows.c:
        return rows.c.category, rows
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
        (journey.c.id.is_(None), ""),
        (journey.c.state == "shipped", "ship_to_home"),
        (journey.c.detail.has_key("moved_from"), "other_store"),
        else_="pickup",
    )
    return way, beside


def _cancelled_by_customer(journey_id: ColumnElement[Any], state: ColumnElement[Any]) -> ColumnElement[bool]:
    asked = exists().where(journey_step.c.journey_id == journey_id, journey_step.c.step == "cancelled")
    return and_(state == BopisState.CANCELLED, asked)


def _fallout(viewer: Person | None, period: Period) -> tuple[CTE, Measures]:
    needed = exists().where(
        case_file.c.journey_id == journey.c.id,
        or_(case_file.c.closed_at.is_(None), case_file.c.state == "resolved"),
    )
    rows = (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            or_(needed, journey.c.state == BopisState.CANCELLED).label("fell"),
        )
        .where(
            journey.c.kind == "bopis",
            journey.c.opened_at >= period.start,
            journey.c.opened_at < period.end,
            ~_cancelled_by_customer(journey.c.id, journey.c.state),
            visible(journey.c, viewer),
        )
        .cte("placed")
    )
    return rows, Measures(rows.c.fell, "share")


def _readiness(viewer: Person | None, period: Period) -> tuple[CTE, Measures]:
    own = journey.c.promised_at - _offset(journey.c.clock_offset_s)
    late = exists().where(
        journey_step.c.journey_id == journey.c.id,
        journey_step.c.step == "picked",
        journey_step.c.at > journey.c.promised_at,
    )
    ended = journey.c.closed_at.is_not(None)
    ready = and_(
        journey_line.c.picked >= journey_line.c.ordered,
        journey_line.c.cancelled == 0,
        ~late,
        or_(~ended, journey_line.c.collected == journey_line.c.ordered),
    )
    rows = (
        select(
            journey.c.id.label("journey_id"),
            journey.c.region,
            journey.c.location,
            item.c.category,
            ready.label("ready"),
        )
        .join(journey_line, journey_line.c.journey_id == journey.c.id)
        .join(item, item.c.sku == journey_line.c.sku)
        .where(
            journey.c.kind == "bopis",
            own >= period.start,
            own < period.end,
            journey.c.state != BopisState.EXPIRED,
            ~_cancelled_by_customer(journey.c.id, journey.c.state),
            visible(journey.c, viewer),
        )
        .cte("due_lines")
    )
    return rows, Measures(rows.c.ready, "share")


def _approval_time(viewer: Person | None, period: Period) -> tuple[CTE, Measures]:
    given = approval.c.decided_at - _offset(approval.c.clock_offset_s)
    rows = (
        select(
            approval.c.journey_id,
            approval.c.region,
            approval.c.location,
            extract("epoch", approval.c.decided_at - approval.c.opened_at).label("seconds"),
        )
        .where(
            approval.c.state.in_(("approved", "rejected")),
            given >= period.start,
            given < period.end,
            visible(approval.c, viewer),
        )
        .cte("verdicts")
    )
    return rows, Measures(rows.c.seconds, "seconds")


def _in_time(viewer: Person | None, period: Period) -> tuple[CTE, Measures]:
    known = func.least(case_file.c.closed_at, case_file.c.unresolved_due_at) - _offset(case_file.c.clock_offset_s)
    rows = (
        select(
            case_file.c.journey_id,
            case_file.c.region,
            case_file.c.location,
            func.coalesce(case_file.c.closed_at <= case_file.c.unresolved_due_at, literal(value=False)).label("met"),
        )
        .where(
            case_file.c.unresolved_due_at.is_not(None),
            known >= period.start,
            known < period.end,
            visible(case_file.c, viewer),
        )
        .cte("cases_due")
    )
    return rows, Measures(rows.c.met, "share")


def _offset(seconds: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, cast(seconds, Integer))


_SOURCES = {
    "order_fallout": _fallout,
    "pickup_readiness": _readiness,
    "approval_time": _approval_time,
    "resolution_sla": _in_time,
}
