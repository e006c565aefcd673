"""Store transfers: asked for one by one or many at once, changed, called off; and claims against carriers."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic import BaseModel, Field, ValidationError

from domain.errors import DomainError
from domain.transfers import (
    Amendment,
    CancelTransfer,
    ClaimAnswer,
    ClaimView,
    NewTransfer,
    TransferAnswer,
    TransferView,
)
from ledger import facts
from ledger.people import Caller
from ledger.reads.transfers import claim_view, transfer_view
from ledger.transaction import Transaction
from ledger.transfer import claims, intake, requests
from web.api.responses import MISSING, WRITES, IdempotencyKey, Number, located
from web.errors import Problem, problem_of, validation_problem
from web.keys import Reader, database_of, require, view_of

router = APIRouter(tags=["transfers"])
Writer = Annotated[Caller, Depends(require("events:write"))]
Claimant = Annotated[Caller, Depends(require("claims:write"))]
TransferKey = Annotated[str, Path(min_length=1, max_length=200, description="The caller's id, or the journey's.")]

EXAMPLE = {
    "transfer_id": "T-9",
    "from": "S0330",
    "to": "S0331",
    "reason": "rebalance",
    "needed_by": None,
    "requested_by": None,
    "lines": [{"line_id": "1", "sku": "1082185", "quantity": 6}],
}


class TransferBatch(BaseModel):
    transfers: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class TransferResult(BaseModel):
    transfer_id: str | None
    status: int
    body: TransferAnswer | None = None
    problem: Problem | None = None


class TransferResults(BaseModel):
    results: list[TransferResult]


@router.post(
    "/transfers",
    status_code=201,
    response_model=TransferAnswer,
    summary="Ask for a transfer",
    responses={200: {"model": TransferAnswer, "description": "Asked for before; the same answer."}, **WRITES},
)
async def post_transfer(
    request: Request,
    caller: Writer,
    wanted: Annotated[NewTransfer, Body(openapi_examples={"one item": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Below its band it is reserved at once, as far as the source can promise it; above, or between two entities,
    somebody is asked first. What cannot be promised is not sent; with nothing left it is cancelled at once."""
    database = database_of(request)
    (result,) = await intake.request(database, caller, [wanted], via="api", idempotency_key=idempotency_key)
    if isinstance(result, DomainError):
        raise result
    status, made = result
    if status == 201:
        await facts.apply_parked(database, caller.source, wanted.transfer_id, made.journey_id)
    headers = located(made.links["self"])
    return Response(made.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.post("/transfers:batch", summary="Ask for up to 1,000 transfers", responses=WRITES)
async def post_transfers(request: Request, caller: Writer, batch: TransferBatch) -> TransferResults:
    """Each transfer has its own result: its answer, or the problem it was refused with. A refused one writes nothing,
    and the same batch again is answered as the first time."""
    results: dict[int, TransferResult] = {}
    good: dict[int, NewTransfer] = {}
    for number, given in enumerate(batch.transfers):
        try:
            good[number] = NewTransfer.model_validate(given)
        except ValidationError as error:
            key = given.get("transfer_id")
            refused = validation_problem(error.errors(), f"{request.url.path}#/transfers/{number}")
            named = key if isinstance(key, str) else None
            results[number] = TransferResult(transfer_id=named, status=refused.status, problem=refused)
    taken = await intake.request(database_of(request), caller, list(good.values()), via="api")
    for (number, one), result in zip(good.items(), taken, strict=True):
        if isinstance(result, DomainError):
            refused = problem_of(result, f"{request.url.path}#/transfers/{number}")
            results[number] = TransferResult(transfer_id=one.transfer_id, status=refused.status, problem=refused)
        else:
            results[number] = TransferResult(transfer_id=one.transfer_id, status=result[0], body=result[1])
    return TransferResults(results=[results[number] for number in range(len(batch.transfers))])


@router.get("/transfers/{transfer_id}", summary="One transfer", responses=MISSING)
async def get_transfer(request: Request, caller: Reader, transfer_id: TransferKey) -> TransferView:
    """Its lines with what was shipped, is on its way and has come; what came unexpected; parcels and claims."""
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await transfer_view(conn, viewer, transfer_id, sources=sources)


@router.post("/transfers/{transfer_id}:cancel", summary="Call a transfer off", responses={**MISSING, **WRITES})
async def cancel_transfer(
    request: Request, caller: Writer, transfer_id: TransferKey, wanted: CancelTransfer
) -> TransferView:
    """Before it is shipped what is reserved is released; on its way a case asks what becomes of the goods. Refused once
    they have come."""
    database = database_of(request)
    find = _find(caller, transfer_id)
    about = await requests.cancel(database, find, reason=wanted.reason, actor=f"key:{caller.key_id}", via="api")
    return await _shown(request, caller, about)


@router.post("/transfers/{transfer_id}:amend", summary="Change its lines", responses={**MISSING, **WRITES})
async def amend_transfer(request: Request, caller: Writer, transfer_id: TransferKey, wanted: Amendment) -> TransferView:
    """While nobody has agreed to it: who was asked is not asked any more, but whoever must agree to the new value."""
    database = database_of(request)
    find = _find(caller, transfer_id)
    about = await requests.amend(database, find, wanted, actor=f"key:{caller.key_id}", via="api")
    return await _shown(request, caller, about)


@router.get("/carrier-claims/{claim_id}", summary="One claim against a carrier", responses=MISSING)
async def get_claim(request: Request, caller: Reader, claim_id: Number) -> ClaimView:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await claim_view(conn, viewer, claim_id, sources=sources)


@router.post("/carrier-claims/{claim_id}:sent", summary="A claim has gone out", responses={**MISSING, **WRITES})
async def claim_sent(request: Request, caller: Claimant, claim_id: Number) -> ClaimView:
    await claims.mark_sent(database_of(request), claim_id, caller, via="api")
    return await get_claim(request, caller, claim_id)


@router.post("/carrier-claims/{claim_id}:answer", summary="The carrier's answer", responses={**MISSING, **WRITES})
async def claim_answered(request: Request, caller: Claimant, claim_id: Number, answer: ClaimAnswer) -> ClaimView:
    """What the carrier accepts of it, 0 for nothing; the rest is a loss in transit."""
    await claims.record_answer(
        database_of(request), claim_id, caller, accepted_minor=answer.accepted_minor, reference=answer.reference or "",
        via="api",
    )  # fmt: skip
    return await get_claim(request, caller, claim_id)


@router.post("/carrier-claims/{claim_id}:paid", summary="The carrier has paid", responses={**MISSING, **WRITES})
async def claim_paid(request: Request, caller: Claimant, claim_id: Number) -> ClaimView:
    """What it accepted, and nothing else."""
    await claims.record_payment(database_of(request), claim_id, caller, via="api")
    return await get_claim(request, caller, claim_id)


async def _shown(request: Request, caller: Caller, about: str) -> TransferView:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await transfer_view(conn, viewer, about, sources=sources)


def _find(caller: Caller, transfer_id: str) -> requests.Find:
    async def found(tx: Transaction) -> str:
        return await requests.find(tx, caller, transfer_id)

    return found
