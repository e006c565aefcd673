"""The figures over a period: their course as charts, taken apart by one dimension; every mark and every group leads to
the cases behind it.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.case import CASE_STATES
from domain.kpi import Dimension, Kpi, Step
from domain.words import money, span
from ledger.reads.kpis import Figure, KpiFigures, Period, kpis
from ledger.reads.overrides import askers
from ledger.reads.places import all_places, zone_of
from web import charts
from web.console.spans import days
from web.pages import ConsoleRoute, address, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
USUAL_DAYS = 7
KNOWN = ("from", "until", "by", "per")
STEPS: tuple[Step, ...] = ("day", "week")
# How the queue is narrowed to a group; what it has no filter for leads to no cases.
FILTER_OF = {
    Dimension.REGION: "region",
    Dimension.LOCATION: "location",
    Dimension.CHANNEL: "channel",
    Dimension.CATEGORY: "category",
}


def read_period(query: Mapping[str, str], now: datetime, zone: str) -> tuple[date, date, list[str]]:
    """First and last day, both included, in the reader's zone; and what of the address was not understood."""
    today = start_of_day(now, zone).astimezone(ZoneInfo(zone)).date()
    unknown = [f"{name}={value}" for name, value in query.items() if name not in KNOWN]
    found = {}
    for name in ("from", "until"):
        try:
            found[name] = _day(query[name]) if query.get(name) else None
        except ValueError:
            unknown.append(f"{name}={query[name]}")
            found[name] = None
    last = min(found["until"] or today, today)
    first = found["from"] or last - timedelta(days=USUAL_DAYS - 1)
    return first, last, unknown


def _day(text: str) -> date:
    """Raises `ValueError` also for a year so far away that its week or its zone would leave the calendar."""
    day = date.fromisoformat(text)
    if not 2000 <= day.year <= 2100:
        raise ValueError(text)
    return day


def written(kpi: Kpi, value: float | None, currency: str | None = None) -> str:
    """A figure as people read it, with its unit; a dash for nothing."""
    if value is None:
        return "–"
    if kpi.unit == "share":
        return f"{100 * value:.1f} %"
    if kpi.unit == "seconds":
        if value < 60:
            return f"{value:.0f} s" if value >= 1 or not value else "under 1 s"
        return span(timedelta(seconds=value))
    if kpi.unit == "money":
        return money(round(value), currency or "")
    return f"{value:.1f}"


def way_to_cases(kpi: Kpi, first: date, last: date, by: Dimension | None = None, group: str = "") -> str | None:
    """The cases behind a figure in these days, of a group where the queue can be narrowed to it."""
    fields = {"kind": ",".join(kpi.behind), "state": ",".join(CASE_STATES), kpi.looked_up_by: days(first, last)}
    if kpi.looked_up_by == "closed":
        del fields["state"]
    if by is not None:
        if by not in FILTER_OF or not group:
            return None
        fields[FILTER_OF[by]] = group
    return address("/console/queue", fields)


def course(found: KpiFigures, per: Step, first: date, last: date) -> charts.Columns:
    """The course of a figure as columns, each with its way to the cases of its days."""
    points = []
    for one in found.course:
        begin = date.fromisoformat(one.group)
        end = min(begin + timedelta(days=6 if per == "week" else 0), last)
        text = written(found.kpi, one.value, one.currency)
        name = f"{begin.day} {begin:%b}"
        title = f"{'Week from ' if per == 'week' else ''}{begin:%a} {name}: {text}, n = {one.n}"
        points.append(charts.Point(name, one.value, text, title, way_to_cases(found.kpi, max(begin, first), end)))
    return charts.columns(f"{found.kpi.title} by {per}", points, most=1.0 if found.kpi.unit == "share" else None)


@router.get("/console/figures")
async def show(request: Request, person: SignedIn) -> Response:
    """Each figure with its definition and its course, and a table that says the same."""
    now = datetime.now(UTC)
    query = request.query_params
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        first, last, unknown = read_period(query, now, zone)
        wanted = query.get("by", Dimension.REGION)
        if wanted not in set(Dimension):
            unknown.append(f"by={wanted}")
            wanted = Dimension.REGION
        by = Dimension(wanted)
        step = next((one for one in STEPS if one == query.get("per")), None)
        if query.get("per") and step is None:
            unknown.append(f"per={query['per']}")
        per: Step = step or ("day" if (last - first).days < 31 else "week")
        period = Period(_midnight(first, zone), min(_midnight(last + timedelta(days=1), zone), now))
        found = await kpis(conn, person, period, by, zone=zone, per=per)
        context: dict[str, Any] = {
            "places": await all_places(conn),
            "askers": await askers(conn, person, period.start, period.end),
        }
    context |= {
        "person": person,
        "section": "figures",
        "figures": [(one, course(one, per, first, last)) for one in found if one.whole.n],
        "uncounted": [one.kpi for one in found if not one.whole.n],
        "by": by,
        "per": per,
        "dimensions": list(Dimension),
        "steps": STEPS,
        "first": first,
        "last": last,
        "zone": zone,
        "unknown": unknown,
        "written": written,
        "most": most,
        "way_to_cases": way_to_cases,
    }
    return page(request, "figures.html", context)


def most(kpi: Kpi, groups: list[Figure]) -> float:
    """What a full bar beside a group stands for."""
    return 1.0 if kpi.unit == "share" else max((one.value or 0.0 for one in groups), default=0.0)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
