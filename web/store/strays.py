"""Goods that came here and were meant for another place: found by the number on their label, reported by the line.

Whoever holds the label holds the goods, so a transfer is shown here to people of any store who type its exact number.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from domain.errors import NotFound
from domain.transfers import TransferLineView, TransferView
from ledger.reads.dock import named_on_label
from ledger.reads.places import all_places, item_names
from ledger.reads.transfers import transfer_view
from web.pages import ConsoleRoute, path
from web.sessions import SignedIn, database_of
from web.store.floor import Floor, Sent, attempt, floor_of, reading, sent_form
from web.store.transferring import MAX_NAME, mark, mark_of_view, report_goods, unchanged

router = APIRouter(route_class=ConsoleRoute)


@router.get("/store/{location}/stray")
async def find(request: Request, person: SignedIn, location: str, number: str = "") -> Response:
    """Ask for the number on the label, and go on to the transfer that has it."""
    floor = await floor_of(request, person, location)
    wanted = number.strip()[:MAX_NAME]
    found = await reading(request, lambda conn: named_on_label(conn, floor.place.code, wanted)) if wanted else []
    if len(found) == 1:
        way = "receive" if found[0].is_at else "stray"
        target = f"/store/{path(floor.place.code)}/{way}/{path(found[0].journey_id)}"
        return RedirectResponse(target, status_code=303, headers={"Cache-Control": "no-store"})
    return floor.show("store/strays.html", {"number": wanted, "found": found})


@router.get("/store/{location}/stray/{transfer_id}")
async def show(request: Request, person: SignedIn, location: str, transfer_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await _show(floor, transfer_id, Sent())


async def _show(floor: Floor, transfer_id: str, sent: Sent) -> Response:
    found = await _transfer(floor, transfer_id)
    async with database_of(floor.request).read() as conn:
        names = await item_names(conn, {line.sku for line in found.lines})
        places = await all_places(conn)
    here = [extra for extra in found.extras if extra.location == floor.place.code]
    context = {
        "transfer": found,
        "sent": sent,
        "names": names,
        "places": places,
        "marks": {line.line_id: mark_of_view(found, line) for line in found.lines},
        "here_already": here,
    }
    return floor.show("store/stray.html", context, status=sent.status)


@router.post("/store/{location}/stray/{transfer_id}")
async def report(request: Request, person: SignedIn, location: str, transfer_id: str) -> Response:
    """Record what came here. It says nothing of what the destination still waits for."""
    floor = await floor_of(request, person, location)
    found = await _transfer(floor, transfer_id)
    floor.must_report()
    sent = await sent_form(request)
    asked = [line for line in found.lines if f"seen:{line.line_id}" in sent.fields]
    told = [one for line in asked for one in _come(sent, line)]
    if not sent.problems and not told:
        sent.problems["form"] = "Enter what has come; nothing is entered."
    if not sent.problems:
        data = {"actor": floor.person.id, "location": floor.place.code, "lines": told}
        check = unchanged(sent, mark, only={str(one["line_id"]) for one in told}, always=True)
        await attempt(sent, lambda: report_goods(floor, sent, found, "transfer.received", data, check))
    return await _show(floor, found.journey_id, sent)


def _come(sent: Sent, line: TransferLineView) -> list[dict[str, Any]]:
    """Units of a line that stand here, as far as a number was entered that is not zero."""
    told = []
    for condition, field in (("good", "quantity"), ("damaged", "damaged")):
        name = f"{field}:{line.line_id}"
        number = sent.units(name) if sent.text(name) else 0
        if number:
            told.append({"line_id": line.line_id, "quantity": number, "condition": condition})
    return told


async def _transfer(floor: Floor, transfer_id: str) -> TransferView:
    """The transfer, whoever sees it otherwise. Raises `NotFound` also for one that comes here: it is received."""
    found = await reading(floor.request, lambda conn: transfer_view(conn, None, transfer_id))
    if found.to == floor.place.code:
        raise NotFound(f"Transfer {found.transfer_id} is to come to {floor.place.name}: report it under Receive.")
    return found
