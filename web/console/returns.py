"""Returns at the console: asking to take back what was refused. The page of a return is one of all journeys'."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, NotAllowed, NotFound
from domain.journey_kinds import journey_page
from domain.people import Person
from ledger.reads.journeys import JourneyDetail, journey_detail
from ledger.returns import overriding
from ledger.transaction import Transaction
from web.console.journeys import show_one
from web.journeys.returns import may_ask
from web.overrides import wanted_of
from web.pages import MAX_FORM, ConsoleRoute, see, written
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


async def _return(conn: AsyncConnection, person: Person, named: str) -> JourneyDetail:
    """Raises `NotFound` for what is no return that the person sees."""
    found = await journey_detail(conn, person, named)
    if found.kind != "returns":
        raise NotFound(f"There is no return {named} that you may see.")
    return found


@router.post("/console/returns/{return_id}/override")
async def override(
    request: Request,
    person: SignedIn,
    return_id: str,
    line: Annotated[list[str] | None, Form()] = None,
    reason: Annotated[str, Form(max_length=200)] = "",
    note: Annotated[str, Form(max_length=MAX_FORM)] = "",
) -> Response:
    """Ask for it; whoever must agree is asked by mail. A refusal is said on the return's page."""
    database = database_of(request)
    async with database.read() as conn:
        found = await _return(conn, person, return_id)

    async def find(_tx: Transaction) -> str:
        return found.id

    try:
        if not may_ask(person, found):
            raise NotAllowed("Your role may look at this return, not ask to override what was refused of it.")
        wanted = wanted_of(line or [], reason, written(note))
        await overriding.ask(database, find, wanted, actor=person.id, via="console")
    except NotFound:
        raise
    except DomainError as refused:
        return await show_one(request, person, found.id, refused=refused)
    return see(request, journey_page(found.id))
