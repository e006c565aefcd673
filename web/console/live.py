"""The stream by which an open page hears that something changed; what it says is in `web.live`."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from domain.errors import Malformed
from web.live import EventStream, Live
from web.pages import ConsoleRoute
from web.sessions import SignedIn, cookie_name

router = APIRouter(route_class=ConsoleRoute)


def live_of(request: Request) -> Live:
    """The open pages of this application."""
    live: Live = request.app.state.live
    return live


@router.get("/console/live")
async def listen(
    request: Request,
    person: SignedIn,
    since: str = "",
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str, Header()] = "",
) -> Response:
    """Events until the page is closed. Only for a script that listens: anything else would wait for ever."""
    if "text/event-stream" not in accept:
        raise Malformed("This address is for pages that listen: ask with `Accept: text/event-stream`.")
    live = live_of(request)
    watcher = live.join(person, request.cookies[cookie_name(request)], last_event_id or since)
    return EventStream(live, watcher)
