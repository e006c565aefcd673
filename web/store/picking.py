"""Picking: the list by due, to be carried as paper or phone, and one order line by line, doubted units first."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.events import PICK_REASONS
from ledger.reads.store import FloorLine, FloorOrder, case_after_close, orders_for
from web.barcode import code128
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of
from web.store.floor import Floor, Sent, attempt, floor_of, new_form, reading, sent_form, unchanged

router = APIRouter(route_class=ConsoleRoute)
REASONS = {
    "not_in_stock": "The shelf is empty",
    "mismatch": "Fewer there than the system says",
    "damaged": "Damaged",
    "worn_display": "Only a worn display piece",
    "wrong_item_on_shelf": "Another item lies there",
    "reserved_for_other": "Set aside for somebody else",
    "no_variance": "It is there, but cannot be given",
}
assert set(REASONS) == set(PICK_REASONS)


def mark(line: FloorLine | Mapping[str, Any]) -> str:
    """What of a line a picker has to know: how many are picked, and how many may be."""
    if isinstance(line, FloorLine):
        return f"{line.picked}.{line.still}"
    return f"{line['picked']}.{line['ordered'] - line['collected'] - line['cancelled'] - line['staged']}"


def grouped(orders: Sequence[FloorOrder], zone: str) -> list[tuple[str, list[FloorOrder]]]:
    """Orders under the heading of when they are due, in the order in which they come."""
    groups: dict[str, list[FloorOrder]] = {}
    for order in orders:
        groups.setdefault(_due_words(order.pick_by, order.now, zone), []).append(order)
    return list(groups.items())


def _due_words(due: datetime | None, now: datetime, zone: str) -> str:
    if due is None or due <= now:
        return "Overdue"
    if (due - now).total_seconds() <= 3600:
        return "Within the hour"
    there = ZoneInfo(zone)
    return "Later today" if due.astimezone(there).date() == now.astimezone(there).date() else "Another day"


@router.get("/store/{location}/pick")
async def show_list(request: Request, person: SignedIn, location: str) -> Response:
    """Everything to be picked, what is doubted first, then by due; on paper with barcodes."""
    floor = await floor_of(request, person, location)
    async with database_of(request).read() as conn:
        doubted = await orders_for(conn, floor.place, "verify")
        orders = await orders_for(conn, floor.place, "pick")
    context = {"doubted": doubted, "groups": grouped(orders, floor.place.time_zone), "code128": code128}
    return floor.show("store/picks.html", context)


@router.get("/store/{location}/pick/{journey_id}")
async def show(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await show_pick(floor, journey_id, Sent())


async def show_pick(floor: Floor, journey_id: str, sent: Sent) -> Response:
    order = await floor.order(journey_id)
    is_done = order.is_over or not any(line.reserved for line in order.lines)
    others = await reading(floor.request, lambda conn: orders_for(conn, floor.place, "pick")) if is_done else []
    context = {
        "order": order,
        "sent": sent,
        "mark": mark,
        "reasons": REASONS,
        "code128": code128,
        "case_id": await reading(floor.request, lambda conn: case_after_close(conn, journey_id)),
        "next": next((one for one in others if one.id != journey_id), None),
    }
    return floor.show("store/pick.html", context, status=sent.status)


@router.post("/store/{location}/pick/{journey_id}")
async def save(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    """Save one line, or all that are open. Nothing is saved of a form in which something is wrong."""
    floor = await floor_of(request, person, location)
    order = await floor.order(journey_id)
    floor.must_report()
    sent = await sent_form(request)
    asked = sent.text("save")
    open_lines = [line.line_id for line in order.lines if f"seen:{line.line_id}" in sent.fields]
    wanted = open_lines if asked == "all" else [asked] if asked else []
    if not wanted or not all(order.line(line_id) for line_id in wanted):
        sent.problems["form"] = "Press Save at the line that you mean, or Save all."
        return await show_pick(floor, journey_id, sent)
    picked = [one for one in (_line(sent, order, line_id) for line_id in wanted) if one is not None]
    if not sent.problems:
        await attempt(sent, lambda: _report(floor, sent, order, wanted, picked))
    return await show_pick(floor, journey_id, sent)


async def _report(floor: Floor, sent: Sent, order: FloorOrder, wanted: list[str], picked: list[dict[str, Any]]) -> None:
    seen = {line_id: sent.text(f"seen:{line_id}") for line_id in wanted}
    check = unchanged(seen, mark, may_be_over=sent.text("already") == "yes")
    data = {"picker": floor.person.id, "lines": picked}
    saved = await floor.report(sent, " ".join(wanted), order.id, "bopis.picked", data, check)
    sent.took(*wanted)
    sent.form_id = new_form()
    sent.saved = dict.fromkeys(wanted, saved)


def _line(sent: Sent, order: FloorOrder, line_id: str) -> dict[str, Any] | None:
    """A line of the report; what is wrong with it is noted beside its field."""
    name = f"quantity:{line_id}"
    quantity, reason = sent.units(name), sent.text(f"reason:{line_id}")
    line = order.line(line_id)
    if quantity is None or line is None:
        return None
    # What the form showed; what is recorded by now is compared under the order's lock.
    still = sent.text(f"seen:{line_id}").rpartition(".")[2]
    limit = int(still) if still.isdigit() else line.still
    if reason and reason not in REASONS:
        sent.problems[f"reason:{line_id}"] = "Choose one of the reasons."
    elif quantity > limit:
        sent.problems[name] = f"The order still wants {limit} of these, not {quantity}. Leave the others on the shelf."
    elif quantity == limit and reason:
        sent.problems[f"reason:{line_id}"] = f"All {limit} are there: then no reason is needed. Correct one of the two."
    elif quantity == 0 and not reason:
        sent.problems[f"reason:{line_id}"] = "Say why there is none, or enter how many you found."
    return {"line_id": line_id, "quantity": quantity, "reason": reason or None}
