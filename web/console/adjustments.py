"""Adjustments: their list, and adjusting stock from the page of an item at a place."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import ValidationError

from domain.adjustments import AdjustmentIn
from domain.errors import DomainError, Malformed
from ledger import adjustments
from ledger.reads.adjustments import list_adjustments
from ledger.reads.places import all_places, item_names, zone_of
from web.console.stock import detail_context
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
SOURCE = "console"
LIST_ROWS = 200
Word = Annotated[str, Form(max_length=200)]


def _wanted(adjustment_id: str, location: str, sku: str, quantity: str, reason: str) -> AdjustmentIn:
    """The adjustment that a form asks for. Raises `Malformed` with the reason in words."""
    try:
        units = int(quantity.strip().replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        raise Malformed("Write the units as a whole number: 3 for found, -3 for lost.") from None
    if not reason:
        raise Malformed("Choose a reason.")
    lines: list[dict[str, Any]] = [{"sku": sku, "quantity": units, "reason": reason}]
    try:
        return AdjustmentIn.model_validate({"adjustment_id": adjustment_id, "location": location, "lines": lines})
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Malformed(f"{said[:1].upper()}{said[1:]}.") from None


VIEWS: dict[str, tuple[str, bool | None]] = {"open": ("Wait", False), "closed": ("Ended", True), "all": ("All", None)}


@router.get("/console/adjustments")
async def show(request: Request, person: SignedIn, view: str = "all", reason: str = "") -> Response:
    """Who corrected the book, where, by how much and why, newest first; with `reason`, what has a line with it."""
    view = view if view in VIEWS else "all"
    async with database_of(request).read() as conn:
        found = await list_adjustments(conn, person, closed=VIEWS[view][1], reason=reason, limit=LIST_ROWS)
        context = {
            "person": person,
            "section": "more",
            "adjustments": found,
            "views": VIEWS,
            "view": view,
            "reason": reason,
            "zone": await zone_of(conn, person),
            "places": await all_places(conn),
            "names": await item_names(conn, {one.sku for one in found}),
            "more": len(found) == LIST_ROWS,
        }
    return page(request, "adjustments.html", context)


@router.post("/console/stock/adjustments")
async def adjust(
    request: Request,
    person: SignedIn,
    adjustment_id: Word = "",
    location: Word = "",
    sku: Word = "",
    quantity: Word = "",
    reason: Word = "",
) -> Response:
    """Post it, or ask for its approval; then the page of the item shows which. A refusal keeps what was typed."""
    database = database_of(request)
    try:
        wanted = _wanted(adjustment_id, location, sku, quantity, reason)
        await adjustments.ask(database, person, wanted, source=SOURCE, via="console")
    except DomainError as refused:
        async with database.read() as conn:
            draft = {"adjustment_id": adjustment_id, "quantity": quantity, "reason": reason}
            context = await detail_context(conn, person, location, sku, draft=draft)
        context["refusal"] = refused
        return page(request, "stock_detail.html", context, status=STATUS_OF_FAMILY[refused.family])
    return see(request, address("/console/stock", {"location": location, "sku": sku}))
