"""Claims against vendors as a list: under tabs, narrowed by what the address says, and as a file."""

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.claim import TRANSITIONS
from domain.errors import Malformed
from domain.journey_kinds import JOURNEY_KINDS
from ledger.reads.claim_list import TABS, ClaimFilter, ClaimSummary, list_claims, of_tabs, owed
from ledger.reads.paging import Page
from ledger.reads.places import zone_of
from web.console.csv_exports import csv_export
from web.console.transfers import Address, read_address
from web.journeys.claim import DUES
from web.pages import ConsoleRoute, address, page
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
KIND = JOURNEY_KINDS["claim"]
LIST = "/console/vendor-claims"
STATES = tuple(str(state) for state in TRANSITIONS)
TAB_NAMES = dict(
    zip(
        TABS,
        ("Open", "Ours to agree or hand over", "With the vendor", "To be decided", "To be paid", "Over"),
        strict=True,
    )
)
SAYS: dict[str, Callable[[str], bool]] = {
    "tab": lambda value: value in TABS,
    "state": lambda value: set(value.split(",")) <= set(STATES),
    "vendor": bool,
    "agreement": bool,
    "entity": bool,
    "promotion": bool,
    "text": bool,
}
COLUMNS = (
    "claim_id", "source", "state", "kind", "vendor", "vendor_name", "agreement_number", "entity", "currency",
    "amount_minor", "accepted_minor", "settled_minor", "given_up_minor", "open_minor", "disputes", "frozen_at",
    "sent_at", "due", "due_at", "case_id", "approval_id", "closed_at",
)  # fmt: skip


def _filters(asked: Address) -> ClaimFilter:
    return ClaimFilter.model_validate(asked.given)


@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Claims of the offices that the person sees, those that were frozen last first."""
    asked = read_address(request.query_params, SAYS)
    filters = _filters(asked)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_claims(conn, person, filters, cursor=cursor, limit=50)
        context = {
            "claims": found.items,
            "owed": await owed(conn, person, filters),
            "counts": await of_tabs(conn, person, filters),
            "zone": await zone_of(conn, person),
        }
    others = {name: value for name, value in asked.given.items() if name != "tab"}
    context |= {
        "person": person,
        "section": KIND.section,
        "kind": KIND,
        "given": asked.given,
        "unknown": asked.unknown,
        "states": STATES,
        "tabs": [(tab, name, address(LIST, {"tab": tab, **others})) for tab, name in TAB_NAMES.items()],
        "dues": DUES,
        "csv": address(f"{LIST}.csv", asked.given),
        "first_page": address(LIST, asked.given),
        "next_page": address(LIST, {**asked.given, "cursor": found.next}) if found.next else None,
        "cursor": cursor,
    }
    return page(request, "claims/vendors.html", context)


@router.get(f"{LIST}.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """Raises `Malformed` for what an address says that means nothing: in a file nobody would see it left out."""
    asked = read_address(request.query_params, SAYS)
    if asked.unknown:
        raise Malformed(f"Not understood: {', '.join(asked.unknown)}. Correct the address or leave it out.")

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[ClaimSummary]:
        return await list_claims(conn, person, _filters(asked), cursor=cursor, limit=limit)

    return csv_export(request, person, "vendor-claims", COLUMNS, read)
