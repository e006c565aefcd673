"""Approval by a link in a mail. Every state of a link has its own page, and a second comer is told who decided."""

from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, Malformed, NotAllowed, NotFound, StateConflict
from domain.people import Person
from domain.words import local
from ledger import delegations, links, reference
from ledger.approval import LinkRow, link, mail_again
from ledger.people import person_by_id
from ledger.reads.approvals import ApprovalDetail, approval_detail
from ledger.transaction import Transaction
from ledger.verdicts import Way, record_verdict
from web.approvals import proof
from web.console.approvals import check_verdict, context_of
from web.pages import MAX_FORM, ConsoleRoute, page, written
from web.sessions import Visitor, database_of
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
NEED_A_NEW_ONE = ("revoked", "link_expired", "locked")
ENDED = ("approved", "rejected", "expired", "superseded")
SAID = {"approve": "approved", "reject": "rejected"}
STATUS_OF_VIEW = {
    "not_shown": 403,
    "ask": 200,
    "agreed": 200,
    "sign_in": 200,
    "approved": 200,
    "rejected": 200,
    "unknown": 404,
}


class Opened(NamedTuple):
    """A link that is known, with whose it is and the request as that person may see it."""

    row: LinkRow
    approver: Person
    approval: ApprovalDetail
    view: str


async def open_link(conn: AsyncConnection, token: str, now: datetime) -> Opened | None:
    """What the link shows; None for a token that never was, or whose approver has left."""
    row = await link(conn, token)
    approver = await person_by_id(conn, row.person_id) if row else None
    if row is None or approver is None:
        return None
    approval = await approval_detail(conn, approver, row.approval_id)
    return Opened(row, approver, approval, await view_of(conn, row, approval, now))


async def view_of(conn: AsyncConnection, row: LinkRow, approval: ApprovalDetail, now: datetime) -> str:
    """Which page: what became of the request comes before what became of the link."""
    if approval.state in ENDED:
        return approval.state
    if row.revoked_at is not None:
        return "revoked"
    if row.is_locked:
        return "locked"
    if row.expires_at <= now + timedelta(seconds=approval.clock_offset_s):
        return "link_expired"
    if not approval.may_decide and not approval.has_agreed:
        return "not_yours"
    place = await reference.place(conn, approval.location)
    limit = (await reference.policy_at(conn, place, now)).bands.sign_in_minor
    if approval.amount_minor >= limit:
        return "sign_in"
    return "agreed" if approval.has_agreed else "ask"


async def show_link(
    request: Request,
    token: str,
    visitor: Person | None,
    *,
    refused: DomainError | None = None,
    note: str = "",
    code: str = "",
    said: str = "",
    status: int | None = None,
) -> Response:
    """The page of a link. It changes nothing, however often it is opened, by whomever."""
    now = await database_of(request).now()
    async with database_of(request).read() as conn:
        opened = await open_link(conn, token, now)
        context: dict[str, Any] = await context_of(conn, opened.approval) if opened else {}
        stranger = visitor if opened and visitor is not None and visitor.id != opened.approver.id else None
        theirs = await _as_seen_by(conn, stranger, opened.row.approval_id) if stranger and opened else None
    if opened is None:
        proof.count_unknown(request)
        return proof.private(page(request, "link.html", {"view": "unknown"}, status=404))
    nonce = proof.nonce_of(request, token)
    view = opened.view if stranger is None or theirs is not None else "not_shown"
    context |= {
        "view": view,
        "theirs": theirs,
        "asks_code": opened.row.asks_code,
        "approver": opened.approver,
        "stranger": stranger,
        "token": token,
        "proof": proof.proof_for(request, token, nonce),
        "refusal": refused,
        "draft": {"note": note, "code": code},
        "said": said,
    }
    usual = STATUS_OF_FAMILY[refused.family] if refused else STATUS_OF_VIEW.get(view, 410)
    response = page(request, "link.html", context, status=status or usual)
    proof.give(request, response, token, nonce, base="/a")
    return proof.private(response)


@router.api_route("/a/{token}", methods=["GET", "HEAD"])
async def show(request: Request, token: str, visitor: Visitor) -> Response:
    """Look at the request. Mail scanners do this too, so nothing happens here."""
    return await show_link(request, token, visitor)


