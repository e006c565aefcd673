"""The figures over a period, taken apart by one dimension; every group leads to the orders or cases behind it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.case import CASE_STATES
from domain.kpi import Dimension
from ledger.reads.kpis import Period, kpis
from ledger.reads.places import all_places, zone_of
from web.pages import ConsoleRoute, address, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
USUAL_DAYS = 7
KNOWN = ("from", "until", "by")


def read_period(query: Mapping[str, str], now: datetime, zone: str) -> tuple[date, date, list[str]]:
    """First and last day, both included, in the reader's zone; and what of the address was not understood."""
    today = start_of_day(now, zone).astimezone(ZoneInfo(zone)).date()
    unknown = [f"{name}={value}" for name, value in query.items() if name not in KNOWN]
    days = {}
    for name in ("from", "until"):
        try:
            days[name] = _day(query[name]) if query.get(name) else None
        except ValueError:
            unknown.append(f"{name}={query[name]}")
            days[name] = None
    last = min(days["until"] or today, today)
    first = days["from"] or last - timedelta(days=USUAL_DAYS - 1)
    return first, last, unknown


def _day(text: str) -> date:
    """Raises `ValueError` also for a year so far away that its week or its zone would leave the calendar."""
    day = date.fromisoformat(text)
    if not 2000 <= day.year <= 2100:
        raise ValueError(text)
    return day


def way_to_cases(by: Dimension, group: str) -> str | None:
    """The cases of a group, where the queue can be narrowed to it."""
    fields = {Dimension.REGION: "region", Dimension.LOCATION: "location"}
    if by not in fields or not group:
        return None
    return address("/console/queue", {fields[by]: group, "state": ",".join(CASE_STATES)})


@router.get("/console/figures")
async def show(request: Request, person: SignedIn) -> Response:
    """Each figure with its definition, as a table whose bars say the same."""
    now = datetime.now(UTC)
    wanted = request.query_params.get("by", Dimension.REGION)
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        first, last, unknown = read_period(request.query_params, now, zone)
        if wanted not in set(Dimension):
            unknown.append(f"by={wanted}")
            wanted = Dimension.REGION
        by = Dimension(wanted)
        period = Period(_midnight(first, zone), min(_midnight(last + timedelta(days=1), zone), now))
        figures = await kpis(conn, person, period, by)
        context: dict[str, Any] = {"places": await all_places(conn)}
    context |= {
        "person": person,
        "section": "home",
        "figures": figures,
        "by": by,
        "dimensions": list(Dimension),
        "first": first,
        "last": last,
        "zone": zone,
        "unknown": unknown,
        "way_to_cases": way_to_cases,
    }
    return page(request, "figures.html", context)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
