"""Returns at the counter: found by whatever number is on the parcel, the mail or the receipt; begun for somebody who
stands there with the goods, with or without a receipt; taken in as they came.
"""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from domain.bopis import ON_THE_HOLD_SHELF, TO_BE_PICKED
from domain.errors import IdempotencyMismatch, Malformed, StaleVersion
from domain.ids import journey_id
from domain.return_requests import NewReturn, ReturnView
from domain.returns import AWAITING_GOODS, REASONS, ReturnState
from ledger.people import Caller
from ledger.reads import counter
from ledger.reads.exchanges import exchange_panel
from ledger.reads.overrides import reasons_of
from ledger.reads.places import all_places
from ledger.reads.returns import names_of
from ledger.returns import overriding, requests
from ledger.returns.document import Return
from ledger.transaction import Transaction
from web.overrides import wanted_of
from web.pages import ConsoleRoute, path, see, written
from web.sessions import SignedIn, database_of
from web.store.floor import MAX_FIELDS, Floor, Sent, attempt, floor_of, new_form, reading, sent_form
from web.store.taking_back import is_sku, may_exchange, return_of

router = APIRouter(route_class=ConsoleRoute)
ROWS = 4  # without a receipt


# ---------------------------------------------------------------------- finding
@router.get("/store/{location}/returns")
async def show_list(request: Request, person: SignedIn, location: str) -> Response:
    """Returns that are to come here; with `find`, what a number stands for."""
    floor = await floor_of(request, person, location)
    number = request.query_params.get("find", "").strip()[:200]
    bought_at = request.query_params.get("at", floor.place.code)
    async with database_of(request).read() as conn:
        waiting = await counter.awaited(conn, floor.place)
        found = await counter.look_up(conn, floor.place, number, bought_at) if number else None
        places = await all_places(conn)
    stores = {code: one for code, one in places.items() if one.entity == floor.place.entity}
    return floor.show(
        "store/returns.html",
        {"returns": waiting, "number": number, "found": found, "stores": stores, "bought_at": bought_at},
    )


# ---------------------------------------------------------------------- beginning
@router.get("/store/{location}/returns/new")
async def show_new(request: Request, person: SignedIn, location: str) -> Response:
    floor = await floor_of(request, person, location)
    return await _show_new(floor, request.query_params.get("sale", ""), Sent())


async def _show_new(floor: Floor, sale: str, sent: Sent) -> Response:
    lines: list[counter.SoldLine] = []
    about: Mapping[str, Any] = {}
    if sale:
        async with database_of(floor.request).read() as conn:
            about = await counter.sale_of(conn, floor.place, sale)
            lines = await counter.sold_lines(conn, floor.place, sale)
    context = {
        "sale": sale,
        "about": about,
        "lines": lines,
        "sent": sent,
        "reasons": REASONS,
        "rows": range(1, ROWS + 1),
    }
    return floor.show("store/take_back.html", context, status=sent.status)


@router.post("/store/{location}/returns/new")
async def begin(request: Request, person: SignedIn, location: str) -> Response:
    """Begin a return of what the customer has brought; policy answers line by line on the next page."""
    floor = await floor_of(request, person, location)
    floor.must_report()
    sent = await sent_form(request)
    sale = sent.text("sale")
    about = await reading(request, lambda conn: counter.sale_of(conn, floor.place, sale)) if sale else {}
    lines = await _of_sale(floor, sent, sale, about) if sale else _without_receipt(sent)
    mail = sent.text("customer_mail")
    if mail and not re.fullmatch(r"[^@\s]+@[^@\s]+", mail):
        sent.problems["customer_mail"] = "This is no mail address. Correct it, or leave it out."
    if not sent.problems and not lines:
        sent.problems["form"] = "Enter how many come back; nothing is entered."
    began: list[str] = []

    async def work() -> None:
        began.append(await _begin(floor, sent, about, sale, lines))

    if not sent.problems:
        await attempt(sent, work)
    if began:
        return see(request, f"/store/{path(floor.place.code)}/returns/{path(began[0])}")
    return await _show_new(floor, sale, sent)