@router.post("/a/{token}")
async def give(
    request: Request,
    token: str,
    visitor: Visitor,
    verdict: Annotated[str, Form()] = "",
    note: Annotated[str, Form(max_length=MAX_FORM)] = "",
    version: Annotated[int | None, Form()] = None,
    proof_: Annotated[str, Form(alias="proof", max_length=200)] = "",
    code: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Record the verdict of the link's approver, or show why not."""
    database = database_of(request)
    now = await database.now()
    async with database.read() as conn:
        opened = await open_link(conn, token, now)
    if opened is None:
        return await show_link(request, token, visitor)
    try:
        if opened.view in {*ENDED, *NEED_A_NEW_ONE}:
            return await show_link(request, token, visitor, refused=_too_late(opened, verdict), note=note, status=409)
        if not proof.holds(request, token, proof_):
            raise NotAllowed("This form was not opened in this browser. It is below: decide here.")
        if visitor is not None and visitor.id != opened.approver.id:
            raise NotAllowed(f"This link is {opened.approver.name}'s, and you are signed in as {visitor.name}.")
        check_verdict(verdict)
        if opened.row.asks_code:
            await links.check_code(database, token, code)
        await record_verdict(
            database, opened.row.approval_id, opened.approver, verdict=verdict, note=written(note),
            version=version, via="link", way=Way("link"),
        )  # fmt: skip
    except DomainError as refused:
        return await show_link(request, token, visitor, refused=refused, note=note, code=code)
    return RedirectResponse(f"/a/{token}", status_code=303, headers={"Cache-Control": "no-store"})


def _too_late(opened: Opened, verdict: str) -> StateConflict | None:
    """That what came was not recorded; None where it says what its sender had said already, as a second click does."""
    approval = opened.approval
    is_said = approval.decided_by == opened.approver.id and approval.state == SAID.get(verdict)
    return None if is_said else StateConflict("What you sent just now was not recorded: it came too late.")


@router.post("/a/{token}/again")
async def again(
    request: Request, token: str, visitor: Visitor, send: Annotated[str, Form(max_length=20)] = ""
) -> Response:
    """Send a new link to the address that the old one went to; at most one an hour.

    Somebody has to tick that it should be sent: a robot that presses buttons has no mails sent.
    """
    database = database_of(request)
    now = await database.now()
    async with database.read() as conn:
        opened = await open_link(conn, token, now)
    if opened is None or opened.approval.state in ENDED:
        return await show_link(request, token, visitor)
    if opened.view not in NEED_A_NEW_ONE:
        refused = Malformed("This link still works; there is no need for a new one.")
        return await show_link(request, token, visitor, refused=refused)
    if send != "yes":
        refused = Malformed("Tick that a new link should be sent, then press the button again.", pointer="/send")
        return await show_link(request, token, visitor, refused=refused)

    async def work(tx: Transaction) -> str:
        before = await mail_again(tx, opened.approval.id, opened.approver.id)
        if before is None:
            return "A new link is on its way to the address the first one went to."
        at = local(before, await reference.time_zone(tx.conn, opened.approval.location))
        return f"A new link was asked for {at} already; one goes out an hour at most. Look for it among your mails."

    said = await database.write(work, actor=opened.approver.id, via="link")
    return await show_link(request, token, visitor, said=said)


@router.post("/a/{token}/stand-in")
async def stand_in(request: Request, token: str, visitor: Visitor) -> Response:
    """Ask the link's approver, by mail, to have oneself stand in for them; for somebody else who is signed in."""
    database = database_of(request)
    now = await database.now()
    async with database.read() as conn:
        opened = await open_link(conn, token, now)
    if opened is None:
        return await show_link(request, token, visitor)
    if visitor is None or visitor.id == opened.approver.id or not visitor.decides_somewhere:
        refused = NotAllowed("Sign in as yourself first: who stands in for somebody has a role that decides.")
        return await show_link(request, token, visitor, refused=refused)
    await delegations.ask_for(database, visitor, opened.approver, via="link")
    said = f"{opened.approver.name} is asked by mail to let you stand in. Until then only they can answer."
    return await show_link(request, token, visitor, said=said)


async def _as_seen_by(conn: AsyncConnection, stranger: Person, approval_id: int) -> ApprovalDetail | None:
    """The request as somebody else may see it who has opened the link; None where it is not theirs to see."""
    try:
        return await approval_detail(conn, stranger, approval_id)
    except NotFound:
        return None
