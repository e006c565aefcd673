"""Journeys: the list of a kind, and one with its way, lines, timeline, movements and postings; the demo's time skip."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, NotFound
from domain.journey_kinds import JOURNEY_KINDS, journey_page
from domain.people import Person
from ledger import journeys
from ledger.reads.journeys import JourneyDetail, JourneyFilter, journey_detail, list_journeys
from ledger.reads.places import all_places, item_names, visible_places, zone_of
from ledger.reads.records import PostingRow
from web.console.list_address import read_address
from web.console.workflow import workflow_link
from web.journeys import due_of, parts_of
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
SKIP = timedelta(hours=3)
SAYS: dict[str, Callable[[str], bool]] = {
    **dict.fromkeys(("kind", "state", "location", "region", "key", "sku", "text"), bool),
    "kind": JOURNEY_KINDS.__contains__,
}


class Entry(NamedTuple):
    """One journal entry: its lines and their sums, which are equal or the page says so."""

    journal_id: int
    lines: Sequence[PostingRow]
    debit_minor: int
    credit_minor: int


def entries(postings: Sequence[PostingRow]) -> list[Entry]:
    """Posting lines grouped into their journal entries, in the order of the journal."""
    found = []
    for journal_id, group in groupby(postings, key=lambda line: line.journal_id):
        lines = list(group)
        found.append(
            Entry(journal_id, lines, sum(line.debit_minor for line in lines), sum(line.credit_minor for line in lines))
        )
    return found


@router.get("/console/journeys")
async def show_list(request: Request, person: SignedIn) -> Response:
    """Journeys of one kind (orders, unless the address names another), newest first, narrowed by what it says."""
    given, unknown = read_address(request.query_params, SAYS)
    kind = JOURNEY_KINDS[given.get("kind", "bopis")]
    if not kind.list_page.startswith("/console/journeys"):
        return see(request, kind.list_page)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_journeys(
            conn, person, JourneyFilter.model_validate({**given, "kind": kind.kind}), cursor=cursor, limit=50
        )
        context: dict[str, Any] = {
            "places": await all_places(conn),
            "choices": await visible_places(conn, person),
            "zone": await zone_of(conn, person),
        }
    context |= {
        "person": person,
        "section": kind.section,
        "kind": kind,
        "journeys": found.items,
        "given": given,
        "narrowed": given.keys() - {"kind"},
        "unknown": unknown,
        "cursor": cursor,
        "first_page": address("/console/journeys", given),
        "next_page": address("/console/journeys", {**given, "cursor": found.next}) if found.next else None,
    }
    return page(request, "journeys/list.html", context)


async def shown(request: Request, conn: AsyncConnection, person: Person, journey: JourneyDetail) -> dict[str, Any]:
    """What the page of any kind of journey shows; its template is `journeys/<kind>/page.html`."""
    places = await all_places(conn)
    skus = {row.sku for row in journey.movements} | {line.sku for line in journey.postings if line.sku}
    names = await item_names(conn, skus)
    found = entries(journey.postings)
    own_now = datetime.now(UTC) + timedelta(seconds=journey.clock_offset_s)
    kind = JOURNEY_KINDS[journey.kind]
    return {
        "person": person,
        "section": kind.section,
        "kind": kind,
        "journey": journey,
        "stages": kind.progress(journey.state),
        "places": places,
        "names": {**names, **{line.sku: line.name for line in journey.lines}},
        "zone": places[journey.location].time_zone if journey.location in places else "UTC",
        "entries": found,
        "uneven": sum(entry.debit_minor != entry.credit_minor for entry in found),
        "due_of": due_of,
        "own_now": own_now,
        "workflow": workflow_link(request, person, journey.id),
        "may_skip": request.app.state.settings.demo and journey.closed_at is None and may_act(person, journey),
        "passes": list(dict.fromkeys(due_of(journey.id, due.name) for due in journey.dues if due.at <= own_now + SKIP)),
        "skip_h": int(SKIP.total_seconds() // 3600),
        "refusal": None,
    }


async def show_one(
    request: Request, person: Person, journey_id: str, *, refused: DomainError | None = None
) -> Response:
    """The page of one journey; some kinds have an address of their own. Raises `NotFound`, also in another region."""
    async with database_of(request).read() as conn:
        journey = await journey_detail(conn, person, journey_id)
        if not JOURNEY_KINDS[journey.kind].page.startswith("/console/journeys"):
            return see(request, journey_page(journey_id))
        context = await shown(request, conn, person, journey)
        context |= await parts_of(journey_id).details(conn, person, journey)
    context["refusal"] = refused
    status = STATUS_OF_FAMILY[refused.family] if refused else 200
    return page(request, f"journeys/{journey.kind}/page.html", context, status=status)


def may_act(person: Person, journey: JourneyDetail) -> bool:
    return person.may_decide(journey.entity, journey.region, journey.location)


@router.post("/console/journeys/{journey_id:path}/skip")
async def skip(request: Request, person: SignedIn, journey_id: str) -> Response:
    """Move one journey's clock on by three hours, with everything that it asks of people. Only in the demo."""
    if not request.app.state.settings.demo:
        raise NotFound("Time can be skipped in the demo only.")
    database = database_of(request)
    async with database.read() as conn:
        journey = await journey_detail(conn, person, journey_id)
    if not may_act(person, journey):
        raise NotFound("Your role may look at this journey, not move it.")
    try:
        await journeys.skip_time(database, journey_id, person, seconds=int(SKIP.total_seconds()), via="console")
    except DomainError as refused:
        return await show_one(request, person, journey_id, refused=refused)
    return see(request, journey_page(journey_id))


@router.get("/console/journeys/{journey_id:path}")
async def show(request: Request, person: SignedIn, journey_id: str) -> Response:
    return await show_one(request, person, journey_id)
