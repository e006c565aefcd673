"""An exchange at the counter: what the customer takes instead, what it comes to, and who pays the rest.

What is chosen stands in the address until it is agreed to, so a page may be looked at again, or gone back to, at will.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy import RowMapping

from domain.errors import DomainError, IdempotencyMismatch, Malformed, StaleVersion
from domain.orders import PaymentIn
from domain.return_requests import ReturnView
from domain.words import plain_money, read_money
from ledger.people import Caller
from ledger.reads.places import item_names
from ledger.reads.replacements import proposals
from ledger.reads.store import StorePlace
from ledger.returns import exchanging
from ledger.returns.quoting import TILL, Quote, Taken, quote
from web.pages import ConsoleRoute, path, see
from web.sessions import SignedIn, database_of
from web.store.floor import MAX_FIELDS, Floor, Sent, attempt, floor_of, reading, sent_form
from web.store.taking_back import is_sku, may_come, may_exchange, return_of

router = APIRouter(route_class=ConsoleRoute)
ROWS = 3
TENDERS = ("card", "cash", "wallet", "gift_card")
HOW = ("till", "link")
CHOSEN = ("line", "sku:", "units:", "tax:")  # fields without which nothing can be worked out


@router.get("/store/{location}/returns/{return_id}/exchange")
async def show(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    """What they take instead; with that in the address, what it comes to."""
    floor = await floor_of(request, person, location)
    given = request.query_params
    sent = Sent(dict(given.multi_items()), lines=frozenset(given.getlist("line")))
    return await _show(floor, return_id, sent)


async def _show(floor: Floor, named: str, sent: Sent) -> Response:
    row, found = await return_of(floor, named)
    may = may_exchange(found)
    ticked = _ticked(sent, found)
    quoted = await _quoted(floor, row, found, sent) if may and _is_asked(sent) else None
    async with database_of(floor.request).read() as conn:
        names = await item_names(conn, {line.sku for line in found.lines})
        skus = [line.sku for line in found.lines if line.line_id in ticked]
        proposed = await proposals(conn, floor.place, skus, TILL) if may else []
    context = {
        "returned": found,
        "named": named,
        "may": may,
        "lines": [line for line in found.lines if line.line_id in may_come(found)],
        "ticked": ticked,
        "names": names,
        "has_sale": found.order is not None or bool((row["detail"].get("receipt") or {}).get("known")),
        "proposed": proposed,
        "rows": _rows(sent),
        "quote": quoted,
        "quoted": {line.sku: line for line in quoted.lines} if quoted else {},
        "tenders": TENDERS,
        "plain": lambda minor: plain_money(minor, row["currency"]),
        "sent": sent,
    }
    return floor.show("store/exchange.html", context, status=sent.status)


def _rows(sent: Sent) -> list[int]:
    """The fields for what is taken: those that are filled, and an empty one."""
    filled = [row for row in range(1, ROWS + 1) if sent.text(f"sku:{row}") or sent.text(f"units:{row}")]
    return [*filled, *[row for row in range(1, ROWS + 1) if row not in filled][:1]]


def _ticked(sent: Sent, found: ReturnView) -> list[str]:
    """The lines that are exchanged: all that may be, where nobody has chosen yet."""
    may = may_come(found)
    return [line_id for line_id in may if line_id in sent.lines] if sent.lines else may


def _is_asked(sent: Sent) -> bool:
    return any(sent.text(f"{name}:{row}") for row in range(1, ROWS + 1) for name in ("sku", "units"))


async def _quoted(floor: Floor, row: RowMapping, found: ReturnView, sent: Sent) -> Quote | None:
    """What it comes to; None with the reason in `sent` where that cannot be said."""
    taken = await _taken(floor, row, sent)
    unknown = sent.lines - set(may_come(found))
    if unknown:
        sent.problems["line"] = f"Line {min(unknown)} is not to be exchanged. Tick what comes back again."
    if not taken or any(name.startswith(CHOSEN) for name in sent.problems):
        return None
    try:
        return await quote(
            database_of(floor.request),
            floor.place,
            found.journey_id,
            lines=_ticked(sent, found),
            taken=taken,
            with_tax=sent.text("without_tax") != "yes",
        )
    except DomainError as refused:
        sent.refusal = sent.refusal or refused
        return None


async def _taken(floor: Floor, row: RowMapping, sent: Sent) -> list[Taken]:
    """What the form names; what is wrong with it is noted beside its field."""
    named = {number: sent.text(f"sku:{number}") for number in range(1, ROWS + 1)}
    known = await reading(floor.request, lambda conn: item_names(conn, {sku for sku in named.values() if sku}))
    taken: list[Taken] = []
    for number, sku in named.items():
        if not sku and not sent.text(f"units:{number}"):
            continue
        if not is_sku(sku):
            sent.problems[f"sku:{number}"] = "Enter the SKU as it stands on the label."
        elif sku not in known:
            sent.problems[f"sku:{number}"] = "Nothing here is known under this SKU. Read the label again."
        elif sku in [one.sku for one in taken]:
            sent.problems[f"sku:{number}"] = "This stands above already; change how many there."
        units = sent.units(f"units:{number}")
        if units == 0:
            sent.problems[f"units:{number}"] = "Enter how many of it, or clear its SKU."
        taken.append(Taken(sku, units or 0, _tax(sent, number, sku, str(row["currency"]))))
    return taken


def _tax(sent: Sent, number: int, sku: str, currency: str) -> int | None:
    """The tax that somebody has typed for what stands in a row; one that was shown for another item counts no more."""
    typed = sent.text(f"tax:{number}")
    if not typed or sent.text(f"taxed:{number}") != f"{sku}|{sent.text(f'units:{number}')}":
        return None
    try:
        return read_money(typed, currency)
    except Malformed as wrong:
        sent.problems[f"tax:{number}"] = wrong.detail
        return None


# ---------------------------------------------------------------------- agreed to
@router.post("/store/{location}/returns/{return_id}/exchange")
async def agree(request: Request, person: SignedIn, location: str, return_id: str) -> Response:
    """Place the replacement as it was shown. A form that is sent twice places it once."""
    floor = await floor_of(request, person, location)
    row, found = await return_of(floor, return_id)
    floor.must_report()
    sent = await sent_form(request)
    form = await request.form(max_fields=MAX_FIELDS)
    sent.lines = frozenset(value for value in form.getlist("line") if isinstance(value, str))
    if not await _was_placed(floor, row, sent):
        quoted = await _quoted(floor, row, found, sent)
        payments = _payments(sent, quoted) if quoted is not None else []
        if quoted is not None and not sent.problems and sent.refusal is None:
            await attempt(sent, lambda: _place(floor, row, found, sent, quoted, payments))
        if sent.problems or sent.refusal is not None or quoted is None:
            if not sent.problems and sent.refusal is None:
                sent.problems["form"] = "Enter what the customer takes instead; nothing is entered."
            return await _show(floor, return_id, sent)
    return see(request, f"/store/{path(floor.place.code)}/returns/{path(return_id)}")


def _order_id(place: StorePlace, sent: Sent) -> str:
    """The same form is the same order, however often it is sent."""
    return f"{place.code}-X{sent.form_id[:10].upper()}"


async def _was_placed(floor: Floor, row: RowMapping, sent: Sent) -> bool:
    """Whether this very form has been taken before: then nothing of it is asked again."""
    swap: Mapping[str, Any] = row["detail"].get("exchange") or {}
    return swap.get("order_id") == _order_id(floor.place, sent) and swap.get("state") != "placing"


def _payments(sent: Sent, quoted: Quote) -> list[PaymentIn]:
    """What the till has taken of the difference. What is not paid there the customer is asked by link."""
    if (sent.text("total"), sent.text("worth")) != (str(quoted.total_minor), str(quoted.worth_minor)):
        sent.refusal = StaleVersion("A price, or what comes back, is another one than you were shown. Look again.")
        return []
    for line in quoted.lacking:
        sent.problems["form"] = (
            f"Of {line.name} {line.there or 'none'} can be promised here, not {line.quantity}. "
            "Take less, or another item; a count mends the book where more of it is on the shelf."
        )
    if not quoted.more_minor:
        return []
    how = sent.text("how")
    if how not in HOW:
        sent.problems["how"] = "Choose how the customer pays what it costs more."
        return []
    if how == "link":
        return []
    tender, receipt = sent.text("tender"), sent.text("receipt")
    if tender not in TENDERS:
        sent.problems["tender"] = "Choose what they paid by."
    if not is_sku(receipt):
        sent.problems["receipt"] = "Enter the number on the till's receipt, without spaces."
    if sent.problems:
        return []
    return [PaymentIn(reference=receipt, tender=tender, amount_minor=quoted.more_minor, state="captured")]  # type: ignore[arg-type]


async def _place(
    floor: Floor, row: RowMapping, found: ReturnView, sent: Sent, quoted: Quote, payments: list[PaymentIn]
) -> None:
    source = str(row["source"])
    try:
        wanted = quoted.wanted(_order_id(floor.place, sent), pickup_location=floor.place.code, payments=tuple(payments))
    except ValidationError as error:
        raise Malformed(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from error
    caller = Caller.on_page(floor.person, source, frozenset({source}))
    try:
        await exchanging.start(
            database_of(floor.request), caller, found.journey_id, wanted, actor=floor.person.id, via="console"
        )
    except IdempotencyMismatch as error:
        raise StaleVersion("This form was sent before with something else in it. Look at the return again.") from error
