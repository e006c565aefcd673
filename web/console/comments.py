"""Comments of a case: writing one, telling colleagues, beginning with a canned reply; and the page of the replies."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.case_kinds import KINDS
from domain.comments import PLACEHOLDERS, fill
from domain.errors import DomainError, Malformed, NotFound
from domain.people import Person
from domain.words import local, subject_words
from ledger import case as cases
from ledger import replies
from ledger.reads.cases import CaseDetail, case_detail
from ledger.reads.places import all_places, item_names
from web.console.cases import act, show_case
from web.pages import MAX_FORM, ConsoleRoute, page, see, written
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

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


async def _page(
    request: Request, person: Person, *, refused: DomainError | None = None, draft: dict[str, str] | None = None
) -> Response:
    async with database_of(request).read() as conn:
        found = await replies.replies(conn)
    context = {
        "person": person,
        "section": "more",
        "replies": found,
        "kinds": KINDS,
        "placeholders": PLACEHOLDERS,
        "may_edit": replies.may_edit(person),
        "refusal": refused,
        "draft": draft or {},
    }
    return page(request, "replies.html", context, status=STATUS_OF_FAMILY[refused.family] if refused else 200)


@router.get("/console/replies")
async def show_replies(request: Request, person: SignedIn) -> Response:
    """Canned replies, kind by kind; regional operations and administrators change them here."""
    return await _page(request, person)


@router.post("/console/replies")
async def save(
    request: Request, person: SignedIn, kind: Word = "", title: Word = "", text: Text = "", reply: Word = ""
) -> Response:
    """Keep a new reply, or another wording of one; a refusal keeps what was typed."""
    if reply and not (reply.isascii() and reply.isdigit() and len(reply) < 19):
        raise NotFound("There is no such reply.")
    try:
        await replies.save_reply(
            database_of(request), person, kind=kind, title=title, text=text, reply_id=int(reply) if reply else None
        )
    except DomainError as refused:
        draft = {"kind": kind, "title": title, "text": text, "reply": reply}
        return await _page(request, person, refused=refused, draft=draft)
    return see(request, "/console/replies")


@router.post("/console/replies/{reply_id}/retire")
async def retire(request: Request, person: SignedIn, reply_id: int) -> Response:
    """Offer a reply no more; comments that were written with it stay."""
    try:
        await replies.retire_reply(database_of(request), person, reply_id)
    except DomainError as refused:
        return await _page(request, person, refused=refused)
    return see(request, "/console/replies")
