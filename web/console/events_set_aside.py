"""Events that were set aside: the list of a case, or of everything the viewer sees; and taking them again."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import NotAllowed, NotFound
from ledger.facts import replay
from ledger.reads.events import list_set_aside
from ledger.reads.places import zone_of
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
PAGE_ROWS = 200


@router.get("/console/events")
async def show(request: Request, person: SignedIn, case: int | None = None, taken: int | None = None) -> Response:
    """Quarantined events, the oldest first; `taken` says how many a replay has just taken."""
    async with database_of(request).read() as conn:
        found = await list_set_aside(conn, person, case_id=case, limit=PAGE_ROWS)
        zone = await zone_of(conn, person)
    context = {
        "person": person,
        "section": "more",
        "events": found,
        "case_id": case,
        "taken": taken,
        "zone": zone,
        "more": len(found) == PAGE_ROWS,
    }
    return page(request, "events.html", context)


@router.post("/console/events/replay")
async def take_again(
    request: Request,
    person: SignedIn,
    source: Annotated[str, Form(max_length=80)],
    event_id: Annotated[str, Form(max_length=80)],
    case: Annotated[int | None, Form()] = None,
) -> Response:
    """Take one event again; it stays in the list, with what is wrong now, when it still cannot be taken."""
    database = database_of(request)
    async with database.read() as conn:
        found = await list_set_aside(conn, person, source=source, event_id=event_id, limit=1)
    if not found:
        raise NotFound("There is no such event any more: it was taken, or left out, meanwhile.")
    if not found[0].may_replay:
        raise NotAllowed("Your role may look at this event, not take it again.")
    outcomes = await replay(database, actor=person.id, source=source, event_id=event_id)
    taken = sum(one.outcome in ("accepted", "duplicate") for one in outcomes)
    return see(request, address("/console/events", {"case": case, "taken": taken}))
