"""Vendor returns at the console: their list with what each vendor owes, and each with its lines, books and what may be
said of it.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, Malformed, NotAllowed, NotFound
from domain.orders import Code
from domain.people import Person
from domain.vendor_returns import STATES, ShippedLine, VendorCredit, VendorReturnView, VendorShipment
from domain.words import read_money
from ledger import vendor_return
from ledger.people import Caller
from ledger.reads.paging import Page
from ledger.reads.places import all_places, visible_among, zone_of
from ledger.reads.returns import names_of
from ledger.reads.vendor_return_list import (
    BANDS_D,
    VendorReturnFilter,
    VendorReturnRow,
    list_vendor_returns,
    owing,
)
from ledger.reads.vendor_returns import postings_of_document, told_of, vendor_return_view
from web.console.csv_exports import csv_export
from web.console.journeys import entries
from web.console.list_address import read_address
from web.pages import ConsoleRoute, address, page, path, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
LIST = "/console/vendor-returns"
PAGE_ROWS = 50
CHOICES = ("owed", "waiting", *STATES)
ORDERS = ("newest", "longest", "value")
COLUMNS = (
    *("id", "key", "source", "vendor", "state", "location", "entity", "currency", "authorization", "units"),
    *("cost_minor", "credited_minor", "written_off_minor", "open_minor", "opened_at", "shipped_at", "credit_due_at"),
    *("approval_id", "closed_at"),
)
Word = Annotated[str, Form(max_length=200)]
CODE = TypeAdapter[str](Code)
SAYS: dict[str, Callable[[str], bool]] = {
    "state": lambda value: value in CHOICES,
    "vendor": bool,
    "location": bool,
    "region": bool,
    "older_d": lambda value: value.isascii() and value.isdecimal() and int(value) <= 3_650,
    "by": lambda value: value in ORDERS,
}


@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Those of the places that the person sees, with what vendors owe of them by age."""
    given, unknown = read_address(request.query_params, SAYS)
    filters = VendorReturnFilter.model_validate(given)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_vendor_returns(conn, person, filters, cursor=cursor, limit=PAGE_ROWS)
        places = await all_places(conn)
        context: dict[str, Any] = {
            "person": person,
            "section": "more",
            "documents": found.items,
            "owing": await owing(conn, person, filters),
            "places": places,
            "choices": visible_among(places, person),
            "zone": await zone_of(conn, person),
        }
    context |= {
        "given": given,
        "unknown": unknown,
        "states": CHOICES,
        "orders": ORDERS,
        "bands": BANDS_D,
        "now": datetime.now(UTC),
        "may_gather": person.decides_somewhere,
        "cursor": cursor,
        "first_page": address(LIST, given),
        "next_page": address(LIST, {**given, "cursor": found.next}) if found.next else None,
        "csv": address(f"{LIST}.csv", given),
        "of_vendor": lambda vendor: address(LIST, {**given, "vendor": vendor, "state": "owed", "by": "longest"}),
    }
    return page(request, "vendor_returns/list.html", context)


