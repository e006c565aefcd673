"""Inspecting what came back: its condition, photos of it, and what becomes of it. Until then nobody can buy it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from domain.errors import Malformed, NotFound, StaleVersion
from domain.photos import Photo
from domain.return_requests import ReturnedLine, ReturnView
from domain.returns import CONDITIONS, EFFECTS
from ledger.photos import add, said
from ledger.reads.photos import photos_of
from ledger.reads.returns import names_of, return_view, to_inspect
from ledger.returns.document import Return, waiting
from web import photos
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of
from web.store.floor import MAX_FIELDS, Floor, Sent, attempt, floor_of, new_form, reading, sent_form

router = APIRouter(route_class=ConsoleRoute)
BY_RULE = ""  # the disposition that the rule proposes for the condition
ONLY_PHOTOS = "photos"


@router.get("/store/{location}/inspect")
async def show_list(request: Request, person: SignedIn, location: str) -> Response:
    floor = await floor_of(request, person, location)
    found = await reading(request, lambda conn: to_inspect(conn, floor.place.code))
    return floor.show("store/inspects.html", {"returns": found})


@router.get("/store/{location}/inspect/{return_id}")
async def show(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await show_return(floor, return_id, Sent())


async def _returned(floor: Floor, return_id: str) -> ReturnView:
    """The return as it is recorded now. Raises `NotFound` also for one whose goods are elsewhere."""
    found = await reading(floor.request, lambda conn: return_view(conn, floor.person, return_id))
    if found.location != floor.place.code:
        raise NotFound(f"There is no return {return_id} at {floor.place.name}.")
    return found


async def show_return(floor: Floor, return_id: str, sent: Sent, *, added: int = 0) -> Response:
    found = await _returned(floor, return_id)
    async with database_of(floor.request).read() as conn:
        names = await names_of(conn, {line.sku for line in found.lines})
        others = await to_inspect(conn, floor.place.code)
        taken = await photos_of(conn, found.journey_id)
    context = {
        "returned": found,
        "sent": sent,
        "lines": [line for line in found.lines if line.waiting],
        "names": names,
        "conditions": CONDITIONS,
        "dispositions": EFFECTS,
        "photos": taken,
        "added": said(added) if added else "",
        "next": next((one for one in others if one.journey_id != found.journey_id), None),
    }
    return floor.show("store/inspect.html", context, status=sent.status)


@router.post("/store/{location}/inspect/{return_id}")
async def save(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    """Record what was found of each line; what is left out is still to be inspected. Photos are kept first, and stay
    whatever becomes of the rest.
    """
    floor = await floor_of(request, person, location)
    found = await _returned(floor, return_id)
    floor.must_report()
    form = await request.form(max_fields=MAX_FIELDS)
    try:
        sent = await sent_form(request)
        asked = [line for line in found.lines if f"seen:{line.line_id}" in sent.fields]
        added = await _keep_photos(floor, sent, found, form)
    finally:
        await form.close()
    if sent.refusal is not None or sent.problems or sent.text("act") == ONLY_PHOTOS:
        if not (added or sent.refusal or sent.problems):
            sent.problems["form"] = "Choose or take a photo first; none came."
        return await show_return(floor, return_id, sent, added=added)
    lines = [one for one in (_line(sent, line) for line in asked) if one is not None]
    if not sent.problems and not lines:
        sent.problems["form"] = "Enter how many you have looked at; nothing is entered."
    if not sent.problems:
        await attempt(sent, lambda: _report(floor, sent, found, lines))
    return await show_return(floor, return_id, sent, added=added)


async def _keep_photos(floor: Floor, sent: Sent, found: ReturnView, form: FormData) -> int:
    """Keep the photos of a form; what is none is noted beside its field. Returns how many are new."""
    taken: list[tuple[str | None, Photo]] = []
    for line in found.lines:
        field = f"photo:{line.line_id}"
        try:
            taken += [(line.line_id, one) for one in await photos.pictures(floor.request, form, field)]
        except Malformed as refused:
            sent.problems[field] = refused.detail
    added = 0

    async def keep() -> None:
        nonlocal added
        async with photos.put(floor.request, taken) as stored:
            added = await add(database_of(floor.request), floor.person, found.journey_id, stored)

    if taken:
        await attempt(sent, keep)
    return added


def _line(sent: Sent, line: ReturnedLine) -> dict[str, Any] | None:
    """What the form says of a line; None for no unit of it. What is wrong is noted beside its field."""
    name, seen = f"quantity:{line.line_id}", sent.text(f"seen:{line.line_id}")
    quantity = sent.units(name)
    if not quantity:
        return None
    if seen.isdigit() and quantity > int(seen):
        sent.problems[name] = f"{seen} wait to be inspected; more than that did not come."
    condition = sent.text(f"condition:{line.line_id}")
    if condition not in CONDITIONS:
        sent.problems[f"condition:{line.line_id}"] = "Choose the condition that it is in."
    disposition = sent.text(f"disposition:{line.line_id}")
    if disposition not in (BY_RULE, *EFFECTS):
        raise Malformed("There is no such disposition. Open the page again and send it from there.")
    return {
        "line_id": line.line_id,
        "quantity": quantity,
        "condition": condition,
        "disposition": disposition or None,
        "reason": sent.text(f"reason:{line.line_id}")[:200],
    }


async def _report(floor: Floor, sent: Sent, found: ReturnView, lines: list[dict[str, Any]]) -> None:
    seen = {line["line_id"]: sent.text(f"seen:{line['line_id']}") for line in lines}

    def check(it: Return) -> None:
        for line_id, before in seen.items():
            if line_id in it.lines and str(waiting(it.lines[line_id])) != before:
                raise StaleVersion("Somebody has inspected goods of this line since you opened the page. Look again.")

    data = {"actor": floor.person.id, "lines": lines}
    saved = await floor.report(sent, "inspected", found.journey_id, "return.inspected", data, check, named="return_id")
    sent.took(*seen)
    sent.form_id = new_form()
    sent.saved = dict.fromkeys(seen, saved)
