"""The first page: stories worth opening, what happened today, and the ways into the queues."""

from collections import defaultdict
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ledger.reads import first_page
from ledger.reads.cases import CaseFilter, count_cases
from ledger.reads.places import all_places, zone_of
from web.console.queue import TABS, filter_of_tab
from web.pages import ConsoleRoute, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
COUNT_CAP = 1000


@router.get("/")
async def show(request: Request, person: SignedIn) -> Response:
    """What a day looks like, each figure with the way to its cases."""
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
            "cap": COUNT_CAP,
            "tabs": [
                (tab, await count_cases(conn, person, filter_of_tab(tab.slug, person, now, today))) for tab in TABS
            ],
            "places": await all_places(conn),
        }
    return page(request, "home.html", context)


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
