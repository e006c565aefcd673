"""Handing over: find the order by its number, pickup code or customer's name, look at the proof, give the goods."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ledger.reads.store import FloorLine, FloorOrder, case_after_close, find_orders, orders_for
from web.pages import ConsoleRoute, path, see
from web.sessions import SignedIn
from web.store.floor import Floor, Sent, attempt, floor_of, new_form, reading, sent_form, unchanged

router = APIRouter(route_class=ConsoleRoute)
MAX_NAME = 200


def mark(line: FloorLine | Mapping[str, Any]) -> str:
    """What of a line matters at the counter: how many stand ready, how many were collected."""
    if isinstance(line, FloorLine):
        return f"{line.staged}.{line.collected}"
    return f"{line['staged']}.{line['collected']}"


@router.get("/store/{location}/hand-over")
async def show_list(request: Request, person: SignedIn, location: str) -> Response:
    """Orders that wait for their customer, and the search."""
    floor = await floor_of(request, person, location)
    return await _list(floor, "", None)


async def _list(floor: Floor, words: str, problem: str | None, found: list[FloorOrder] | None = None) -> Response:
    ready = await reading(floor.request, lambda conn: orders_for(conn, floor.place, "hand_over"))
    context = {"ready": ready, "find": words, "found": found, "problem_find": problem}
    return floor.show("store/hand_overs.html", context, status=422 if problem and not words else 200)


@router.post("/store/{location}/hand-over")
async def find(request: Request, person: SignedIn, location: str) -> Response:
    """Look for an order. A form, not an address: a customer's name belongs into no history and no log."""
    floor = await floor_of(request, person, location)
    floor.must_report()
    form = await request.form()
    words = str(form.get("find", "")).strip()[:MAX_NAME]
    if len(words) < 2:
        return await _list(floor, words, "Scan or type the order number, the pickup code, or two letters of the name.")
    found = await reading(request, lambda conn: find_orders(conn, floor.place, words))
    if len(found) == 1:
        return see(request, f"/store/{path(floor.place.code)}/hand-over/{path(found[0].id)}")
    nobody = "No open order here has this number, code or name. Look at the mail: it may be another store's."
    return await _list(floor, words, None if found else nobody, found)


@router.get("/store/{location}/hand-over/{journey_id}")
async def show(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await show_order(floor, journey_id, Sent())


async def show_order(floor: Floor, journey_id: str, sent: Sent) -> Response:
    order = await floor.order(journey_id)
    context = {
        "order": order,
        "sent": sent,
        "mark": mark,
        "case_id": await reading(floor.request, lambda conn: case_after_close(conn, journey_id)),
    }
    return floor.show("store/hand_over.html", context, status=sent.status)


@router.post("/store/{location}/hand-over/{journey_id}")
async def save(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    """Record what was given, what the customer did not want, and the proof. All of it or nothing is saved."""
    floor = await floor_of(request, person, location)
    order = await floor.order(journey_id)
    floor.must_report()
    sent = await sent_form(request)
    lines = [one for one in (_line(sent, line) for line in order.lines) if one is not None]
    proof = _proof(sent, order)
    if not sent.problems and not any(line["quantity"] or line["refused_quantity"] for line in lines):
        sent.problems["form"] = "Enter what the customer takes; nothing is entered."
    if not sent.problems:
        await attempt(sent, lambda: _report(floor, sent, order, lines, proof))
    return await show_order(floor, journey_id, sent)


async def _report(
    floor: Floor, sent: Sent, order: FloorOrder, lines: list[dict[str, Any]], proof: dict[str, Any]
) -> None:
    seen = {line["line_id"]: sent.text(f"seen:{line['line_id']}") for line in lines}
    check = unchanged(seen, mark, may_be_over=sent.text("already") == "yes")
    data = {"actor": floor.person.id, "lines": lines, "proof": proof}
    saved = await floor.report(sent, "hand-over", order.id, "bopis.handed_over", data, check)
    sent.fields = {}
    sent.form_id = new_form()
    sent.saved = {line["line_id"]: saved for line in lines}


def _line(sent: Sent, line: FloorLine) -> dict[str, Any] | None:
    """A line of the report; None for one that the form did not show."""
    if f"seen:{line.line_id}" not in sent.fields:
        return None
    given, refused = f"quantity:{line.line_id}", f"refused:{line.line_id}"
    quantity, left = sent.units(given), sent.units(refused) if refused in sent.fields else 0
    if quantity is None or left is None:
        return None
    ready = sent.text(f"seen:{line.line_id}").partition(".")[0]
    if quantity + left > (int(ready) if ready.isdigit() else line.staged):
        sent.problems[given] = f"{ready} stand ready, and this makes {quantity + left}. Pick the others first."
    return {"line_id": line.line_id, "quantity": quantity, "refused_quantity": left}


def _proof(sent: Sent, order: FloorOrder) -> dict[str, Any]:
    """How the customer has shown that the goods are theirs; what is lacking is noted beside its field."""
    kind, code, name = sent.text("proof"), "".join(sent.text("code").split()), sent.text("collected_by")
    checked = sent.text("id_checked") == "yes"
    if kind == "code" and not code:
        sent.problems["code"] = "Scan or type the pickup code from the customer's mail, or check an ID instead."
    elif kind == "code" and code != order.pickup_code:
        sent.problems["code"] = "This is not the code of this order. Type it again, or check an ID instead."
    elif kind == "id" and not name:
        sent.problems["collected_by"] = "Write down the name on the ID."
    elif kind not in ("code", "id"):
        sent.problems["proof"] = "Choose what the customer showed you."
    if order.age_limit and not checked:
        sent.problems["id_checked"] = (
            f"Something here is sold from {order.age_limit} years on. Look at the ID and tick this; "
            "without it, keep the goods here."
        )
    for field in ("collected_by", "relation"):
        if len(sent.text(field)) > MAX_NAME:
            sent.problems[field] = f"At most {MAX_NAME} characters."
    return {
        "kind": kind,
        "code": code or None,
        "name": name or None,
        "relation": sent.text("relation") or None,
        "id_checked": checked,
    }
