"""Commenting on a case: writing, telling colleagues, beginning with a canned reply, and having read a mention."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.comments import fill
from domain.errors import Malformed
from domain.words import local, subject_words
from ledger import case as cases
from ledger import replies
from ledger.reads.cases import CaseDetail, case_detail
from ledger.reads.places import all_places, item_names
from web.console.cases import act, show_case
from web.pages import MAX_FORM, ConsoleRoute, written
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
Text = Annotated[str, Form(max_length=MAX_FORM)]
Word = Annotated[str, Form(max_length=500)]
Several = Annotated[list[str], Form()]


@router.post("/console/cases/{case_id}/comment")
async def comment(request: Request, person: SignedIn, case_id: int, text: Text = "", tell: Several = []) -> Response:  # noqa: B006
    """Add a comment, and tell those whom it mentions."""

    async def work() -> None:
        words = written(text)
        if not words:
            raise Malformed("The comment is empty.")
        await cases.comment(database_of(request), case_id, person, text=words, tell=tell, via="console")

    return await act(request, person, case_id, work, draft={"text": text, "tell": tell})


@router.post("/console/cases/{case_id}/seen")
async def seen(request: Request, person: SignedIn, case_id: int) -> Response:
    """What mentions this person on the case was read."""
    database = database_of(request)
    return await act(request, person, case_id, lambda: cases.seen(database, case_id, person, via="console"))


@router.post("/console/cases/{case_id}/draft")
async def begin(
    request: Request,
    person: SignedIn,
    case_id: int,
    text: Text = "",
    reply: Word = "",
    tell: Several = [],  # noqa: B006
) -> Response:
    """The page again, with a canned reply below what is written already. Nothing is saved."""
    async with database_of(request).read(by_key=True) as conn:
        case = await case_detail(conn, person, case_id)
        found = next((one for one in await replies.replies(conn, case.kind) if str(one.id) == reply), None)
        begun = fill(found.text, await _values(conn, case)) if found else ""
    draft = {"text": "\n".join(part for part in (text.rstrip(), begun) if part), "tell": tell}
    refused = None if found else Malformed("Choose a reply first; the list may have changed meanwhile.")
    return await show_case(request, person, case_id, refused=refused, draft=draft)


async def _values(conn: AsyncConnection, case: CaseDetail) -> dict[str, str]:
    """What the placeholders of a reply stand for on this case; those that it has nothing for are empty."""
    places = await all_places(conn)
    place = places.get(case.location)
    zone = place.time_zone if place else "UTC"
    is_order = case.journey_id is not None
    return {
        "case": str(case.id),
        "order": subject_words(case.journey_id).partition(" ")[2] if is_order and case.journey_id else "",
        "item": (await item_names(conn, {case.sku} - {""})).get(case.sku, case.sku),
        "place": place.name if place else case.location,
        "promised": local(case.promised_at, zone) if case.promised_at else "",
    }
