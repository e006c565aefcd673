"""Other lines for a transfer that nobody has agreed to yet: who was asked is not asked any more, the new value is."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import DomainError, NotAllowed, NotFound, StateConflict
from domain.journey_kinds import journey_page
from domain.people import Person
from domain.transfer import BEFORE_APPROVAL
from domain.transfers import Amendment, TransferView
from ledger.reads.places import all_places
from ledger.reads.transfers import transfer_view
from ledger.transaction import Transaction
from ledger.transfer import requests
from web.console.asking_for_transfers import read_lines
from web.console.transfers import KIND
from web.journeys.transfer import may_act
from web.pages import ConsoleRoute, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)


async def _transfer(request: Request, person: Person, transfer_id: str) -> tuple[TransferView, bool]:
    """The transfer, and whether the person may change it. Raises `NotFound`."""
    async with database_of(request).read() as conn:
        found = await transfer_view(conn, person, transfer_id)
        places = await all_places(conn)
    return found, may_act(person, [places.get(found.from_), places.get(found.to)])


def _shown(
    request: Request,
    person: Person,
    found: TransferView,
    typed: str,
    *,
    may: bool,
    refused: DomainError | None = None,
) -> Response:
    context = {
        "person": person,
        "section": KIND.section,
        "transfer": found,
        "typed": typed,
        "may_change": may and found.state in BEFORE_APPROVAL,
        "refusal": refused,
    }
    return page(request, "transfers/lines.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


@router.get("/console/transfers/{transfer_id}/lines")
async def show(request: Request, person: SignedIn, transfer_id: str) -> Response:
    found, may = await _transfer(request, person, transfer_id)
    typed = "\n".join(f"{line.sku} {line.ordered}" for line in found.lines)
    return _shown(request, person, found, typed, may=may)


@router.post("/console/transfers/{transfer_id}/lines")
async def change(
    request: Request, person: SignedIn, transfer_id: str, lines: Annotated[str, Form(max_length=20_000)] = ""
) -> Response:
    """Change them, then its page says who is asked now. A refusal keeps what was typed."""
    found, may = await _transfer(request, person, transfer_id)

    async def find(_tx: Transaction) -> str:
        return found.journey_id

    try:
        if not may:
            raise NotAllowed("Your role may look at this transfer, not change it.")
        if found.state not in BEFORE_APPROVAL:
            raise StateConflict("Somebody has agreed to it as it is; call it off and ask for another one.")
        wanted = Amendment.model_validate({"lines": read_lines(lines)})
        await requests.amend(database_of(request), find, wanted, actor=person.id, via="console")
    except NotFound:
        raise
    except DomainError as refused:
        return _shown(request, person, found, lines, may=may, refused=refused)
    return see(request, journey_page(found.journey_id))
