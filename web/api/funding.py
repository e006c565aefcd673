"""Vendor funding: agreements one by one or as a file, what they have accrued, and their claims."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from domain import funding_csv
from domain.claims import ClaimAnswer, ClaimPayment, ClaimReference, ClaimSent, ClaimView
from domain.errors import DomainError
from domain.funding import AgreementView, EndAgreement, NewAgreement
from domain.ids import api_link
from domain.orders import Body as Strict
from domain.orders import Name
from ledger.claim import answering, preparing
from ledger.claim.by_api import record
from ledger.funding import agreements
from ledger.people import Caller
from ledger.reads import vendor_claims
from ledger.reads.funding import agreement_view, list_agreements
from ledger.reads.paging import Page
from ports import claim_paper
from web.api.responses import DEFAULT_LIMIT, MISSING, WRITES, Cursor, IdempotencyKey, Limit, located
from web.downloads import saved_as
from web.errors import Problem, problem_of
from web.keys import Reader, database_of, require, view_of

router = APIRouter(tags=["vendor funding"])
Writer = Annotated[Caller, Depends(require("events:write"))]
AgreementKey = Annotated[str, Path(min_length=1, max_length=200, description="Its number, or source:number.")]
ClaimKey = Annotated[str, Path(min_length=1, max_length=200, description="Its number, or the journey's id.")]
MAX_CSV = 2_000_000

EXAMPLE = {
    "number": "A-17",
    "entity": "US01",
    "office": None,
    "vendor": "TEACO",
    "vendor_name": "Tea & Co.",
    "claims_email": "claims@teaco.example",
    "signed_on": "2026-02-10",
    "document": "A-17.pdf",
    "starts_at": "2026-03-01T00:00:00Z",
    "ends_at": "2026-04-01T00:00:00Z",
    "currency": "USD",
    "terms": {
        "kind": "scan_back",
        "rate_minor": 50,
        "tiers": [{"from_units": 1001, "rate_minor": 60}],
        "cap_minor": 500_000,
    },
    "promotions": ["TEA-MARCH"],
    "claim_every_days": 7,
    "claim_window_days": 30,
}


class Csv(Strict):
    """A file as a text; its heading names the columns."""

    csv: Annotated[str, Field(min_length=1, max_length=MAX_CSV)]


class AnswerCsv(Csv):
    """The claim's own file with `accepted_minor` and `reason` filled in."""

    settlement: Annotated[str, Field(pattern="^(cash|deduction)$")]
    reference: Name = ""


class RowResult(BaseModel):
    row: int
    status: int
    agreement_id: str | None = None
    problem: Problem | None = None


class RowResults(BaseModel):
    results: list[RowResult]


class Sent(Strict):
    reference: Name = ""


