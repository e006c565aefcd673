"""Vendor funding at the console: agreements with what they have accrued, and what a person says of a claim."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError

from domain import funding_csv
from domain.claims import AnsweredLine, ClaimAnswer, ClaimPayment, ClaimReference, ClaimSent, ClaimView
from domain.errors import DomainError, Malformed
from domain.people import FUNDING_ROLES, Person
from domain.words import read_money
from ledger.claim import answering, preparing
from ledger.claim.by_api import record
from ledger.people import Caller
from ledger.reads import vendor_claims
from ledger.reads.funding import agreement_view, list_agreements
from ledger.reads.places import all_places, zone_of
from ports import claim_paper
from web.console.journeys import show_one
from web.console.promotion_files import uploaded_text
from web.downloads import saved_as
from web.kept import typed_again
from web.pages import ConsoleRoute, address, page, path, see
from web.sessions import SignedIn, database_of

router = APIRouter(route_class=ConsoleRoute)
LIST = "/console/funding"
FIELDS = ("vendor", "entity")
Word = Annotated[str, Form(max_length=200)]
Settlement = Annotated[Literal["cash", "deduction"], Form()]


@router.get(LIST)
async def show_list(request: Request, person: SignedIn) -> Response:
    """Agreements whose office the person sees."""
    given = {name: value for name in FIELDS if (value := request.query_params.get(name, "").strip())}
    unknown = [name for name in request.query_params if name not in {*FIELDS, "cursor"}]
    cursor = request.query_params.get("cursor") or None
    return await _list(request, person, given, unknown, cursor)


async def _list(
    request: Request,
    person: Person,
    given: dict[str, str],
    unknown: list[str],
    cursor: str | None,
    refused: DomainError | None = None,
) -> Response:
    async with database_of(request).read() as conn:
        found = await list_agreements(
            conn, person, vendor=given.get("vendor"), entity=given.get("entity"), cursor=cursor
        )
        places = await all_places(conn)
        zone = await zone_of(conn, person)
    context: dict[str, Any] = {
        "person": person,
        "section": "more",
        "agreements": found.items,
        "may_ask": {
            one.id for one in found.items
            if one.office in places and person.may_decide(one.entity, places[one.office].region, one.office)
        },
        "may_record": any(grant.role in FUNDING_ROLES for grant in person.grants),
        "zone": zone,
        "given": given,
        "unknown": unknown,
        "cursor": cursor,
        "refusal": refused,
        "first_page": address(LIST, given),
        "next_page": address(LIST, {**given, "cursor": found.next}) if found.next else None,
    }  # fmt: skip
    return page(request, "funding/list.html", context, status=409 if refused else 200)


@router.post(f"{LIST}/{{agreement_id}}/claim")
async def claim_now(request: Request, person: SignedIn, agreement_id: str) -> Response:
    """What has accrued and is in no claim is claimed now."""
    database = database_of(request)
    async with database.read() as conn:
        agreement = await agreement_view(conn, person, agreement_id)
    try:
        made = await preparing.prepare_now(
            database, agreement.id, _caller(person), at=await database.now(), via="console"
        )
    except DomainError as refused:
        return await _list(request, person, {}, [], None, refused)
    return see(request, f"/console/journeys/{path(made)}")


def _caller(person: Person) -> Caller:
    return Caller(person.id, "console", frozenset(), frozenset(), person, frozenset())


async def _refused(request: Request, person: Person, claim: ClaimView, refused: DomainError) -> Response:
    """Its page with the reason, and what was typed in the form again."""
    return await typed_again(request, await show_one(request, person, claim.journey_id, refused=refused))


async def _seen(request: Request, person: Person, claim_id: str) -> ClaimView:
    async with database_of(request).read() as conn:
        return await vendor_claims.claim_view(conn, person, claim_id)


async def _say(
    request: Request, person: Person, claim: ClaimView, said: Any, take: answering.Take, form_id: str = ""
) -> Response:
    try:
        about, key = ClaimReference(claim_id=claim.journey_id), form_id or None
        await record(database_of(request), _caller(person), about, said, take, via="console", idempotency_key=key)
    except DomainError as refused:
        return await _refused(request, person, claim, refused)
    return see(request, f"/console/journeys/{path(claim.journey_id)}")


@router.post("/console/vendor-claims/{vendor_claim_id}/answer")
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


@router.post("/console/vendor-claims/{vendor_claim_id}/settle")
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


@router.post("/console/vendor-claims/{vendor_claim_id}/sent")
async def sent(request: Request, person: SignedIn, vendor_claim_id: str, reference: Word = "") -> Response:
    """Somebody has handed it to a vendor that has no address for claims."""
    claim = await _seen(request, person, vendor_claim_id)
    try:
        said = _built(ClaimSent, claim_id=claim.journey_id, reference=reference.strip())
    except Malformed as refused:
        return await _refused(request, person, claim, refused)
    return await _say(request, person, claim, said, answering.handed_over)


@router.get("/console/vendor-claims/{vendor_claim_id}/document.pdf")
async def document(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    claim, papers = await _papers(request, person, vendor_claim_id)
    content = claim_paper.document_pdf(claim, papers.names, sender=papers.sender)
    return _file(content, "application/pdf", f"claim-{claim.claim_id}.pdf")


@router.get("/console/vendor-claims/{vendor_claim_id}/lines.csv")
async def lines(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    """The lines, to be filled in."""
    claim, papers = await _papers(request, person, vendor_claim_id)
    return _file(claim_paper.lines_csv(claim, papers.names), "text/csv", f"claim-{claim.claim_id}.csv")


@router.get("/console/vendor-claims/{vendor_claim_id}/proof.csv")
async def proof(request: Request, person: SignedIn, vendor_claim_id: str) -> Response:
    """Every sale and return behind the lines."""
    claim = await _seen(request, person, vendor_claim_id)
    async with database_of(request).read() as conn:
        proofs = [one async for one in vendor_claims.frozen_from(conn, claim.journey_id)]
    return _file(claim_paper.proof_csv(claim, proofs), "text/csv", f"claim-{claim.claim_id}-proof.csv")


async def _papers(request: Request, person: Person, claim_id: str) -> tuple[ClaimView, vendor_claims.Papers]:
    claim = await _seen(request, person, claim_id)
    async with database_of(request).read() as conn:
        return claim, await vendor_claims.papers(conn, claim)


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers=saved_as(name))
