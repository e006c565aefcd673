"""Claims against vendors: their list under tabs, narrowed by what the address says, and as a file; what a person says
of one (handed over, answered, paid); and its papers. The page of a claim is one of all journeys'.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from domain import funding_csv
from domain.claim import TRANSITIONS
from domain.claims import AnsweredLine, ClaimAnswer, ClaimPayment, ClaimReference, ClaimSent, ClaimView
from domain.errors import DomainError, Malformed
from domain.journey_kinds import JOURNEY_KINDS
from domain.people import Person
from domain.words import read_money
from ledger.claim import answering
from ledger.claim.by_api import record
from ledger.people import Caller
from ledger.reads.claim_list import TABS, ClaimFilter, ClaimSummary, list_claims, of_tabs, owed
from ledger.reads.paging import Page
from ledger.reads.places import zone_of
from ledger.reads.vendor_claims import Papers, claim_view, frozen_from, papers
from ports import claim_paper
from web.console.csv_exports import csv_export
from web.console.journeys import show_one
from web.console.list_address import Address, read_address
from web.console.promotion_files import uploaded_text
from web.downloads import saved_as
from web.journeys.claim import DUES
from web.kept import typed_again
from web.pages import ConsoleRoute, address, page, path, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
Word = Annotated[str, Form(max_length=200)]
Settlement = Annotated[Literal["cash", "deduction"], Form()]
KIND = JOURNEY_KINDS["claim"]
LIST = "/console/vendor-claims"
STATES = tuple(str(state) for state in TRANSITIONS)
TAB_NAMES = dict(
    zip(
        TABS,
        ("Open", "Ours to agree or hand over", "With the vendor", "To be decided", "To be paid", "Over"),
        strict=True,
    )
)
SAYS: dict[str, Callable[[str], bool]] = {
    "tab": lambda value: value in TABS,
    "state": lambda value: set(value.split(",")) <= set(STATES),
    "vendor": bool,
    "agreement": bool,
    "entity": bool,
    "promotion": bool,
    "text": bool,
}
COLUMNS = (
    "claim_id", "source", "state", "kind", "vendor", "vendor_name", "agreement_number", "entity", "currency",
    "amount_minor", "accepted_minor", "settled_minor", "given_up_minor", "open_minor", "disputes", "frozen_at",
    "sent_at", "due", "due_at", "case_id", "approval_id", "closed_at",
)  # fmt: skip


def _filters(asked: Address) -> ClaimFilter:
    return ClaimFilter.model_validate(asked.given)


@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Claims of the offices that the person sees, those that were frozen last first."""
    asked = read_address(request.query_params, SAYS)
    filters = _filters(asked)
    cursor = request.query_params.get("cursor") or None
    async with database_of(request).read() as conn:
        found = await list_claims(conn, person, filters, cursor=cursor, limit=50)
        context = {
            "claims": found.items,
            "owed": await owed(conn, person, filters),
            "counts": await of_tabs(conn, person, filters),
            "zone": await zone_of(conn, person),
        }
    others = {name: value for name, value in asked.given.items() if name != "tab"}
    context |= {
        "person": person,
        "section": KIND.section,
        "kind": KIND,
        "given": asked.given,
        "unknown": asked.unknown,
        "states": STATES,
        "tabs": [(tab, name, address(LIST, {"tab": tab, **others})) for tab, name in TAB_NAMES.items()],
        "dues": DUES,
        "csv": address(f"{LIST}.csv", asked.given),
        "first_page": address(LIST, asked.given),
        "next_page": address(LIST, {**asked.given, "cursor": found.next}) if found.next else None,
        "cursor": cursor,
    }
    return page(request, "claims/vendors.html", context)


@router.get(f"{LIST}.csv")
async def as_table(request: Request, person: SignedIn) -> Response:
    """Raises `Malformed` for what an address says that means nothing: in a file nobody would see it left out."""
    asked = read_address(request.query_params, SAYS).whole()

    async def read(conn: AsyncConnection, cursor: str | None, limit: int) -> Page[ClaimSummary]:
        return await list_claims(conn, person, _filters(asked), cursor=cursor, limit=limit)

    return csv_export(request, person, "vendor-claims", COLUMNS, read)


def _caller(person: Person) -> Caller:
    return Caller.on_page(person, "console")


async def _refused(request: Request, person: Person, claim: ClaimView, refused: DomainError) -> Response:
    """Its page with the reason, and what was typed in the form again."""
    return await typed_again(request, await show_one(request, person, claim.journey_id, refused=refused))


async def _seen(request: Request, person: Person, claim_id: str) -> ClaimView:
    async with database_of(request).read() as conn:
        return await claim_view(conn, person, claim_id)


async def _say(
    request: Request, person: Person, claim: ClaimView, said: Any, take: answering.Take, form_id: str = ""
) -> Response:
    try:
        about, key = ClaimReference(claim_id=claim.journey_id), form_id or None
        await record(database_of(request), _caller(person), about, said, take, via="console", idempotency_key=key)
    except DomainError as refused:
        return await _refused(request, person, claim, refused)
    return see(request, f"/console/journeys/{path(claim.journey_id)}")


