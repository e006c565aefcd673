"""A case is put aside: for what, and for how long or until when."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.errors import Malformed
from domain.words import read_local
from ledger import case as cases
from web.console.cases import SPANS, act, context_of
from web.pages import ConsoleRoute
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)


@router.post("/console/cases/{case_id}/wait")
async def wait(
    request: Request,
    person: SignedIn,
    case_id: int,
    reason: Annotated[str, Form(max_length=500)] = "",
    span: Annotated[str, Form(max_length=10)] = "",
    until: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Let the case wait, for a span or until a local time of the case's place, as the field shows it."""

    async def work() -> None:
        if not reason.strip():
            raise Malformed("Say what the case waits for.")
        async with database_of(request).read(by_key=True) as conn:
            context = await context_of(conn, person, case_id)
        instant = ending(span, until, context["zone"], context["clock_now"])
        await cases.wait(database_of(request), case_id, person, reason=reason.strip(), until=instant, via="console")

    return await act(request, person, case_id, work, draft={"wait_reason": reason, "span": span, "until": until})


def ending(span: str, until: str, zone: str, now: datetime) -> datetime:
    """The end of a wait in UTC. Raises `Malformed` unless exactly one of the two is said, and can be read."""
    if span and until:
        raise Malformed("Say either for how long or until when, not both.")
    if not span:
        return read_local(until, zone)
    if span not in SPANS:
        raise Malformed("Choose for how long from the list, or say until when.")
    return now + timedelta(hours=SPANS[span])
