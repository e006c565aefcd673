"""Claims against carriers: their list, and each with what was said of it: sent, answered, paid."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, NotAllowed, NotFound
from domain.people import Person
from domain.transfer import CLAIM_STATES
from domain.words import read_money
from ledger.people import Caller
from ledger.reads.claims import ClaimFilter, ClaimRow, claim_row, list_claims, owed
from ledger.reads.paging import Page
from ledger.reads.places import all_places, visible_among, zone_of
from ledger.transfer import claims
from web.console.csv_exports import csv_export
from web.console.list_address import read_address
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
LIST = "/console/claims"
PAGE_ROWS = 50
STATES = ("open", *CLAIM_STATES)
SAYS: dict[str, Callable[[str], bool]] = {"state": lambda value: value in STATES, "carrier": bool, "location": bool}
COLUMNS = (
    *("id", "journey_id", "state", "sku", "quantity", "location", "entity", "carrier", "tracking", "currency"),
    *("amount_minor", "accepted_minor", "reference", "root_cause", "opened_at", "sent_at", "answered_at", "paid_at"),
)
Word = Annotated[str, Form(max_length=200)]


@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Claims of the transfers that the person sees, newest first."""
    given, unknown = read_address(request.query_params, SAYS)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_claims(conn, person, ClaimFilter(**given), cursor=cursor, limit=PAGE_ROWS)
        places = await all_places(conn)
        context: dict[str, Any] = {
            "person": person,
            "section": "more",
            "claims": found.items,
            "owed": await owed(conn, person),
            "places": places,
            "choices": visible_among(places, person),
            "zone": await zone_of(conn, person),
            "given": given,
            "unknown": unknown,
            "states": STATES,
            "cursor": cursor,
            "first_page": address(LIST, given),
            "next_page": address(LIST, {**given, "cursor": found.next}) if found.next else None,
            "csv": address(f"{LIST}.csv", given),
        }
    return page(request, "claims/list.html", context)


@router.get(f"{LIST}.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """Raises `Malformed` for what an address says that means nothing: in a file nobody would see it left out."""
    given = read_address(request.query_params, SAYS).whole().given

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[ClaimRow]:
        return await list_claims(conn, person, ClaimFilter(**given), cursor=cursor, limit=limit)

    return csv_export(request, person, "claims", COLUMNS, read)


async def _one(
    request: Request,
    person: Person,
    claim_id: int,
    *,
    refused: DomainError | None = None,
    draft: dict[str, str] | None = None,
) -> Response:
    async with database_of(request).read() as conn:
        claim = await claim_row(conn, person, claim_id)
        places = await all_places(conn)
    context = {
        "person": person,
        "section": "more",
        "claim": claim,
        "places": places,
        "zone": places[claim.location].time_zone if claim.location in places else "UTC",
        "may_act": may_act(person, claim),
        "refusal": refused,
        "draft": draft or {},
    }
    return page(request, "claims/claim.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


def may_act(person: Person, claim: ClaimRow) -> bool:
    return person.may_decide(claim.entity, claim.region, claim.location)


@router.get("/console/claims/{claim_id}")
async def show(request: Request, person: SignedIn, claim_id: int) -> Response:
    return await _one(request, person, claim_id)


type Act = Callable[[ClaimRow, Caller], Awaitable[None]]


async def _act(
    request: Request, person: Person, claim_id: int, act: Act, draft: dict[str, str] | None = None
) -> Response:
    """Do it for who may, and show the claim; a refusal keeps what was typed."""
    async with database_of(request).read() as conn:
        claim = await claim_row(conn, person, claim_id)
    try:
        if not may_act(person, claim):
            raise NotAllowed("Your role may look at this claim, not say what became of it.")
        await act(claim, Caller.on_page(person, "console"))
    except NotFound:
        raise
    except DomainError as refused:
        return await _one(request, person, claim_id, refused=refused, draft=draft)
    return see(request, f"{LIST}/{claim_id}")


@router.post("/console/claims/{claim_id}/sent")
async def sent(request: Request, person: SignedIn, claim_id: int) -> Response:
    database = database_of(request)
    return await _act(
        request, person, claim_id, lambda one, caller: claims.mark_sent(database, one.id, caller, via="console")
    )


@router.post("/console/claims/{claim_id}/answer")
async def answer(
    request: Request, person: SignedIn, claim_id: int, accepted: Word = "", reference: Word = ""
) -> Response:
    """What the carrier accepts, in the currency's own units as people write them; 0 for nothing."""
    database = database_of(request)

    async def act(claim: ClaimRow, caller: Caller) -> None:
        minor = read_money(accepted, claim.currency)
        await claims.record_answer(
            database, claim_id, caller, accepted_minor=minor, reference=reference.strip(), via="console"
        )

    return await _act(request, person, claim_id, act, {"accepted": accepted, "reference": reference})


@router.post("/console/claims/{claim_id}/paid")
async def paid(request: Request, person: SignedIn, claim_id: int) -> Response:
    database = database_of(request)
    return await _act(
        request,
        person,
        claim_id,
        lambda _claim, caller: claims.record_payment(database, claim_id, caller, via="console"),
    )
