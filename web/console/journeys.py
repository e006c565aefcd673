"""Orders: the list, and one order with its lines, timeline, movements, postings, payments; the demo's time skip."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.errors import DomainError, NotFound
from domain.people import Person
from domain.words import words
from ledger import journeys
from ledger.reads.journeys import JourneyDetail, JourneyFilter, journey_customer, journey_detail, list_journeys
from ledger.reads.places import all_places, item_names, visible_places, zone_of
from ledger.reads.records import PostingRow
from web.errors import STATUS_OF_FAMILY
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
SKIP = timedelta(hours=3)
FIELDS = ("state", "location", "region", "key", "sku", "text")


DUES = {
    "pick_nag": ("Pick check", "noted if nothing is picked by then; from the end of the time to pick on it is a case"),
    "window_reminder": ("Reminder", "the customer is reminded by mail"),
    "window": ("End of the pickup window", "the goods are released, the money goes back, the customer is told"),
    "verify": ("Promised unit verified", "what the store has not found by then is lost, and a case asks for a way out"),
    "arrived": ("Customer outside", "a case if nothing was handed over by then"),
    "goods": ("Goods come to the store", "a case if they have not come by then"),
    "ship": ("Order sent", "a case if it has not left by then"),
    "put_away": ("Goods put away", "a case if they still stand on the hold shelf"),
    "offer": (
        "Customer's answer",
        "without one, what is missing is refunded, or the order cancelled, as it says itself",
    ),
    "wait": ("End of waiting", "a case asks for a way out again"),
}


def due_words(name: str) -> tuple[str, str]:
    """What a due instant of an order is called, and what it causes."""
    stem = name.removesuffix("_last").rstrip("_0123456789")
    return DUES.get(stem, (words(stem), "the order goes on"))


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
    """Orders, newest first, narrowed by what the address says."""
    given = {name: value for name in FIELDS if (value := request.query_params.get(name, "").strip())}
    unknown = [name for name in request.query_params if name not in {*FIELDS, "cursor"}]
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_journeys(
            conn, person, JourneyFilter.model_validate({**given, "kind": "bopis"}), cursor=cursor, limit=50
        )
        context: dict[str, Any] = {
            "places": await all_places(conn),
            "choices": await visible_places(conn, person),
            "zone": await zone_of(conn, person),
        }
    context |= {
        "person": person,
        "section": "journeys",
        "journeys": found.items,
        "given": given,
        "unknown": unknown,
        "cursor": cursor,
        "next_page": address("/console/journeys", {**given, "cursor": found.next}) if found.next else None,
    }
    return page(request, "journeys.html", context)


async def show_one(
    request: Request, person: Person, journey_id: str, *, refused: DomainError | None = None
) -> Response:
    """The page of one order. Raises `NotFound`, also for an order of another region. A count has a page of its own."""
    if journey_id.startswith("count:"):
        return see(request, f"/console/counts/{journey_id}")
    async with database_of(request).read() as conn:
        order = await journey_detail(conn, person, journey_id)
        customer = await journey_customer(conn, person, journey_id)
        places = await all_places(conn)
        names = await item_names(conn, {row.sku for row in order.movements})
    found = entries(order.postings)
    own_now = datetime.now(UTC) + timedelta(seconds=order.clock_offset_s)
    demo = request.app.state.settings.demo
    context = {
        "person": person,
        "section": "journeys",
        "order": order,
        "customer": customer,
        "places": places,
        "names": {**names, **{line.sku: line.name for line in order.lines}},
        "zone": places[order.location].time_zone if order.location in places else "UTC",
        "entries": found,
        "uneven": sum(entry.debit_minor != entry.credit_minor for entry in found),
        "due_words": due_words,
        "own_now": own_now,
        "may_skip": demo and order.closed_at is None and may_act(person, order),
        "passes": list(dict.fromkeys(due_words(due.name) for due in order.dues if due.at <= own_now + SKIP)),
        "skip_h": int(SKIP.total_seconds() // 3600),
        "refusal": refused,
    }
    return page(request, "journey.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


def may_act(person: Person, order: JourneyDetail) -> bool:
    return person.may_decide(order.entity, order.region, order.location)


@router.post("/console/journeys/{journey_id:path}/skip")
async def skip(request: Request, person: SignedIn, journey_id: str) -> Response:
    """Move one order's clock on by three hours, with everything that it asks of people. Only in the demo."""
    if not request.app.state.settings.demo:
        raise NotFound("Time can be skipped in the demo only.")
    database = database_of(request)
    async with database.read() as conn:
        order = await journey_detail(conn, person, journey_id)
    if not may_act(person, order):
        raise NotFound("Your role may look at this order, not move it.")
    try:
        await journeys.skip_time(database, journey_id, person, seconds=int(SKIP.total_seconds()), via="console")
    except DomainError as refused:
        return await show_one(request, person, journey_id, refused=refused)
    return see(request, f"/console/journeys/{journey_id}")


@router.get("/console/journeys/{journey_id:path}")
async def show(request: Request, person: SignedIn, journey_id: str) -> Response:
    return await show_one(request, person, journey_id)
