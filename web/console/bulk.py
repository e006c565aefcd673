"""Deciding several cases at once: look at what it would do, decide, watch how far it has come, stop it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import DomainError, Malformed, StaleVersion
from domain.people import Person
from ledger import bulk
from ledger.reads.bulk import bulk_view, preview
from ledger.reads.places import all_places, item_names, zone_of
from web.pages import MAX_FORM, ConsoleRoute, is_partial, page, see, written
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
SHOWN_FIRST = 5


async def _preview(
    request: Request, person: Person, ids: list[int], *, refused: DomainError | None = None, draft: dict[str, Any]
) -> Response:
    async with database_of(request).read() as conn:
        found = await preview(conn, person, ids)
        context: dict[str, Any] = {
            "person": person,
            "section": "queue",
            "found": found,
            "places": await all_places(conn),
            "names": await item_names(conn, {one.sku for one in found.cases if one.sku}),
            "refusal": refused,
            "draft": draft,
            "first": SHOWN_FIRST,
        }
    return page(request, "bulk_preview.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


@router.post("/console/bulk/preview")
async def look(request: Request, person: SignedIn, case: Annotated[list[int], Form()] = []) -> Response:  # noqa: B006
    """What each way out would do for the selected cases. It changes nothing."""
    return await _preview(request, person, case, draft={})


@router.post("/console/bulk")
async def decide(
    request: Request,
    person: SignedIn,
    seen: Annotated[list[str], Form()] = [],  # noqa: B006
    option: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=MAX_FORM)] = "",
    shown: Annotated[list[str], Form()] = [],  # noqa: B006
) -> Response:
    """Record the decision for every case that it fits. `seen` are the cases with the version that the page showed,
    `shown` the marks of what each way out would do for them; one that would do something else by now is not taken.
    """
    versions = dict(_seen(text) for text in seen)
    try:
        words = written(note)
        async with database_of(request).read() as conn:
            found = await preview(conn, person, list(versions))
        way = next((one for one in found.ways if one.option_id == option), None)
        if way is None:
            raise Malformed("Choose one of the ways out; nothing is chosen for you.")
        if way.shown not in shown:
            raise StaleVersion(f"“{way.label}” is not what it was when you opened this page; look at it again.")
        number = await bulk.begin(
            database_of(request), person, option_id=option, label=way.label, note=words,
            cases={one.id: versions[one.id] for one in way.fits}, shown=way.marks,
        )  # fmt: skip
    except DomainError as refused:
        if not versions:
            raise
        return await _preview(request, person, list(versions), refused=refused, draft={"option": option, "note": note})
    return see(request, f"/console/bulk/{number}")


def _seen(text: str) -> tuple[int, int]:
    """`17@3`: case 17 as it was in version 3. Raises `Malformed`."""
    case_id, _, version = text.partition("@")
    if not (case_id.isascii() and case_id.isdigit() and version.isascii() and version.isdigit() and len(text) < 40):
        raise Malformed("This page was not sent as it was shown; tick the cases in the queue again.")
    return int(case_id), int(version)


@router.get("/console/bulk/{bulk_id}")
async def watch(request: Request, person: SignedIn, bulk_id: int) -> Response:
    """How far it has come, with what became of each case."""
    async with database_of(request).read() as conn:
        context: dict[str, Any] = {
            "person": person,
            "section": "queue",
            "bulk": await bulk_view(conn, person, bulk_id),
            "places": await all_places(conn),
            "zone": await zone_of(conn, person),
            "now": datetime.now(UTC),
        }
    if is_partial(request) and context["bulk"].ended_at is not None:
        # The page as it is in the end asks for nothing any more.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return page(request, "bulk.html", context, block="progress")


@router.post("/console/bulk/{bulk_id}/stop")
async def stop(request: Request, person: SignedIn, bulk_id: int) -> Response:
    """Leave alone what was not decided yet."""
    await bulk.stop(database_of(request), person, bulk_id)
    return see(request, f"/console/bulk/{bulk_id}")
