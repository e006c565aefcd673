"""Counts: the list of a store, one count with what it says, and the blind sheet for a phone.

The sheet says nothing of the book. Each line is a form of its own, answered with the time at which it was saved, and
may be sent twice; it works without a script.
"""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import ValidationError

from domain.counts import NewCount
from domain.errors import DomainError, Malformed, NotAllowed, NotFound
from domain.events import CountEntered
from domain.people import COUNTING_ROLES, Person
from ledger.count import requests
from ledger.reads.counts import SheetView, count_view, list_counts, sheet_view
from ledger.reads.journeys import journey_detail
from ledger.reads.places import all_places, item_names, visible_places, zone_of
from ledger.transaction import Transaction
from web.console.journeys import shown
from web.pages import ConsoleRoute, page, path, see
from web.sessions import SignedIn, database_of, is_https
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
SOURCE = "console"
DEVICE = "endcap_device"
DEVICE_S = 7 * 86_400
Word = Annotated[str, Form(max_length=200)]
Words = Annotated[str, Form(max_length=20_000)]


def may_count(person: Person, place: Any) -> bool:
    return bool(person.roles_at(place.entity, place.region, place.location) & COUNTING_ROLES)


def _check_may_count(person: Person, place: Any) -> None:
    if not may_count(person, place):
        raise NotAllowed("Your role may look at this count, not take part in it.")


