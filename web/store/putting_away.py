"""Putting away: goods that nobody will collect go back from the hold shelf to the shelf, or are damaged."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from domain.errors import StaleVersion
from ledger.bopis.order import Order
from ledger.reads.store import FloorLine, FloorOrder, orders_for
from web.pages import ConsoleRoute
from web.sessions import SignedIn
from web.store.floor import Floor, Sent, attempt, floor_of, new_form, reading, sent_form

router = APIRouter(route_class=ConsoleRoute)
CONDITIONS = (("good", "quantity"), ("damaged", "damaged"))


@router.get("/store/{location}/put-away")
async def show_list(request: Request, person: SignedIn, location: str) -> Response:
    floor = await floor_of(request, person, location)
    orders = await reading(request, lambda conn: orders_for(conn, floor.place, "put_away"))
    return floor.show("store/put_aways.html", {"orders": orders})


@router.get("/store/{location}/put-away/{journey_id}")
async def show(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await show_order(floor, journey_id, Sent())


async def show_order(floor: Floor, journey_id: str, sent: Sent) -> Response:
    order = await floor.order(journey_id)
    others = await reading(floor.request, lambda conn: orders_for(conn, floor.place, "put_away"))
    context = {
        "order": order,
        "sent": sent,
        "lines": [line for line in order.lines if line.unclaimed],
        "next": next((one for one in others if one.id != journey_id), None),
    }
    return floor.show("store/put_away.html", context, status=sent.status)


@router.post("/store/{location}/put-away/{journey_id}")
async def save(request: Request, person: SignedIn, location: str, journey_id: str) -> Response:
    """Record what went back to the shelf and what is damaged. What is left out stays on the hold shelf."""
    floor = await floor_of(request, person, location)
    order = await floor.order(journey_id)
    floor.must_report()
    sent = await sent_form(request)
    lines = {line.line_id: _quantities(sent, line) for line in order.lines if f"seen:{line.line_id}" in sent.fields}
    if not sent.problems and not any(sum(both) for both in lines.values()):
        sent.problems["form"] = "Enter what you put away; nothing is entered."
    if not sent.problems:
        await attempt(sent, lambda: _report(floor, sent, order, lines))
    return await show_order(floor, journey_id, sent)


async def _report(floor: Floor, sent: Sent, order: FloorOrder, lines: dict[str, tuple[int, int]]) -> None:
    """Two facts, of what is good and of what is damaged; sent again after half of it, the other half is taken."""
    taken: dict[str, int] = {}
    for column, (condition, _) in enumerate(CONDITIONS):
        quantities = {line_id: both[column] for line_id, both in lines.items() if both[column]}
        if not quantities:
            continue
        data: dict[str, Any] = {
            "actor": floor.person.id,
            "condition": condition,
            "lines": [{"line_id": line_id, "quantity": quantity} for line_id, quantity in quantities.items()],
        }
        check = _waiting(sent, dict(taken), list(quantities))
        saved = await floor.report(sent, condition, order.id, "bopis.put_away", data, check)
        for line_id, quantity in quantities.items():
            taken[line_id] = quantity
            sent.saved[line_id] = saved
    sent.took(*lines)
    sent.form_id = new_form()


def _waiting(sent: Sent, taken: dict[str, int], line_ids: list[str]) -> Any:
    """A check that as many wait to be put away as the form showed, less what the form itself has put away."""

    def check(order: Order) -> None:
        for line_id in line_ids:
            if str(order.on_hold_shelf(line_id) + taken.get(line_id, 0)) != sent.text(f"seen:{line_id}"):
                raise StaleVersion("Somebody has put goods of this order away since you opened the page. Look again.")

    return check


def _quantities(sent: Sent, line: FloorLine) -> tuple[int, int]:
    """Good and damaged units; what is wrong with them is noted beside the field."""
    found = [sent.units(f"{name}:{line.line_id}") for _, name in CONDITIONS]
    good, damaged = (one or 0 for one in found)
    seen = sent.text(f"seen:{line.line_id}")
    if None not in found and seen.isdigit() and good + damaged > int(seen):
        sent.problems[f"quantity:{line.line_id}"] = f"{seen} stand on the hold shelf, and this makes {good + damaged}."
    return good, damaged