@router.get(f"{LIST}.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """Raises `Malformed` for what an address says that means nothing: in a file nobody would see it left out."""
    filters = VendorReturnFilter.model_validate(read_address(request.query_params, SAYS).whole().given)

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[VendorReturnRow]:
        return await list_vendor_returns(conn, person, filters, cursor=cursor, limit=limit)

    return csv_export(request, person, "vendor-returns", COLUMNS, read)


# ---------------------------------------------------------------------- one
def may_act(person: Person, places: Any, found: VendorReturnView) -> bool:
    place = places.get(found.location)
    return place is not None and person.may_decide(place.entity, place.region, place.code)


async def _one(
    request: Request,
    person: Person,
    named: str,
    *,
    refused: DomainError | None = None,
    draft: dict[str, str] | None = None,
) -> Response:
    async with database_of(request).read() as conn:
        found = await vendor_return_view(conn, person, named)
        places = await all_places(conn)
        books = entries(await postings_of_document(conn, found))
        context = {
            "person": person,
            "section": "more",
            "document": found,
            "names": await names_of(conn, {line.sku for line in found.lines}),
            "places": places,
            "zone": places[found.location].time_zone if found.location in places else "UTC",
            "timeline": await told_of(conn, found.id),
            "entries": books,
            "uneven": sum(entry.debit_minor != entry.credit_minor for entry in books),
            "may_act": may_act(person, places, found),
            "is_overdue": found.credit_due_at is not None
            and found.closed_at is None
            and found.credit_due_at <= datetime.now(UTC),
            "days_out": (datetime.now(UTC) - found.shipped_at) // timedelta(days=1) if found.shipped_at else None,
            "refusal": refused,
            "draft": draft or {},
        }
    status = STATUS_OF_FAMILY[refused.family] if refused else 200
    return page(request, "vendor_returns/one.html", context, status=status)


@router.get(f"{LIST}/{{vendor_return_id}}")
async def show(request: Request, person: SignedIn, vendor_return_id: str) -> Response:
    return await _one(request, person, vendor_return_id)


type Act = Callable[[VendorReturnView, Caller], Awaitable[object]]


async def _act(request: Request, person: Person, named: str, act: Act, draft: dict[str, str] | None = None) -> Response:
    """Do it for who may, and show the document; a refusal keeps what was typed."""
    async with database_of(request).read() as conn:
        found = await vendor_return_view(conn, person, named)
        places = await all_places(conn)
    try:
        if not may_act(person, places, found):
            raise NotAllowed("Your role may look at this vendor return, not say what became of it.")
        await act(found, Caller.on_page(person, "console"))
    except NotFound:
        raise
    except DomainError as refused:
        return await _one(request, person, found.id, refused=refused, draft=draft)
    return see(request, f"{LIST}/{path(found.id)}")


def code_of(typed: str, what: str) -> str:
    """A code as somebody has typed it. Raises `Malformed`, which asks for `what`."""
    try:
        return CODE.validate_python(typed.strip())
    except ValidationError as error:
        raise Malformed(f"Enter {what}: letters, digits and signs, without spaces at its ends.") from error


@router.post(f"{LIST}/{{vendor_return_id}}/authorize")
async def authorize(request: Request, person: SignedIn, vendor_return_id: str, number: Word = "") -> Response:
    """The vendor's number, under which it takes the goods back."""
    database = database_of(request)

    async def act(found: VendorReturnView, caller: Caller) -> None:
        code = code_of(number, "the vendor's number")
        await vendor_return.authorize(database, caller, found.id, number=code, via="console")

    return await _act(request, person, vendor_return_id, act, {"number": number})


@router.post(f"{LIST}/{{vendor_return_id}}/ship")
async def ship(request: Request, person: SignedIn, vendor_return_id: str) -> Response:
    """What has left, line by line; a field that was emptied is nothing of it."""
    database = database_of(request)
    form = await request.form(max_fields=3_000)
    typed = {name: value for name, value in form.multi_items() if isinstance(value, str)}

    async def act(found: VendorReturnView, caller: Caller) -> None:
        lines = tuple(ShippedLine(line_id=line.line_id, quantity=_units(typed, line.line_id)) for line in found.lines)
        carrier, tracking = typed.get("carrier", "").strip(), typed.get("tracking", "").strip()
        try:
            data = VendorShipment(lines=lines, carrier=carrier, tracking=tracking)
        except ValidationError as error:
            wrong = str(error.errors()[0]["loc"][0])
            raise Malformed(f"The {wrong} cannot be kept as it is written; write it in one line of text.") from error
        await vendor_return.ship(database, caller, found.id, data, via="console")

    return await _act(request, person, vendor_return_id, act, typed)


def _units(typed: dict[str, str], line_id: str) -> int:
    said = typed.get(f"quantity:{line_id}", "").strip()
    if said and not (said.isascii() and said.isdecimal() and int(said) <= 1_000_000):
        raise Malformed(f"Enter how many of line {line_id} have left, as a whole number; nothing for none.")
    return int(said or "0")


@router.post(f"{LIST}/{{vendor_return_id}}/credit")
async def credit(
    request: Request, person: SignedIn, vendor_return_id: str, reference: Word = "", amount: Word = ""
) -> Response:
    """A credit note of the vendor, in the currency's own units as people write them; 0 for nothing."""
    database = database_of(request)

    async def act(found: VendorReturnView, caller: Caller) -> None:
        data = VendorCredit(
            reference=code_of(reference, "the number of the credit note"),
            amount_minor=read_money(amount, found.currency),
        )
        await vendor_return.credit(database, caller, found.id, data, via="console")

    return await _act(request, person, vendor_return_id, act, {"reference": reference, "amount": amount})


def _reason(typed: str) -> str:
    if not typed.strip():
        raise Malformed("Say why.", pointer="/reason")
    return typed.strip()


@router.post(f"{LIST}/{{vendor_return_id}}/write-off")
async def write_off(request: Request, person: SignedIn, vendor_return_id: str, reason: Word = "") -> Response:
    """Give up what is open: at once below the band, else when finance has agreed."""
    database = database_of(request)

    async def act(found: VendorReturnView, caller: Caller) -> None:
        await vendor_return.write_off(database, caller, found.id, reason=_reason(reason), via="console")

    return await _act(request, person, vendor_return_id, act, {"reason": reason})


@router.post(f"{LIST}/{{vendor_return_id}}/cancel")
async def cancel(request: Request, person: SignedIn, vendor_return_id: str, why: Word = "") -> Response:
    """Its units wait for another document."""
    database = database_of(request)

    async def act(found: VendorReturnView, caller: Caller) -> None:
        await vendor_return.cancel(database, caller, found.id, reason=_reason(why), via="console")

    return await _act(request, person, vendor_return_id, act, {"why": why})
