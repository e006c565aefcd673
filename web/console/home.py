"""The first page: what needs somebody now, what happened today, what comes back. Each figure leads to its cases.

What stands on it, and in which order, depends on the reader's role.
"""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from domain.people import Person
from ledger.reads import first_page, overview
from ledger.reads.places import all_places, zone_of
from web.console.home_sections import SECTIONS, Moment
from web.pages import ConsoleRoute, page, start_of_day
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
OPERATIONS = ("answers", "strip", "stories", "queues", "under_way", "promotions", "coming", "watched", "kinds", "again")
# Who has several roles gets the page of the first of them here; every other role that of operations.
HOMES: dict[str, tuple[str, ...]] = {
    "admin": OPERATIONS,
    "regional_ops": OPERATIONS,
    "finance": ("approvals", "owned", "strip", "stories", "queues", "promotions", "coming", "kinds"),
    "merchandiser": ("approvals", "owned", "promotions", "queues", "coming", "strip", "stories", "kinds"),
    "integration_owner": ("answers", "feeds", "owned", "queues", "watched", "coming"),
    "store_manager": ("floor", "approvals", "stories", "queues", "under_way", "coming", "kinds", "again", "strip"),
    "auditor": ("strip", "decided", "under_way", "kinds", "again"),
}


def role_at_home(person: Person) -> str:
    """The role whose page somebody begins with."""
    return next((role for role in HOMES if person.has_role(role)), "regional_ops")


@router.get("/")
async def show(request: Request, person: SignedIn) -> Response:
    """What a day looks like, each figure with the way to its cases; who only handles goods begins in the store."""
    if person.only_handles_goods:
        return RedirectResponse("/store", status_code=303)
    role = role_at_home(person)
    sections = ("mentions", *HOMES[role])  # whoever is spoken to reads that first
    now = datetime.now(UTC)
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        moment = Moment(now, zone, start_of_day(now, zone), role)
        context = {
            "person": person,
            "section": "home",
            "zone": zone,
            "today": moment.today,
            "places": await all_places(conn),
            "sections": sections,
        }
        for name in sections:
            context |= await SECTIONS[name](conn, person, moment)
    return page(request, "home.html", context)


@router.get("/console/refunds")
async def refunds(request: Request, person: SignedIn) -> Response:
    """The refunds behind today's figure."""
    async with database_of(request).read() as conn:
        zone = await zone_of(conn, person)
        today = start_of_day(datetime.now(UTC), zone)
        found = await first_page.refunds(conn, person, today)
        sums = await overview.refunded(conn, person, today)
        places = await all_places(conn)
    context = {
        "person": person,
        "section": "more",
        "refunds": found,
        "sums": sums,
        "zone": zone,
        "today": today,
        "places": places,
    }
    return page(request, "refunds.html", context)
