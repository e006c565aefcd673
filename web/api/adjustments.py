"""Adjustments: corrections of the book by a person, above the band through an approval."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from domain.adjustments import Adjustment, AdjustmentIn
from domain.ids import api_link
from ledger import adjustments
from ledger.people import Caller
from ledger.reads.adjustments import adjustment_detail
from web.api.responses import MISSING, WRITES, IdempotencyKey, located
from web.keys import OnBehalfOf, Reader, database_of, decider_of, require, view_of

router = APIRouter(tags=["adjustments"])
AdjustmentKey = Annotated[str, Path(min_length=1, max_length=80, description="The id that the caller gave.")]

EXAMPLE = {
    "adjustment_id": "A-31",
    "location": "S0330",
    "lines": [{"sku": "1082185", "quantity": -2, "reason": "damaged"}],
}


@router.post(
    "/adjustments",
    status_code=201,
    response_model=Adjustment,
    summary="Adjust stock",
    responses={200: {"model": Adjustment, "description": "Asked for before; the first answer."}, **MISSING, **WRITES},
)
async def post_adjustment(
    request: Request,
    caller: Annotated[Caller, Depends(require("stock:adjust"))],
    wanted: Annotated[AdjustmentIn, Body(openapi_examples={"two damaged": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
    on_behalf_of: OnBehalfOf = None,
) -> Response:
    """Asked for by the person behind the token. Below the band it is posted at once. Above it, units lost wait as count
    pending, and a manager or finance is asked; whoever asks never approves. A system without a person reports the
    event `stock.adjusted` instead."""
    person, _ = await decider_of(request, caller, on_behalf_of)
    status, made = await adjustments.ask(
        database_of(request), person, wanted, source=caller.source, via="api", idempotency_key=idempotency_key
    )
    headers = located(api_link("adjustments", made.adjustment_id))
    return Response(made.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.get("/adjustments/{adjustment_id}", summary="One adjustment", responses=MISSING)
async def get_adjustment(request: Request, caller: Reader, adjustment_id: AdjustmentKey) -> Adjustment:
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await adjustment_detail(conn, viewer, adjustment_id, sources=sources)
