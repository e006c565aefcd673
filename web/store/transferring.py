"""Sending goods to another place, and receiving them: each form is one fact, of all the lines that it names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError

from domain.errors import Malformed, NotFound, StaleVersion, StateConflict
from domain.orders import Code
from domain.transfer import BEFORE_APPROVAL, FINAL, TransferState
from domain.transfers import ReceivedTransferLine, TransferLineView, TransferView
from ledger.reads.dock import counted_lines, not_sent_yet, to_receive, to_send
from ledger.reads.places import all_places, item_names
from ledger.reads.transfers import transfer_view
from ledger.transfer.document import Transfer
from ledger.transfer.receiving import without_number
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of
from web.store.floor import Floor, Sent, attempt, floor_of, new_form, reading, sent_form

router = APIRouter(route_class=ConsoleRoute)
NOT_NOW = BEFORE_APPROVAL | FINAL  # goods of these do not move, unless they have done so already
CALLED_OFF = frozenset({TransferState.CANCELLED, TransferState.REJECTED})
MAX_NAME = 200
SKU = TypeAdapter[str](Code)


# ---------------------------------------------------------------------- sending
@router.get("/store/{location}/send")
async def show_sends(request: Request, person: SignedIn, location: str) -> Response:
    floor = await floor_of(request, person, location)
    found = await reading(request, lambda conn: to_send(conn, floor.place.code))
    return floor.show("store/sends.html", {"transfers": found})


@router.get("/store/{location}/send/{transfer_id}")
async def show_send(request: Request, person: SignedIn, location: str, transfer_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await _show_send(floor, transfer_id, Sent())


async def _show_send(floor: Floor, transfer_id: str, sent: Sent) -> Response:
    found = await _transfer(floor, transfer_id, "from_")
    async with database_of(floor.request).read() as conn:
        names = await item_names(conn, {line.sku for line in found.lines})
        others = await to_send(conn, floor.place.code)
        places = await all_places(conn)
    # What was called off may have left all the same: its lines stand there for whoever says so.
    was_called_off = found.state in CALLED_OFF and not sent.saved
    lines = [
        line for line in found.lines if was_called_off or left_to_send(line) or f"seen:{line.line_id}" in sent.fields
    ]
    scanned = scanned_item(floor)
    context = {
        "transfer": found,
        "sent": sent,
        "lines": scanned_first(lines, scanned),
        "scanned": scanned,
        "left_to_send": left_to_send,
        "names": names,
        "places": places,
        "not_now": found.state in NOT_NOW,
        "next": next((one for one in others if one.journey_id != found.journey_id), None),
    }
    return floor.show("store/send.html", context, status=sent.status)


def scanned_item(floor: Floor) -> str:
    """The SKU that was scanned or typed above the form; empty where none was."""
    return floor.request.query_params.get("sku", "").strip()[:MAX_NAME]


def scanned_first(lines: Sequence[TransferLineView], scanned: str) -> list[TransferLineView]:
    """The lines, those of the scanned item before the others."""
    return sorted(lines, key=lambda line: line.sku != scanned) if scanned else list(lines)


def left_to_send(line: TransferLineView) -> int:
    return max(line.ordered - line.cancelled - line.shipped, 0)


@router.post("/store/{location}/send/{transfer_id}")
async def send(request: Request, person: SignedIn, location: str, transfer_id: str) -> Response:
    """Record what has left. What is left out waits, unless the form says that the rest is not sent."""
    floor = await floor_of(request, person, location)
    found = await _transfer(floor, transfer_id, "from_")
    floor.must_report()
    sent = await sent_form(request)
    asked = [line for line in found.lines if f"seen:{line.line_id}" in sent.fields]
    quantities = {line.line_id: _leaving(sent, line) for line in asked}
    is_rest_cut = sent.text("complete") == "yes"
    if not sent.problems and not (any(quantities.values()) or (quantities and is_rest_cut)):
        sent.problems["form"] = "Enter what you send; nothing is entered."
    for name in ("carrier", "tracking"):
        _short_enough(sent, name, MAX_NAME)
    if not sent.problems:
        data = {
            "actor": floor.person.id,
            "lines": [{"line_id": name, "quantity": number} for name, number in quantities.items()],
            "carrier": sent.text("carrier") or None,
            "tracking": sent.text("tracking") or None,
            "complete": is_rest_cut,
        }
        check = unchanged(sent, lambda it, line_id: str(it.to_ship(it.lines[line_id])))
        await attempt(sent, lambda: report_goods(floor, sent, found, "transfer.shipped", data, check))
    return await _show_send(floor, found.journey_id, sent)


def _leaving(sent: Sent, line: TransferLineView) -> int:
    """Units of a line that leave; more than are asked for is a slip, unless the form says that they have left."""
    name, seen = f"quantity:{line.line_id}", sent.text(f"seen:{line.line_id}")
    number = sent.units(name) or 0
    has_left = "yes" in (sent.text("more"), sent.text("already"))
    if seen.isdecimal() and number > int(seen) and not has_left:
        sent.problems[name] = f"{seen} are still to be sent. If more have left, say so below."
        sent.problems["more"] = "More than asked for is sent only when you say so."
    return number


# ---------------------------------------------------------------------- receiving
@router.get("/store/{location}/receive")
async def show_receipts(request: Request, person: SignedIn, location: str) -> Response:
    floor = await floor_of(request, person, location)
    async with database_of(request).read() as conn:
        found = await to_receive(conn, floor.place.code)
        later = await not_sent_yet(conn, floor.place.code)
    return floor.show("store/receives.html", {"transfers": found, "later": later})


@router.get("/store/{location}/receive/{receipt_id}")
async def show_receipt(request: Request, person: SignedIn, location: str, receipt_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await _show_receipt(floor, receipt_id, Sent())


async def _show_receipt(floor: Floor, transfer_id: str, sent: Sent) -> Response:
    found = await _transfer(floor, transfer_id, "to")
    async with database_of(floor.request).read() as conn:
        names = await item_names(conn, {line.sku for line in found.lines} | {extra.sku for extra in found.extras})
        others = await to_receive(conn, floor.place.code)
        counted = await counted_lines(conn, found.journey_id)
        places = await all_places(conn)
    scanned = scanned_item(floor)
    context = {
        "transfer": found,
        "sent": sent,
        "names": names,
        "places": places,
        "lines": scanned_first(found.lines, scanned),
        "scanned": scanned,
        "marks": {line.line_id: mark_of_view(found, line) for line in found.lines},
        "counted": {line.line_id for line in found.lines if line.line_id in counted and line.in_transit},
        "is_compared": found.state in (TransferState.RECEIVED, TransferState.DISCREPANCY_REVIEW),
        "left_to_send": left_to_send,
        "not_now": found.state in NOT_NOW,
        "next": next((one for one in others if one.journey_id != found.journey_id), None),
    }
    return floor.show("store/receive.html", context, status=sent.status)


@router.post("/store/{location}/receive/{receipt_id}")
async def receive(request: Request, person: SignedIn, location: str, receipt_id: str) -> Response:
    """Record what has come. A line that is left empty has no number: it is never taken for zero."""
    floor = await floor_of(request, person, location)
    found = await _transfer(floor, receipt_id, "to")
    floor.must_report()
    sent = await sent_form(request)
    is_all = sent.text("complete") == "yes"
    asked = [line for line in found.lines if f"seen:{line.line_id}" in sent.fields]
    told = [one for line in asked for one in _come(sent, line, is_all=is_all)]
    if not sent.problems and not told and not is_all:
        sent.problems["form"] = "Enter what has come; nothing is entered."
    if not sent.problems and not told:
        _mark_empty(sent, [line.line_id for line in asked])
    if not sent.problems:
        await _receive(floor, sent, found, told, is_all=is_all)
    return await _show_receipt(floor, found.journey_id, sent)


def _come(sent: Sent, line: TransferLineView, *, is_all: bool) -> list[dict[str, Any]]:
    """What the form says of a line: good and damaged units, and another item that came in its place."""
    own, name = line.line_id, f"quantity:{line.line_id}"
    numbers = {
        condition: sent.units(f"{field}:{own}")
        for condition, field in (("good", "quantity"), ("damaged", "damaged"))
        if sent.text(f"{field}:{own}")
    }
    if not numbers and is_all and sent.text(f"counted:{own}") == "yes":
        numbers = {"good": 0}  # it has its number; nothing more of it comes
    if "good" not in numbers and numbers.get("damaged") == 0:
        sent.problems[name] = "Enter how many came in good order; 0 if none did."
    told = [{"line_id": own, "quantity": number, "condition": kind} for kind, number in numbers.items()]
    sku, of_other = sent.text(f"other:{own}"), sent.text(f"units:{own}")
    if not sku and not of_other:
        return told
    units = sent.units(f"units:{own}")
    if not _is_sku(sku):
        sent.problems[f"other:{own}"] = "Enter the SKU of what came in its place, as it stands on its label."
    elif sku == line.sku:
        sent.problems[f"other:{own}"] = "That is the item itself: enter it above."
    elif units == 0:
        sent.problems[f"units:{own}"] = "Enter how many of it came, or clear its SKU."
    if not numbers:
        sent.problems[name] = f"Enter how many of {line.sku} itself came; 0 if none did."
    return [*told, {"line_id": own, "sku": sku, "quantity": units, "condition": "good"}]


def _is_sku(typed: str) -> bool:
    try:
        SKU.validate_python(typed)
    except ValidationError:
        return False
    return True


async def _receive(floor: Floor, sent: Sent, found: TransferView, told: list[dict[str, Any]], *, is_all: bool) -> None:
    lines = [ReceivedTransferLine(line_id=str(one["line_id"]), quantity=one["quantity"]) for one in told]
    mark_ok = unchanged(sent, mark, only={one.line_id for one in lines})
    empty: list[str] = []

    def check(it: Transfer) -> None:
        mark_ok(it)
        empty.extend(without_number(it, lines) if is_all else [])
        if empty:
            raise Malformed(_no_number(empty), pointer="/data/complete")

    data = {"actor": floor.person.id, "location": floor.place.code, "lines": told, "complete": is_all}
    await attempt(sent, lambda: report_goods(floor, sent, found, "transfer.received", data, check))
    if empty:
        _mark_empty(sent, empty)


def _mark_empty(sent: Sent, line_ids: list[str]) -> None:
    sent.problems["complete"] = _no_number(line_ids)
    for line_id in line_ids:
        sent.problems[f"quantity:{line_id}"] = "Enter how many came; 0 if none did."


def _no_number(line_ids: list[str]) -> str:
    which = f"line {line_ids[0]} has" if len(line_ids) == 1 else f"lines {', '.join(line_ids)} have"
    return f"That nothing more comes cannot be said yet: {which} no number. Enter 0 where nothing came."


def mark(it: Transfer, line_id: str) -> str:
    """What is known of a line at its destination."""
    line = it.lines[line_id]
    beside = sum(extra["quantity"] for extra in it.extras if extra["line_id"] == line_id)
    return f"{line['in_transit']}/{line['received']}/{line['damaged']}/{beside}"


def mark_of_view(found: TransferView, line: TransferLineView) -> str:
    beside = sum(extra.quantity for extra in found.extras if extra.line_id == line.line_id)
    return f"{line.in_transit}/{line.received}/{line.damaged}/{beside}"


# ---------------------------------------------------------------------- both
async def _transfer(floor: Floor, transfer_id: str, end: str) -> TransferView:
    """The transfer as it is recorded now. Raises `NotFound` also for one that does not begin, or end, at this place."""
    found = await reading(floor.request, lambda conn: transfer_view(conn, floor.person, transfer_id))
    if getattr(found, end) != floor.place.code:
        way = "from" if end == "from_" else "to"
        raise NotFound(f"There is no transfer {transfer_id} {way} {floor.place.name}.")
    return found


def _short_enough(sent: Sent, name: str, most: int) -> None:
    if len(sent.text(name)) > most:
        sent.problems[name] = f"Enter at most {most} characters."


def unchanged(
    sent: Sent, mark_of: Callable[[Transfer, str], str], *, only: set[str] | None = None, always: bool = False
) -> Callable[[Transfer], None]:
    """A check under the transfer's lock: it is not over meanwhile, and its lines are what the form showed. Goods that
    have moved already are taken whatever it is; with `always` none other are reported.
    """
    seen = {name.removeprefix("seen:"): sent.text(name) for name in sent.fields if name.startswith("seen:")}
    has_moved = always or sent.text("already") == "yes"

    def check(it: Transfer) -> None:
        if it.state in NOT_NOW:
            if not has_moved:
                raise StateConflict(f"Transfer {it.row['key']} is {it.row['state'].replace('_', ' ')}.")
            return
        for line_id, before in seen.items():
            if (only is None or line_id in only) and line_id in it.lines and mark_of(it, line_id) != before:
                raise StaleVersion("Somebody has reported goods of this line since you opened the page. Look again.")

    return check


async def report_goods(
    floor: Floor, sent: Sent, found: TransferView, kind: str, data: Mapping[str, Any], check: Callable[[Any], None]
) -> None:
    saved = await floor.report(sent, kind, found.journey_id, kind, data, check, named="transfer_id")
    sent.fields = {}
    sent.form_id = new_form()
    sent.saved = dict.fromkeys([str(line["line_id"]) for line in data["lines"]], saved)
