"""Approvals in the console: what waits for the viewer, one request, and the verdict of a person who is signed in."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import DomainError, Malformed, ProofTooOld
from domain.people import Person
from ledger.approval import superseded_at
from ledger.reads.approvals import ApprovalDetail, ApprovalFilter, approval_detail, list_approvals
from ledger.reads.places import all_places, item_names, zone_of
from ledger.verdicts import Way, answer, record_verdict
from web.console.live import live_of
from web.pages import MAX_FORM, ConsoleRoute, address, page, prove_again, see, written
from web.sessions import SignedIn, database_of, proven_at
from web.status import STATUS_OF_FAMILY

router = APIRouter(route_class=ConsoleRoute)
VIEWS = {
    "mine": ("Wait for you", {"state": "pending", "mine": True}),
    "answers": ("Questions", {"state": "pending", "questions": True}),
    "pending": ("All pending", {"state": "pending"}),
    "decided": ("Decided", {"state": "approved,rejected,expired,superseded"}),
}
VERDICTS = ("approve", "reject", "ask")


@router.get("/console/approvals")
async def show_list(request: Request, person: SignedIn, view: str = "mine", cursor: str | None = None) -> Response:
    view = view if view in VIEWS else "mine"
    filters = ApprovalFilter.model_validate(VIEWS[view][1])
    since = live_of(request).mark()
    async with database_of(request).read() as conn:
        found = await list_approvals(conn, person, filters, cursor=cursor or None, limit=50)
        context: dict[str, Any] = {"places": await all_places(conn), "zone": await zone_of(conn, person)}
    context |= {
        "person": person,
        "section": "approvals",
        "live_since": since,
        "approvals": found.items,
        "views": VIEWS,
        "view": view,
        "next_page": address("/console/approvals", {"view": view, "cursor": found.next}) if found.next else None,
    }
    return page(request, "approvals.html", context)


async def context_of(conn: AsyncConnection, approval: ApprovalDetail) -> dict[str, Any]:
    """What every page about an approval shows, in the console and behind a mail link."""
    places = await all_places(conn)
    skus = {change.sku for change in approval.option.consequence.stock} if approval.option else set()
    skus |= {str(line.get("sku", line.get("item", ""))) for line in approval.facts.get("lines", ())}
    return {
        "approval": approval,
        "superseded_at": await superseded_at(conn, approval.id) if approval.state == "superseded" else None,
        "places": places,
        "zone": places[approval.location].time_zone if approval.location in places else "UTC",
        "names": await item_names(conn, skus),
        "now": datetime.now(UTC),
        "refusal": None,
        "draft": {},
    }


async def show_one(
    request: Request, person: Person, approval_id: int, *, refused: DomainError | None = None, note: str = ""
) -> Response:
    """The page of one approval. Raises `NotFound`, also for one of another region."""
    async with database_of(request).read() as conn:
        approval = await approval_detail(conn, person, approval_id)
        context = await context_of(conn, approval)
    context |= {"person": person, "section": "approvals", "refusal": refused, "draft": {"note": note}}
    # Whoever may decide the verdict has asked, or could: the answer is the others' to give.
    works_there = person.may_decide(approval.entity, approval.region, approval.location)
    asked = approval.state == "pending" and approval.paused_at is not None
    context["may_answer"] = asked and works_there and not approval.may_decide
    status = STATUS_OF_FAMILY[refused.family] if refused else 200
    return page(request, "approval.html", context, status=status)


@router.get("/console/approvals/{approval_id}")
async def show(request: Request, person: SignedIn, approval_id: int) -> Response:
    return await show_one(request, person, approval_id)


@router.post("/console/approvals/{approval_id}/verdict")
async def give(
    request: Request,
    person: SignedIn,
    approval_id: int,
    verdict: Annotated[str, Form()] = "",
    note: Annotated[str, Form(max_length=MAX_FORM)] = "",
    version: Annotated[int | None, Form()] = None,
) -> Response:
    """Record the verdict of the person who is signed in; a form sent as it was shown decides nothing."""
    database = database_of(request)
    async with database.read() as conn:
        await approval_detail(conn, person, approval_id)
    try:
        check_verdict(verdict)
        await record_verdict(
            database, approval_id, person, verdict=verdict, note=written(note), version=version, via="console",
            way=Way("session", proven_at(request)),
        )  # fmt: skip
    except ProofTooOld as refused:
        return await prove_again(request, person, f"/console/approvals/{approval_id}", refused)
    except DomainError as refused:
        return await show_one(request, person, approval_id, refused=refused, note=note)
    return see(request, f"/console/approvals/{approval_id}")


@router.post("/console/approvals/{approval_id}/answer")
async def answer_question(
    request: Request, person: SignedIn, approval_id: int, text: Annotated[str, Form(max_length=MAX_FORM)] = ""
) -> Response:
    """Answer what an approver has asked; the clock goes on with the time that was left."""
    database = database_of(request)
    async with database.read() as conn:
        await approval_detail(conn, person, approval_id)
    try:
        await answer(database, approval_id, person, text=written(text), via="console")
    except DomainError as refused:
        return await show_one(request, person, approval_id, refused=refused, note=text)
    return see(request, f"/console/approvals/{approval_id}")


def check_verdict(verdict: str) -> None:
    """Raises `Malformed` unless a verdict was chosen."""
    if verdict not in VERDICTS:
        raise Malformed("Choose approve, reject or ask; nothing is chosen for you.")
