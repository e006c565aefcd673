"""A decision that has not been applied yet is taken back, or carried out without waiting any longer."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ledger import decisions
from web.console.cases import act
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.post("/console/cases/{case_id}/undo")
async def undo(request: Request, person: SignedIn, case_id: int) -> Response:
    """Back to the case as it was. Too late, by somebody else, or a second time: the reason stands on the case."""
    database = database_of(request)
    return await act(request, person, case_id, lambda: decisions.undo(database, case_id, person, via="console"))


@router.post("/console/cases/{case_id}/now")
async def apply_now(request: Request, person: SignedIn, case_id: int) -> Response:
    """Whoever decided is sure."""
    database = database_of(request)
    return await act(request, person, case_id, lambda: decisions.hasten(database, case_id, person, via="console"))