@router.post(f"{LIST}/{{vendor_claim_id}}/answer")
async def answer(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    """What the vendor accepts: all of it, an amount for each line in the currency's own units, or its file."""
    claim = await _seen(request, person, vendor_claim_id)
    form = await request.form()
    try:
        file = await uploaded_text(form.get("file"))
        if form.get("all") and file:
            raise Malformed("All of it is accepted, or what the file says: choose one, and leave the other out.")
        lines = None if form.get("all") else _from_file(claim, file) if file else _typed_lines(claim, form)
        settlement = form.get("settlement")
        if settlement not in ("cash", "deduction"):
            raise Malformed("Say whether the vendor pays, or whether it is taken off what the vendor is owed.")
        said = _built(
            ClaimAnswer,
            lines=tuple(lines) if lines is not None else None,
            settlement="cash" if settlement == "cash" else "deduction",
            reference=str(form.get("reference") or "")[:200],
        )
    except Malformed as refused:
        return await _refused(request, person, claim, refused)
    return await _say(request, person, claim, said, answering.answered)


def _typed_lines(claim: ClaimView, form: Any) -> list[AnsweredLine]:
    return [_line(claim, line.line_id, form) for line in claim.lines]


def _from_file(claim: ClaimView, text: str) -> list[AnsweredLine]:
    """The claim's own lines as a file, filled in. Raises `Malformed`, also for a file of another claim."""
    others = funding_csv.claims_of(text) - {claim.claim_id}
    if others:
        raise Malformed(f"The file answers claim {min(others)}, this is {claim.claim_id}; nothing was recorded.")
    return funding_csv.answers(text)


def _line(claim: ClaimView, line_id: str, form: Any) -> AnsweredLine:
    text = str(form.get(f"accepted-{line_id}") or "").strip()
    if not text:
        raise Malformed(f"Line {line_id} has no amount; write 0 where nothing is accepted.")
    sign = -1 if text.startswith(("-", "\N{MINUS SIGN}")) else 1
    amount = sign * read_money(text.lstrip("-\N{MINUS SIGN}"), claim.currency)
    reason = str(form.get(f"reason-{line_id}") or "")[:200]
    return _built(AnsweredLine, line_id=line_id, accepted_minor=amount, reason=reason)


def _built[M: BaseModel](model: type[M], **values: Any) -> M:
    """What a form says, as the model takes it. Raises `Malformed`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).removesuffix("_minor") if first["loc"] else "the form"
        raise Malformed(f"Correct {name}: {first['msg']}.") from error


@router.post(f"{LIST}/{{vendor_claim_id}}/settle")
async def settle(
    request: Request,
    person: SignedIn,
    vendor_claim_id: str,
    amount: Word = "",
    settlement: Settlement = "cash",
    reference: Word = "",
    form_id: Annotated[str, Form(max_length=64, pattern=r"^[0-9a-f]*$")] = "",
) -> Response:
    """Money is there: by whoever may decide about the claim. One form, sent twice, counts once."""
    claim = await _seen(request, person, vendor_claim_id)
    try:
        minor = read_money(amount, claim.currency)
        if not minor:
            raise Malformed("Write the amount that has come.")
        said = _built(ClaimPayment, amount_minor=minor, settlement=settlement, reference=reference.strip())
    except Malformed as refused:
        return await _refused(request, person, claim, refused)
    return await _say(request, person, claim, said, answering.settled, form_id)


@router.post(f"{LIST}/{{vendor_claim_id}}/sent")
async def sent(request: Request, person: SignedIn, vendor_claim_id: str, reference: Word = "") -> Response:
    """Somebody has handed it to a vendor that has no address for claims."""
    claim = await _seen(request, person, vendor_claim_id)
    try:
        said = _built(ClaimSent, claim_id=claim.journey_id, reference=reference.strip())
    except Malformed as refused:
        return await _refused(request, person, claim, refused)
    return await _say(request, person, claim, said, answering.handed_over)


@router.get(f"{LIST}/{{vendor_claim_id}}/document.pdf")
async def document(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    claim, papers = await _papers(request, person, vendor_claim_id)
    content = claim_paper.document_pdf(claim, papers.names, sender=papers.sender)
    return _file(content, "application/pdf", f"claim-{claim.claim_id}.pdf")


@router.get(f"{LIST}/{{vendor_claim_id}}/lines.csv")
async def lines(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    """The lines, to be filled in."""
    claim, papers = await _papers(request, person, vendor_claim_id)
    return _file(claim_paper.lines_csv(claim, papers.names), "text/csv", f"claim-{claim.claim_id}.csv")


@router.get(f"{LIST}/{{vendor_claim_id}}/proof.csv")
async def proof(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    """Every sale and return behind the lines."""
    claim = await _seen(request, person, vendor_claim_id)
    async with database_of(request).read() as conn:
        proofs = [one async for one in frozen_from(conn, claim.journey_id)]
    return _file(claim_paper.proof_csv(claim, proofs), "text/csv", f"claim-{claim.claim_id}-proof.csv")


async def _papers(request: Request, person: Person, claim_id: str) -> tuple[ClaimView, Papers]:
    claim = await _seen(request, person, claim_id)
    async with database_of(request).read() as conn:
        return claim, await papers(conn, claim)


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers=saved_as(name))
