"""The first page: what needs somebody now, what happened today, what comes back. Each figure leads to its cases."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from domain.case import CASE_STATES
from domain.case_kinds import KINDS
from domain.journey_kinds import JOURNEY_KINDS
from domain.people import Person
from ledger.reads import first_page, overview
from ledger.reads.case_filter import CaseFilter
from ledger.reads.cases import count_cases
from ledger.reads.journeys import under_way
from ledger.reads.places import all_places, item_names, zone_of
from web.console.queue import TABS, filter_of_tab
from web.pages import ConsoleRoute, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
COUNT_CAP = 1000
RECURS_WITHIN = timedelta(days=30)


@router.get("/")
async def show(request: Request, person: SignedIn) -> Response:
    """What a day looks like, each figure with the way to its cases; who only handles goods begins in the store."""
    if person.only_handles_goods:
        return RedirectResponse("/store", status_code=303)
    now = datetime.now(UTC)
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        today = start_of_day(now, zone)
        stories = await first_page.stories(conn, person)
        broken = CaseFilter(kind=",".join(first_page.BROKEN_PROMISE), opened_from=today)
        healed = CaseFilter(state="cancelled", closed_from=today)
        paid: dict[str, int] = defaultdict(int)
        for refund in await first_page.refunds(conn, person, today):
            paid[refund.currency] += refund.amount_minor
        context = {
            "person": person,
            "section": "home",
            "stories": stories,
            "zone": zone,
            "today": today,
            "broken_kinds": first_page.BROKEN_PROMISE,
            "broken": await count_cases(conn, person, broken, cap=COUNT_CAP),
            "healed": await count_cases(conn, person, healed, cap=COUNT_CAP),
            "decided": await first_page.decided_by_people(conn, person, today),
            "refunded": sorted(paid.items()),
            "kept": await overview.kept(conn, person, today),
            **await _open_now(conn, person, now),
            "under_way": [
                (kind, await under_way(conn, person, kind.kind, cap=COUNT_CAP)) for kind in JOURNEY_KINDS.values()
            ],
            "cap": COUNT_CAP,
            "tabs": [
                (tab, await count_cases(conn, person, filter_of_tab(tab.slug, person, now, today))) for tab in TABS
            ],
            "places": await all_places(conn),
        }
    return page(request, "home.html", context)


async def _open_now(conn: Any, person: Person, now: datetime) -> dict[str, Any]:
    """Open cases as the lists people watch, by kind and age, and where trouble keeps coming back."""
    found = await overview.open_cases(conn, person, now)
    kinds = overview.by_kind(found)
    watched = []
    for title, of_kinds in overview.WATCHED:
        known = [kind for kind in of_kinds if kind in KINDS]
        here = [one for kind in known for one in kinds.get(kind, [])]
        if known:  # a list that nothing can fill would say that all is well
            places: dict[str, int] = defaultdict(int)
            for one in here:
                places[one.location] += one.cases
            watched.append((title, ",".join(known), sorted(places.items(), key=lambda one: (-one[1], one[0]))))
    since = now - RECURS_WITHIN
    again = await overview.recurring(conn, person, since)
    return {
        "watched": watched,
        "by_kind": sorted(((kind, _sums(rows)) for kind, rows in kinds.items()), key=lambda one: -one[1]["cases"]),
        "titles": {kind: known.title for kind, known in KINDS.items()},
        "recurring": again,
        "names": await item_names(conn, {one.sku for one in again}),
        "every_state": ",".join(CASE_STATES),
        "troubled": await overview.troubled(conn, person, since),
        "recurs_days": RECURS_WITHIN.days,
    }


def _sums(rows: list[overview.Open]) -> dict[str, Any]:
    """A kind over all places: how many, how many older than each age, the oldest, the value by currency."""
    value: dict[str, int] = defaultdict(int)
    for one in rows:
        value[one.currency] += one.value_minor
    return {
        "cases": sum(one.cases for one in rows),
        "older": [sum(counts) for counts in zip(*(one.older for one in rows), strict=True)],
        "oldest_at": min(one.oldest_at for one in rows),
        "value": sorted((currency, amount) for currency, amount in value.items() if amount),
    }


@router.get("/console/refunds")
async def refunds(request: Request, person: SignedIn) -> Response:
    """The refunds behind today's figure."""
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        today = start_of_day(datetime.now(UTC), zone)
        found = await first_page.refunds(conn, person, today)
        places = await all_places(conn)
    context = {"person": person, "section": "home", "refunds": found, "zone": zone, "today": today, "places": places}
    return page(request, "refunds.html", context)
