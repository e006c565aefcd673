"""Transfers: the list, what is on its way by age and value, and calling one off. Its page is one of all journeys'."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, Malformed, NotAllowed, NotFound
from domain.journey_kinds import JOURNEY_KINDS, journey_page
from domain.people import Person
from domain.transfer import REASONS
from ledger.reads.paging import Page
from ledger.reads.places import all_places, visible_among, zone_of
from ledger.reads.transfer_list import (
    BANDS_D,
    Heap,
    OnTheWay,
    TransferFilter,
    TransferSummary,
    heaps,
    list_transfers,
    on_the_way,
)
from ledger.reads.transfers import transfer_view
from ledger.transaction import Transaction
from ledger.transfer import requests
from web.console.csv_exports import csv_export
from web.console.journeys import show_one
from web.console.list_address import Address, read_address
from web.journeys.transfer import may_act
from web.pages import ConsoleRoute, address, page, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
LIST, MOVING = "/console/transfers", "/console/transfers/moving"
PAGE_ROWS = 50
MOST_MOVING = 200
KIND = JOURNEY_KINDS["transfer"]
STATES = ("open", "closed", *KIND.transitions)
BANDS = (
    *("under a day" if end == 1 else f"{BANDS_D[number - 1]} to {end} days" for number, end in enumerate(BANDS_D)),
    f"over {BANDS_D[-1]} days",
)
COLUMNS = (
    *("id", "key", "source", "state", "suspended", "from_location", "to_location", "reason", "value_minor", "currency"),
    *("wanted", "shipped", "in_transit", "arrived", "opened_at", "needed_by", "due_at", "case_id", "approval_id"),
    "closed_at",
)
MOVING_COLUMNS = (
    *("id", "key", "from_location", "to_location", "entity", "currency", "units", "value_minor", "carrier", "tracking"),
    *("since", "expected_at", "due_at", "case_id"),
)


def _is_state(value: str) -> bool:
    return set(value.split(",")) <= set(STATES)


# What an address may say, and whether a value of it means anything.
SAYS: dict[str, Callable[[str], bool]] = {
    "state": _is_state,
    "source": bool,
    "destination": bool,
    "place": bool,
    "region": bool,
    "reason": lambda value: value in REASONS,
    "sku": bool,
    "text": bool,
    "late": lambda value: value == "on",
    "asked": lambda value: value == "on",
}
SAYS_MOVING = {name: fits for name, fits in SAYS.items() if name not in ("state", "asked")} | {
    "age": lambda value: value.isascii() and value.isdecimal() and int(value) <= len(BANDS_D)
}


def _filters(asked: Address) -> TransferFilter:
    return TransferFilter.model_validate(
        {name: value == "on" if name in ("late", "asked") else value for name, value in asked.given.items()
         if name != "age"}
    )  # fmt: skip


async def _frame(conn: AsyncConnection, person: Person, asked: Address) -> dict[str, Any]:
    """What both lists need beside their rows."""
    places = await all_places(conn)
    return {
        "person": person,
        "section": KIND.section,
        "places": places,
        "choices": visible_among(places, person),
        "zone": await zone_of(conn, person),
        "given": asked.given,
        "unknown": asked.unknown,
        "reasons": REASONS,
    }


@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Transfers from or to the places that the person sees, newest first."""
    asked = read_address(request.query_params, SAYS)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        context = await _frame(conn, person, asked)
        found = await list_transfers(conn, person, _filters(asked), cursor=cursor, limit=PAGE_ROWS)
    context |= {
        "kind": KIND,
        "transfers": found.items,
        "states": STATES,
        "cursor": cursor,
        "first_page": address(LIST, asked.given),
        "next_page": address(LIST, {**asked.given, "cursor": found.next}) if found.next else None,
        "csv": address(f"{LIST}.csv", asked.given),
        "may_ask": person.decides_somewhere,
    }
    return page(request, "transfers/list.html", context)


@router.get(f"{LIST}.csv")
async def list_as_table(request: Request, person: SignedIn) -> Response:
    asked = read_address(request.query_params, SAYS).whole()

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[TransferSummary]:
        return await list_transfers(conn, person, _filters(asked), cursor=cursor, limit=limit)

    return csv_export(request, person, "transfers", COLUMNS, read)


# ---------------------------------------------------------------------- on the way
@router.get(MOVING)
async def show_moving(request: Request, person: SignedIn) -> Response:
    """What is on its way, by age and value, and transfer by transfer, the longest first."""
    asked = read_address(request.query_params, SAYS_MOVING)
    async with database_of(request).read() as conn:
        context = await _frame(conn, person, asked)
        of_all = await heaps(conn, person, _filters(asked))
        found = await on_the_way(conn, person, _filters(asked), limit=MOST_MOVING + 1, band=_band(asked))
    context |= {
        "moving": found[:MOST_MOVING],
        "more": len(found) > MOST_MOVING,
        "bands": BANDS,
        "tables": _tables(of_all),
        "csv": address(f"{MOVING}.csv", asked.given),
        "base": MOVING,
    }
    return page(request, "transfers/moving.html", context)


@router.get(f"{MOVING}.csv")
async def moving_as_table(request: Request, person: SignedIn) -> Response:
    asked = read_address(request.query_params, SAYS_MOVING).whole()

    async def read(conn: AsyncConnection, _cursor: str | None, _limit: int) -> Page[OnTheWay]:
        return Page(items=await on_the_way(conn, person, _filters(asked), limit=50_000, band=_band(asked)))

    return csv_export(request, person, "on-the-way", MOVING_COLUMNS, read)


def _band(asked: Address) -> int | None:
    return int(asked.given["age"]) if "age" in asked.given else None


class Table(NamedTuple):
    """What is on its way to one entity: a heap for each band of age, and all of it."""

    entity: str
    currency: str
    heaps: Sequence[Heap]
    total: Heap


def _tables(found: Sequence[Heap]) -> list[Table]:
    tables = []
    for entity, currency in dict.fromkeys((heap.entity, heap.currency) for heap in found):
        here = {heap.band: heap for heap in found if (heap.entity, heap.currency) == (entity, currency)}
        rows = [here.get(band, Heap(entity, currency, band, 0, 0, 0)) for band in range(len(BANDS_D) + 1)]
        sums = (sum(heap.transfers for heap in rows), sum(heap.units for heap in rows))
        total = Heap(entity, currency, -1, *sums, sum(heap.value_minor for heap in rows))
        tables.append(Table(entity, currency, rows, total))
    return tables


# ---------------------------------------------------------------------- calling one off
@router.post("/console/transfers/{transfer_id}/cancel")
async def cancel(
    request: Request, person: SignedIn, transfer_id: str, reason: Annotated[str, Form(max_length=200)] = ""
) -> Response:
    """Call it off, with a reason; on its way a case asks whether its goods are brought back."""
    database = database_of(request)
    async with database.read() as conn:
        found = await transfer_view(conn, person, transfer_id)
        places = await all_places(conn)

    async def find(_tx: Transaction) -> str:
        return found.journey_id

    try:
        if not may_act(person, [places.get(found.from_), places.get(found.to)]):
            raise NotAllowed("Your role may look at this transfer, not call it off.")
        if not reason.strip():
            raise Malformed("Say why it is called off.")
        await requests.cancel(database, find, reason=reason.strip(), actor=person.id, via="console")
    except NotFound:
        raise
    except DomainError as refused:
        return await show_one(request, person, found.journey_id, refused=refused)
    return see(request, journey_page(found.journey_id))
