"""Canned replies: the page on which they stand kind by kind, are written and retired."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from domain.case_kinds import KINDS
from domain.comments import PLACEHOLDERS
from domain.errors import DomainError, NotFound
from domain.people import Person
from ledger import replies
from web.pages import MAX_FORM, ConsoleRoute, page, see
from web.sessions import SignedIn, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
Text = Annotated[str, Form(max_length=MAX_FORM)]
Word = Annotated[str, Form(max_length=500)]


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
