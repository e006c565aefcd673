"""The form by which a person asks for a transfer: looked at first, with what the source can promise and who must agree,
then sent. The same form sent twice asks for one.
"""

import secrets
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, Malformed, NotAllowed
from domain.journey_kinds import journey_page
from domain.people import Person
from domain.transfers import NewTransfer
from domain.words import read_local
from ledger.people import Caller
from ledger.reads.places import Place, all_places, zone_of
from ledger.transfer import intake
from ledger.transfer.preview import Preview, preview
from web.console.transfers import KIND
from web.journeys.transfer import may_act
from web.pages import ConsoleRoute, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
SOURCE = "console"
FIELDS = ("transfer_id", "from", "to", "reason", "needed_by", "lines")
REASONS = ("rebalance", "replenish", "recall", "ship_to_store")
MOST_TYPED = 20_000


def _draft(given: Any) -> dict[str, str]:
    typed = {name: str(given.get(name) or "") for name in FIELDS}
    typed["transfer_id"] = typed["transfer_id"].strip() or f"{datetime.now(UTC):%m%d}-{secrets.token_hex(3)}"
    typed["reason"] = typed["reason"] or "rebalance"
    return typed


def read_lines(typed: str) -> list[dict[str, Any]]:
    """`SKU units`, one a line, with spaces or a tab between; the same SKU twice is added up. Raises `Malformed`."""
    if len(typed) > MOST_TYPED:
        raise Malformed(f"Enter at most {MOST_TYPED:,} characters, or send a batch by the API.", pointer="/lines")
    units: dict[str, int] = {}
    for number, line in enumerate(typed.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not (words[1].isascii() and words[1].isdecimal()) or not 0 < int(words[1]) <= 1_000_000:
            raise Malformed(
                f"Line {number} is no SKU and whole number of units with a space between: “{line.strip()[:60]}”.",
                pointer="/lines",
            )
        units[words[0]] = units.get(words[0], 0) + int(words[1])
    if not units:
        raise Malformed("Enter what is to go: on each line a SKU and how many.", pointer="/lines")
    return [{"line_id": str(no), "sku": sku, "quantity": count} for no, (sku, count) in enumerate(units.items(), 1)]


def _wanted(person: Person, typed: dict[str, str], places: dict[str, Place], zone: str) -> NewTransfer:
    """Raises `Malformed`, `NotAllowed`, with the reason in words."""
    for name, said in (("from", "Choose where the goods are."), ("to", "Choose where they are to go.")):
        if typed[name] not in places:
            raise Malformed(said, pointer=f"/{name}")
    body: dict[str, Any] = {
        "transfer_id": typed["transfer_id"],
        "from": typed["from"],
        "to": typed["to"],
        "reason": typed["reason"],
        "lines": read_lines(typed["lines"]),
    }
    if typed["needed_by"].strip():
        body["needed_by"] = read_local(typed["needed_by"].strip(), zone)
    try:
        wanted = NewTransfer.model_validate(body)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = " ".join(str(part) for part in wrong["loc"])
        raise Malformed(f"{where}: {wrong['msg'].removeprefix('Value error, ')}.".removeprefix(": ")) from None
    if not may_act(person, [places[wanted.from_], places[wanted.to]]):
        raise NotAllowed("You decide at neither of the two places. Ask somebody who does at one of them.")
    return wanted


async def _shown(
    request: Request, person: Person, typed: dict[str, str], *, refused: DomainError | None = None
) -> Response:
    looked: Preview | None = None
    async with database_of(request).read() as conn:
        places = await all_places(conn)
        zone = await _zone(conn, person, typed, places)
        if refused is None and typed["lines"].strip():
            try:
                wanted = _wanted(person, typed, places, zone)
                looked = await preview(conn, wanted, actor=person.id, at=datetime.now(UTC))
            except DomainError as error:
                refused = error
    context = {
        "person": person,
        "section": KIND.section,
        "places": places,
        "zone": zone,
        "draft": typed,
        "reasons": REASONS,
        "preview": looked,
        "refusal": refused,
        "may_ask": person.decides_somewhere,
    }
    return page(request, "transfers/new.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


async def _zone(conn: AsyncConnection, person: Person, typed: dict[str, str], places: dict[str, Place]) -> str:
    """Of where it is needed; the reader's own until that is chosen."""
    return places[typed["to"]].time_zone if typed["to"] in places else await zone_of(conn, person)


@router.get("/console/transfers/new")
async def show_form(request: Request, person: SignedIn) -> Response:
    """The form, with what the address says in it; with lines in it, what would become of them."""
    return await _shown(request, person, _draft(request.query_params))


@router.post("/console/transfers/new")
async def look(request: Request, person: SignedIn) -> Response:
    """The same of what was typed. It asks for nothing; lines of text have no place in an address."""
    return await _shown(request, person, _draft(await request.form(max_fields=20)))


@router.post("/console/transfers")
async def ask(request: Request, person: SignedIn) -> Response:
    """Ask for it; a refusal keeps what was typed."""
    typed = _draft(await request.form(max_fields=20))
    database = database_of(request)
    try:
        async with database.read() as conn:
            places = await all_places(conn)
            zone = await _zone(conn, person, typed, places)
        wanted = _wanted(person, typed, places, zone)
        caller = Caller.on_page(person, SOURCE)
        [result] = await intake.request(database, caller, [wanted], via="console", requested_by=person.id)
        if isinstance(result, DomainError):
            raise result
    except DomainError as refused:
        return await _shown(request, person, typed, refused=refused)
    return see(request, journey_page(result[1].journey_id))