@router.post(
    "/funding-agreements",
    status_code=201,
    response_model=AgreementView,
    summary="Record a funding agreement",
    responses={200: {"model": AgreementView, "description": "Recorded before; the same agreement."}, **WRITES},
)
async def post_agreement(
    request: Request,
    caller: Writer,
    wanted: Annotated[NewAgreement, Body(openapi_examples={"scan-back": {"value": EXAMPLE}})],
) -> Response:
    """What a vendor pays of the promotions that it names. From now on every sale that carries one of them accrues; what
    was sold before does not. The same number with another body is refused."""
    (result,) = await agreements.record(database_of(request), caller, [wanted], via="api")
    if isinstance(result, DomainError):
        raise result
    status, key = result
    view = await _agreement(request, caller, key)
    headers = located(api_link("funding-agreements", key))
    return Response(view.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.post("/funding-agreements:csv", summary="Record agreements from a file", responses=WRITES)
async def post_agreements(request: Request, caller: Writer, file: Csv) -> RowResults:
    """Each row has its own result; a refused one writes nothing. Columns: those of the JSON, terms laid out flat,
    `tiers` as `11:60 21:75`, `skus` and `promotions` with a space between codes."""
    results = []
    for number, row in funding_csv.agreements(file.csv):
        found: DomainError | tuple[int, str] = row if isinstance(row, DomainError) else (0, "")
        if isinstance(row, NewAgreement):
            (found,) = await agreements.record(database_of(request), caller, [row], via="api")
        if isinstance(found, DomainError):
            problem = problem_of(found, f"{request.url.path}#/rows/{number}")
            results.append(RowResult(row=number, status=problem.status, problem=problem))
        else:
            results.append(RowResult(row=number, status=found[0], agreement_id=found[1]))
    return RowResults(results=results)


@router.get("/funding-agreements", summary="Agreements, by their ids")
async def get_agreements(
    request: Request,
    caller: Reader,
    vendor: Annotated[str | None, Query(max_length=80)] = None,
    entity: Annotated[str | None, Query(max_length=80)] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[AgreementView]:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await list_agreements(
            conn, viewer, vendor=vendor, entity=entity, sources=sources, cursor=cursor, limit=limit
        )


@router.get("/funding-agreements/{agreement_id}", summary="One agreement", responses=MISSING)
async def get_agreement(request: Request, caller: Reader, agreement_id: AgreementKey) -> AgreementView:
    """Its terms, what it has accrued, what of it is in no claim yet, what its cap leaves, and its claims."""
    return await _agreement(request, caller, agreement_id)


async def _agreement(request: Request, caller: Caller, key: str) -> AgreementView:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await agreement_view(conn, viewer, key, sources=sources)


@router.post(
    "/funding-agreements/{agreement_id}:claim",
    status_code=201,
    summary="Claim what has accrued, now",
    responses={**MISSING, **WRITES},
)
async def claim_now(request: Request, caller: Writer, agreement_id: AgreementKey) -> ClaimView:
    """What is in no claim yet is frozen, and agreed to and sent as any claim is. Refused where nothing has accrued."""
    view = await _agreement(request, caller, agreement_id)
    database = database_of(request)
    made = await preparing.prepare_now(database, view.id, caller, at=await database.now(), via="api")
    return await _claim(request, caller, made)


@router.post("/funding-agreements/{agreement_id}:end", summary="End an agreement", responses={**MISSING, **WRITES})
async def end_agreement(
    request: Request, caller: Writer, agreement_id: AgreementKey, wanted: EndAgreement
) -> AgreementView:
    """Now, or at an instant before its end: what is sold from then on earns nothing by it. What has accrued is claimed,
    the last time when its window is over."""
    view = await _agreement(request, caller, agreement_id)
    await agreements.end(database_of(request), view.id, wanted, caller, via="api")
    return await _agreement(request, caller, view.id)


@router.get("/claims/{vendor_claim_id}", summary="One claim against a vendor", responses=MISSING)
async def get_vendor_claim(request: Request, caller: Reader, vendor_claim_id: ClaimKey) -> ClaimView:
    """Its lines, with what the vendor accepts of each and what became of the rest."""
    return await _claim(request, caller, vendor_claim_id)


@router.get("/claims/{vendor_claim_id}/document.pdf", summary="The claim as a document", responses=MISSING)
async def get_document(request: Request, caller: Reader, vendor_claim_id: ClaimKey) -> Response:
    """As the vendor gets it; the same claim gives the same bytes."""
    view = await _claim(request, caller, vendor_claim_id)
    async with database_of(request).read() as conn:
        papers = await vendor_claims.papers(conn, view)
    document = claim_paper.document_pdf(view, papers.names, sender=papers.sender)
    return _file(document, "application/pdf", f"claim-{view.claim_id}.pdf")


@router.get("/claims/{vendor_claim_id}/lines.csv", summary="The lines as a file to be answered", responses=MISSING)
async def get_lines(request: Request, caller: Reader, vendor_claim_id: ClaimKey) -> Response:
    view = await _claim(request, caller, vendor_claim_id)
    async with database_of(request).read() as conn:
        papers = await vendor_claims.papers(conn, view)
    return _file(claim_paper.lines_csv(view, papers.names), "text/csv", f"claim-{view.claim_id}.csv")


@router.get("/claims/{vendor_claim_id}/proof.csv", summary="What the lines were frozen from", responses=MISSING)
async def get_proof(request: Request, caller: Reader, vendor_claim_id: ClaimKey) -> Response:
    """Every sale and return behind it, receipt by receipt."""
    view = await _claim(request, caller, vendor_claim_id)
    async with database_of(request).read() as conn:
        proofs = [one async for one in vendor_claims.frozen_from(conn, view.journey_id)]
    return _file(claim_paper.proof_csv(view, proofs), "text/csv", f"claim-{view.claim_id}-proof.csv")


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers=saved_as(name))


@router.post("/claims/{vendor_claim_id}:answer", summary="The vendor's answer", responses={**MISSING, **WRITES})
async def answer(
    request: Request,
    caller: Writer,
    vendor_claim_id: ClaimKey,
    said: ClaimAnswer,
    idempotency_key: IdempotencyKey = None,
) -> ClaimView:
    """Line by line, or all of it with `lines: null`. What is too little to ask about is written off; a case asks about
    the rest. With `deduction` what is accepted is settled at once."""
    return await _record(request, caller, vendor_claim_id, said, answering.answered, idempotency_key)


@router.post(
    "/claims/{vendor_claim_id}:answer-csv", summary="The vendor's answer as a file", responses={**MISSING, **WRITES}
)
async def answer_csv(request: Request, caller: Writer, vendor_claim_id: ClaimKey, file: AnswerCsv) -> ClaimView:
    said = ClaimAnswer.model_validate(
        {"lines": funding_csv.answers(file.csv), "settlement": file.settlement, "reference": file.reference}
    )
    return await _record(request, caller, vendor_claim_id, said, answering.answered)


@router.post("/claims/{vendor_claim_id}:settle", summary="Money for a claim is there", responses={**MISSING, **WRITES})
async def settle(
    request: Request,
    caller: Writer,
    vendor_claim_id: ClaimKey,
    paid: ClaimPayment,
    idempotency_key: IdempotencyKey = None,
) -> ClaimView:
    """Whole or in part, before or after the answer. More than is open is refused. Two payments may be alike, so each is
    counted: send an `Idempotency-Key`, and the same payment again is not. The event `claim.settled` has an id of its
    own."""
    return await _record(request, caller, vendor_claim_id, paid, answering.settled, idempotency_key)


@router.post("/claims/{vendor_claim_id}:sent", summary="A claim was handed over", responses={**MISSING, **WRITES})
async def sent(request: Request, caller: Writer, vendor_claim_id: ClaimKey, said: Sent) -> ClaimView:
    """For a vendor that has no address for claims; all others get theirs by mail."""
    told = ClaimSent(claim_id=vendor_claim_id, reference=said.reference)
    return await _record(request, caller, vendor_claim_id, told, answering.handed_over)


async def _record(
    request: Request, caller: Caller, claim_id: str, said: BaseModel, take: answering.Take, key: str | None = None
) -> ClaimView:
    await _claim(request, caller, claim_id)  # what the caller may not see is not there
    about = ClaimReference(claim_id=claim_id)
    made = await record(database_of(request), caller, about, said, take, via="api", idempotency_key=key)
    return await _claim(request, caller, made)


async def _claim(request: Request, caller: Caller, claim_id: str) -> ClaimView:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await vendor_claims.claim_view(conn, viewer, claim_id, sources=sources)
