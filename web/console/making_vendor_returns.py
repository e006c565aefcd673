"""Gathering goods for their vendor: what waits at a place, by item, and the form by which a person makes a vendor
return of it. The same form sent twice makes one.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from domain.errors import DomainError, IdempotencyMismatch, Malformed, NotFound, StaleVersion
from domain.people import Person
from domain.vendor_returns import NewVendorReturn
from ledger import vendor_return
from ledger.people import Caller
from ledger.reads.places import all_places
from ledger.reads.vendor_goods import (
    MOST,
    PlaceWaiting,
    Waiting,
    known_vendors,
    waiting_at,
    waiting_places,
)
from web.console.vendor_returns import LIST, code_of
from web.pages import ConsoleRoute, page, path, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
NEW = f"{LIST}/new"
MAX_FIELDS = MOST + 10
SOURCE = "console"


@router.get(NEW)
async def show_form(request: Request, person: SignedIn) -> Response:
    """Where something waits; with a place, what waits there. With a vendor as well, its goods are filled in: what it
    took back the last time; with `all`, everything.
    """
    given = request.query_params
    typed = {name: given.get(name, "").strip()[:200] for name in ("location", "vendor")}
    return await _show(request, person, typed, fill=given.get("fill", ""))


async def _show(
    request: Request, person: Person, typed: Mapping[str, str], *, fill: str = "", refused: DomainError | None = None
) -> Response:
    async with database_of(request).read() as conn:
        places = [one for one in await waiting_places(conn, person) if _may_act(person, one)]
        here = next((one for one in places if one.location == typed.get("location")), None)
        waiting = await waiting_at(conn, here.location) if here is not None else []
        vendors = await known_vendors(conn, here.entity) if here is not None else []
        asked = typed.get("location", "") if here is None else ""
        seen = {one.code: one.name for one in (await all_places(conn)).visible_to(person).places}
    context = {
        "person": person,
        "section": "more",
        "places": places,
        "at": here,
        # Of a place that they do not see, nothing but what they typed.
        "nothing_at": seen.get(asked, asked),
        "waiting": waiting,
        "vendors": vendors,
        "currency": here.currency if here is not None else "",
        "filled": _filled(waiting, typed, fill),
        "draft": typed,
        "form_id": typed.get("form_id") or uuid.uuid4().hex,
        "refusal": refused,
        "may_gather": person.decides_somewhere,
    }
    status = STATUS_OF_FAMILY[refused.family] if refused else 200
    return page(request, "vendor_returns/new.html", context, status=status)


def _may_act(person: Person, place: PlaceWaiting) -> bool:
    return person.may_decide(place.entity, place.region, place.location)


def _filled(waiting: Sequence[Waiting], typed: Mapping[str, str], fill: str) -> dict[str, str]:
    """The fields of the form: as they were typed, else what the address asks for."""
    found = {}
    for one in waiting:
        asked = fill == "all" or (fill == "vendor" and one.vendor == typed.get("vendor"))
        found[one.sku] = typed.get(f"quantity:{one.sku}", str(one.units) if asked else "")
    return found


@router.post(LIST)
async def gather(request: Request, person: SignedIn) -> Response:
    """Make the document; a refusal keeps what was typed."""
    form = await request.form(max_fields=MAX_FIELDS)
    typed = {name: value.strip() for name, value in form.multi_items() if isinstance(value, str)}
    try:
        wanted = _wanted(typed)
        caller = Caller.on_page(person, SOURCE)
        _, made = await vendor_return.open_document(database_of(request), caller, wanted, via="console")
    except IdempotencyMismatch:
        typed.pop("form_id")
        changed = StaleVersion("This form was sent before with something else in it. Look at it again, then send it.")
        return await _show(request, person, typed, refused=changed)
    except DomainError as refused:
        if isinstance(refused, NotFound) and not person.decides_somewhere:
            raise
        return await _show(request, person, typed, refused=refused)
    return see(request, f"{LIST}/{path(made)}")


def _wanted(typed: Mapping[str, str]) -> NewVendorReturn:
    """Raises `Malformed`, with the reason in words."""
    try:
        form_id = uuid.UUID(typed.get("form_id", "")).hex
    except ValueError as error:
        raise Malformed("This form is not one of ours. Open the page again and send it from there.") from error
    if not typed.get("location"):
        raise Malformed("Choose where the goods wait.")
    vendor = code_of(typed.get("vendor", ""), "the vendor's code")
    lines: list[dict[str, Any]] = []
    for name, value in typed.items():
        field, _, sku = name.partition(":")
        if field != "quantity" or not value:
            continue
        if not (value.isascii() and value.isdecimal() and int(value) <= 1_000_000):
            raise Malformed(f"Enter how many of {sku[:80]} go back, as a whole number; nothing for none.")
        if int(value):
            lines.append({"line_id": str(len(lines) + 1), "sku": sku, "quantity": int(value)})
    if not lines:
        raise Malformed("Enter how many of what go back; nothing is entered.")
    body: dict[str, Any] = {"location": typed["location"], "vendor": vendor, "lines": lines}
    try:
        return NewVendorReturn(vendor_return_id=f"{typed['location']}-V{form_id[:10].upper()}", **body)
    except ValidationError as error:
        raise Malformed(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from error