async def _begin(floor: Floor, sent: Sent, about: Mapping[str, Any], sale: str, lines: list[dict[str, Any]]) -> str:
    """Ask for the return as the system that sold the goods would; returns its journey."""
    currency = await reading(floor.request, lambda conn: counter.currency_of(conn, floor.place))
    source = str(about.get("source") or counter.OWN)
    wanted = {
        "return_id": _key(floor, sent),
        "order_reference": sale if about.get("is_order") else None,
        "receipt": {"number": about["number"], "location": about["at"]} if about and not about["is_order"] else None,
        "bought_at": "web" if about.get("is_order") else "store",
        "returned_to": floor.place.code,
        "currency": currency,
        "customer": _customer(sent),
        "lines": lines,
    }
    try:
        asked = NewReturn.model_validate(wanted)
    except ValidationError as error:
        raise Malformed(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from error
    caller = Caller.on_page(floor.person, source, frozenset({source}))
    try:
        _, answer = await requests.start(
            database_of(floor.request), caller, asked, actor=floor.person.id, via="console", is_here=True
        )
    except IdempotencyMismatch as error:
        raise StaleVersion("This form was sent before with something else in it. Look it up again.") from error
    return answer.journey_id


def _key(floor: Floor, sent: Sent) -> str:
    """The same form is the same return, however often it is sent."""
    return f"{floor.place.code}-{sent.form_id[:10].upper()}"


def _customer(sent: Sent) -> dict[str, str]:
    given = {"name": sent.text("customer_name")[:200], "email": sent.text("customer_mail")[:320]}
    return {name: value for name, value in given.items() if value}


async def _of_sale(floor: Floor, sent: Sent, sale: str, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the form says of the lines of a sale; what is left out stays with the customer. Of a form that was sent
    before, what it took itself is no reason to refuse it.
    """
    own = journey_id("returns", str(about["source"]), _key(floor, sent))
    async with database_of(floor.request).read() as conn:
        sold = await counter.sold_lines(conn, floor.place, sale)
        was_sent = await counter.is_begun(conn, own)
    told = []
    for line in sold:
        name = f"quantity:{line.line_id}"
        if not sent.text(name):
            continue
        units = sent.units(name)
        if units and units > line.left and not was_sent:
            sent.problems[name] = f"{line.left} of it can come back; the others came back, or are announced."
        if units:
            told.append(
                {"line_id": line.line_id, "order_line_id": line.line_id, "sku": line.sku, "quantity": units}
                | {"reason": _reason(sent, line.line_id)}
            )
    return told


def _without_receipt(sent: Sent) -> list[dict[str, Any]]:
    told = []
    for row in range(1, ROWS + 1):
        sku, units = sent.text(f"sku:{row}"), sent.text(f"units:{row}")
        if not sku and not units:
            continue
        if not is_sku(sku):
            sent.problems[f"sku:{row}"] = "Enter the SKU as it stands on the label."
        number = sent.units(f"units:{row}")
        if number == 0:
            sent.problems[f"units:{row}"] = "Enter how many of it came, or clear its SKU."
        told.append({"line_id": str(row), "sku": sku, "quantity": number or 0, "reason": _reason(sent, str(row))})
    return told


def _reason(sent: Sent, line_id: str) -> str:
    found = sent.text(f"reason:{line_id}")
    if found not in REASONS:
        sent.problems[f"reason:{line_id}"] = "Choose why it comes back."
    return found


# ---------------------------------------------------------------------- taking in
@router.get("/store/{location}/returns/{return_id}")
async def show(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    floor = await floor_of(request, person, location)
    return await _show(floor, return_id, Sent())


async def _show(floor: Floor, named: str, sent: Sent) -> Response:
    row, found = await return_of(floor, named)
    names = await reading(floor.request, lambda conn: names_of(conn, {line.sku for line in found.lines}))
    context = {
        "returned": found,
        "is_asking": any(one.state == "pending" for one in found.overrides),
        "may_override": [line for line in found.lines if line.may_override],
        "override_reasons": await reading(floor.request, lambda conn: reasons_of(conn, row["id"])),
        "named": found.journey_id if row["location"] == floor.place.code else named,
        "elsewhere": row["location"] != floor.place.code,
        "is_awaited": ReturnState(found.state) in AWAITING_GOODS,
        "lines": [line for line in found.lines if not line.refused],
        "refused": [line for line in found.lines if line.refused],
        "to_inspect": sum(line.waiting for line in found.lines),
        "may_exchange": may_exchange(found),
        "swap": await reading(floor.request, lambda conn: exchange_panel(conn, floor.person, found.journey_id)),
        "to_pick": TO_BE_PICKED,
        "on_the_shelf": ON_THE_HOLD_SHELF,
        "names": names,
        "sent": sent,
    }
    return floor.show("store/take_in.html", context, status=sent.status)


@router.post("/store/{location}/returns/{return_id}")
async def take_in(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    """Record what has come. A field that is left empty is no number, and never taken for zero."""
    floor = await floor_of(request, person, location)
    row, found = await return_of(floor, return_id)
    floor.must_report()
    sent = await sent_form(request)
    told = _came(sent, found)
    if not sent.problems and not any(one["quantity"] for one in told):
        sent.problems["form"] = "Enter how many have come; nothing is entered."
    if not sent.problems:
        await attempt(sent, lambda: _report(floor, sent, found, told))
    named = found.journey_id if row["location"] == floor.place.code or sent.saved else return_id
    return await _show(floor, named, sent)


def _came(sent: Sent, found: ReturnView) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for line in found.lines:
        name = f"quantity:{line.line_id}"
        if sent.text(name):
            units = sent.units(name)
            told += [{"line_id": line.line_id, "quantity": units}] if units else []
    sku, units_of_other = sent.text("other"), sent.text("units")
    if sku or units_of_other:
        if not is_sku(sku):
            sent.problems["other"] = "Enter the SKU of what came, as it stands on its label."
        number = sent.units("units")
        if number == 0:
            sent.problems["units"] = "Enter how many of it came, or clear its SKU."
        told.append({"line_id": None, "sku": sku, "quantity": number or 0})
    return told


async def _report(floor: Floor, sent: Sent, found: ReturnView, told: list[dict[str, Any]]) -> None:
    seen = {
        line.line_id: sent.text(f"seen:{line.line_id}") for line in found.lines if f"seen:{line.line_id}" in sent.fields
    }

    def check(it: Return) -> None:
        for line_id, before in seen.items():
            if line_id in it.lines and str(it.lines[line_id]["received"]) != before:
                raise StaleVersion("Somebody has taken goods of this return in since you opened the page. Look again.")

    data = {
        "actor": floor.person.id,
        "location": floor.place.code,
        "lines": told,
        "complete": sent.text("more") != "yes",
    }
    saved = await floor.report(sent, "received", found.journey_id, "return.received", data, check, named="return_id")
    sent.fields, sent.form_id = {}, new_form()
    sent.saved = {"received": saved}


# ---------------------------------------------------------------------- what was refused
@router.post("/store/{location}/returns/{return_id}/override")
async def override(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    """Ask to take back what was refused; the page says whom it waits for. A refusal keeps what was typed."""
    floor = await floor_of(request, person, location)
    _, found = await return_of(floor, return_id)
    floor.must_report()
    form = await request.form(max_fields=MAX_FIELDS)
    sent = Sent({name: value for name, value in form.multi_items() if isinstance(value, str)})
    lines = [value for value in form.getlist("line") if isinstance(value, str)]

    async def find(_tx: Transaction) -> str:
        return found.journey_id

    async def work() -> None:
        wanted = wanted_of(lines, sent.text("reason"), written(sent.text("note")))
        await overriding.ask(database_of(request), find, wanted, actor=person.id, via="console")

    await attempt(sent, work)
    if sent.refusal is None:
        return see(request, f"/store/{path(floor.place.code)}/returns/{path(return_id)}")
    sent.lines = frozenset(lines)
    return await _show(floor, return_id, sent)
