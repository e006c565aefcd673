"""Verifying: promised units that may be gone are looked for on the shelf, before anybody tells the customer."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ledger.reads.store import FloorLine, FloorOrder
from web.pages import ConsoleRoute
from web.sessions import SignedIn
from web.store.floor import Floor, Sent, attempt, floor_of, new_form, sent_form, unchanged

router = APIRouter(route_class=ConsoleRoute)


def mark(line: FloorLine | Mapping[str, Any]) -> str:
    """What of a line matters here: how many are promised and not picked."""
    return str(line.reserved if isinstance(line, FloorLine) else line["reserved"])


@router.get("/store/{location}/verify/{journey_id}")
async def show(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await show_order(floor, journey_id, Sent())


async def show_order(floor: Floor, journey_id: str, sent: Sent) -> Response:
    order = await floor.order(journey_id)
    lines = [line for line in order.lines if line.doubted and line.reserved and not order.is_over]
    return floor.show("store/verify.html", {"order": order, "sent": sent, "lines": lines, "mark": mark}, sent.status)


@router.post("/store/{location}/verify/{journey_id}")
async def save(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    """Record how many of the doubted units are there; the others are lost, and somebody decides about the order."""
    floor = await floor_of(request, person, location)
    order = await floor.order(journey_id)
    floor.must_report()
    sent = await sent_form(request)
    asked = [line for line in order.lines if f"seen:{line.line_id}" in sent.fields]
    lines = [one for one in (_line(sent, line) for line in asked) if one is not None]
    if not asked:
        sent.problems["form"] = "Nothing of this order is to be looked for any more."
    if not sent.problems:
        await attempt(sent, lambda: _report(floor, sent, order, lines))
    return await show_order(floor, journey_id, sent)


async def _report(floor: Floor, sent: Sent, order: FloorOrder, lines: list[dict[str, Any]]) -> None:
    seen = {line["line_id"]: sent.text(f"seen:{line['line_id']}") for line in lines}
    check = unchanged(seen, mark, may_be_over=False)
    data = {"actor": floor.person.id, "lines": lines}
    saved = await floor.report(sent, "verified", order.id, "bopis.verified", data, check)
    sent.took(*seen)
    sent.form_id = new_form()
    sent.saved = dict.fromkeys(seen, saved)


def _line(sent: Sent, line: FloorLine) -> dict[str, Any] | None:
    name = f"quantity:{line.line_id}"
    quantity, promised = sent.units(name), sent.text(f"seen:{line.line_id}")
    if quantity is None:
        return None
    if promised.isdigit() and quantity > int(promised):
        sent.problems[name] = f"The order is promised {promised}; more than that need not be looked for."
    return {"line_id": line.line_id, "quantity": quantity}