async def _list(
    request: Request, person: Person, *, refused: DomainError | None = None, draft: dict[str, str] | None = None
) -> Response:
    location = request.query_params.get("location", "").strip()
    closed = request.query_params.get("closed") == "on"
    async with database_of(request).read() as conn:
        context: dict[str, Any] = {
            "person": person,
            "section": "counts",
            "counts": await list_counts(conn, person, location=location or None, closed=closed),
            "places": await all_places(conn),
            "choices": await visible_places(conn, person),
            "zone": await zone_of(conn, person),
            "location": location,
            "closed": closed,
            "count_key": (draft or {}).get("count_id") or f"{datetime.now(UTC):%m%d}-{secrets.token_hex(3)}",
            "draft": draft or {"location": location, "skus": request.query_params.get("sku", "")},
            "refusal": refused,
        }
    return page(request, "counts/list.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


@router.get("/console/counts")
async def show_list(request: Request, person: SignedIn) -> Response:
    """Open counts of the places that the person sees, the longest open first; `closed=on` shows those that are over."""
    return await _list(request, person)


@router.post("/console/counts")
async def start(
    request: Request, person: SignedIn, count_id: Word = "", location: Word = "", skus: Words = ""
) -> Response:
    """Have something counted; the same form sent twice opens one count. A refusal keeps what was typed."""
    database = database_of(request)
    draft = {"count_id": count_id, "location": location, "skus": skus}
    try:
        async with database.read() as conn:
            seen = {place.code: place for place in await visible_places(conn, person)}
        if location not in seen:
            raise Malformed("Choose a place.", pointer="/location")
        where = seen[location]
        if not person.roles_at(where.entity, where.region, where.code) & COUNTING_ROLES:
            raise NotAllowed("Your role may not have something counted here.")
        wanted = _wanted(count_id, location, skus)
        _, made = await requests.start(database, SOURCE, wanted, actor=person.id, via="console")
    except DomainError as refused:
        return await _list(request, person, refused=refused, draft=draft)
    return see(request, f"/console/counts/{path(made.journey_id)}")


def _wanted(count_id: str, location: str, skus: str) -> NewCount:
    """Raises `Malformed` with the reason in words."""
    named = skus.replace(",", " ").split()
    try:
        return NewCount.model_validate({"count_id": count_id, "location": location, "skus": named or None})
    except ValidationError as error:
        said = error.errors()[0]
        raise Malformed(f"{said['loc'][0]}: {said['msg']}".replace("_", " ") + ".") from None


async def _one(request: Request, person: Person, count_id: str, *, refused: DomainError | None = None) -> Response:
    async with database_of(request).read() as conn:
        count = await count_view(conn, person, count_id)
        journey = await journey_detail(conn, person, count.journey_id)
        sheet = await sheet_view(conn, person, count.journey_id)
        context = await shown(request, conn, person, journey)
        names = await item_names(conn, {line.sku for line in count.lines})
    context |= {
        "count": count,
        "sheet": sheet,
        "names": {**context["names"], **names},
        "may_count": may_count(person, sheet),
        "refusal": refused,
    }
    return page(
        request, "journeys/count/page.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200
    )


@router.get("/console/counts/{count_id}/sheet")
async def show_sheet(request: Request, person: SignedIn, count_id: str) -> Response:
    """The blind sheet, made for a phone in one hand."""
    return await _sheet(request, person, count_id)


async def _sheet(
    request: Request,
    person: Person,
    count_id: str,
    *,
    refused: DomainError | None = None,
    draft: dict[str, str] | None = None,
) -> Response:
    async with database_of(request).read() as conn:
        sheet = await sheet_view(conn, person, count_id)
        places = await all_places(conn)
    context = {
        "person": person,
        "section": "counts",
        "sheet": sheet,
        "places": places,
        "zone": places[sheet.location].time_zone if sheet.location in places else "UTC",
        "may_count": may_count(person, sheet),
        "refusal": refused,
        "draft": draft or {},
    }
    return page(request, "counts/sheet.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


def _device(request: Request) -> str:
    """This browser's own word for itself."""
    known = request.cookies.get(DEVICE, "")
    return known if 16 <= len(known) <= 64 and known.isalnum() else secrets.token_hex(16)


@router.post("/console/counts/{count_id}/sheet")
async def enter(
    request: Request,
    person: SignedIn,
    count_id: str,
    sku: Word = "",
    bucket: Word = "",
    quantity: Word = "",
    submit: Word = "",
    take_over: Word = "",
) -> Response:
    """Save one line, or hand the count in; then back to the sheet, at that line. A refusal keeps what was typed."""
    device, database = _device(request), database_of(request)
    draft = {"sku": sku.strip(), "bucket": bucket, "quantity": quantity.strip()}
    try:
        async with database.read() as conn:
            sheet = await sheet_view(conn, person, count_id)
        _check_may_count(person, sheet)
        now = await database.now()
        data = _figures(sheet, person, device, draft, now, submit=bool(submit), take_over=bool(take_over))

        async def find(_tx: Transaction) -> str:
            return sheet.id

        saved = await requests.record(database, find, SOURCE, data, actor=person.id, via="console")
    except NotFound:
        raise
    except DomainError as refused:
        answer = await _sheet(request, person, count_id, refused=refused, draft=draft)
    else:
        base = f"/console/counts/{path(sheet.id)}"
        here = f"#line-{draft['sku']}-{bucket}" if draft["sku"] else ""
        answer = see(request, base if saved.state == "submitted" else f"{base}/sheet{here}")
    answer.set_cookie(
        DEVICE,
        device,
        max_age=DEVICE_S,
        path="/console/counts",
        httponly=True,
        samesite="lax",
        secure=is_https(request),
    )
    return answer


def _figures(
    sheet: SheetView,
    person: Person,
    device: str,
    draft: dict[str, str],
    now: datetime,
    *,
    submit: bool,
    take_over: bool,
) -> CountEntered:
    """Raises `Malformed` with the reason in words."""
    lines = []
    if draft["sku"]:
        if not (draft["quantity"].isdecimal() and draft["quantity"].isascii()):
            raise Malformed(f"Write how many of {draft['sku']} there are as a whole number; 0 for none.")
        lines.append(
            {
                "sku": draft["sku"],
                "bucket": draft["bucket"] or None,
                "quantity": int(draft["quantity"]),
                "counted_at": now,
            }
        )
    if not lines and not submit and not take_over:
        raise Malformed("Write which item you counted.")
    try:
        return CountEntered.model_validate(
            {
                "count_id": sheet.id,
                "session": device,
                "counter": person.id,
                "lines": lines,
                "submit": submit,
                "take_over": take_over,
            }
        )
    except ValidationError as error:
        raise Malformed(f"{error.errors()[0]['msg']}.") from None


@router.post("/console/counts/{count_id}/cancel")
async def cancel(request: Request, person: SignedIn, count_id: str, reason: Word = "") -> Response:
    """Call a count off, with a reason."""
    database = database_of(request)
    async with database.read() as conn:
        sheet = await sheet_view(conn, person, count_id)

    async def find(_tx: Transaction) -> str:
        return sheet.id

    try:
        _check_may_count(person, sheet)
        if not reason.strip():
            raise Malformed("Say why it is called off.")
        await requests.cancel(database, find, reason=reason.strip(), actor=person.id, via="console")
    except DomainError as refused:
        return await _one(request, person, count_id, refused=refused)
    return see(request, f"/console/counts/{path(sheet.id)}")


@router.get("/console/counts/{count_id}")
async def show(request: Request, person: SignedIn, count_id: str) -> Response:
    """One count: its lines, its timeline, what was posted. A line tells its book once it was compared and agreed."""
    return await _one(request, person, count_id)
