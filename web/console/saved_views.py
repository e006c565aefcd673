"""Views of the queue that people keep under a name, for themselves or for everybody: kept, shown, forgotten."""

from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from domain.errors import Malformed
from ledger.views import delete_view, save_view
from web.console.queue_address import read_address
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


def understood(query: str) -> str:
    """A query of the queue without the page it was on. Raises `Malformed` for one that the queue does not know."""
    pairs = [(name, value) for name, value in parse_qsl(query) if name not in ("cursor", "shown")]
    wanted = read_address(dict(pairs))
    if wanted.not_understood:
        raise Malformed(f"Not understood: {', '.join(wanted.not_understood)}. Choose the filters on the page of cases.")
    return urlencode({"tab": wanted.tab, **wanted.given})


@router.post("/console/views")
async def save(
    request: Request,
    person: SignedIn,
    name: Annotated[str, Form(max_length=500)] = "",
    query: Annotated[str, Form(max_length=4000)] = "",
    shared: Annotated[str, Form()] = "",
) -> Response:
    """Keep the filters under a name, then show the queue with them."""
    kept = understood(query)
    await save_view(database_of(request), person, name=name, query=kept, shared=bool(shared))
    return RedirectResponse(f"/console/queue?{kept}", status_code=303)


@router.post("/console/views/{view_id}/delete")
async def forget(
    request: Request, person: SignedIn, view_id: int, back: Annotated[str, Form(max_length=4000)] = ""
) -> Response:
    """Forget a view of one's own, then show the queue as it was."""
    await delete_view(database_of(request), person, view_id)
    return RedirectResponse(f"/console/queue?{understood(back)}", status_code=303)
