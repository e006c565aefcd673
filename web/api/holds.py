"""Holds of channels: units promised before there is an order, until they are ordered, shipped, released or expire."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from domain.holds import Held, HoldExtension, HoldIn
from ledger import holds
from ledger.people import Caller
from web.api.responses import MISSING, WRITES, IdempotencyKey
from web.keys import database_of, require

router = APIRouter(tags=["holds"])
Writer = Annotated[Caller, Depends(require("orders:write"))]
HoldKey = Annotated[str, Path(min_length=1, max_length=80, description="The id that the channel gave.")]

EXAMPLE = {
    "hold_id": "C-77",
    "channel": "web",
    "order_reference": None,
    "lines": [{"line_id": "1", "sku": "1082185", "quantity": 2, "location": "S0330"}],
    "expires_in_s": 600,
}


@router.post(
    "/holds",
    status_code=201,
    response_model=Held,
    summary="Hold units for a channel",
    responses={200: {"model": Held, "description": "The same hold was asked for before; the same answer."}, **WRITES},
)
async def post_hold(
    request: Request,
    caller: Writer,
    wanted: Annotated[HoldIn, Body(openapi_examples={"a basket": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Promise what is there, line by line. It counts at once against what others may promise. `hold_id` on an order
    turns it into the order's own; the event `order.shipped` commits it."""
    status, held = await holds.open_hold(database_of(request), caller, wanted, idempotency_key=idempotency_key)
    return Response(held.model_dump_json(), status_code=status, media_type="application/json")


@router.post(
    "/holds/{hold_id}:extend", response_model=Held, summary="Hold until later", responses={**MISSING, **WRITES}
)
async def extend_hold(request: Request, caller: Writer, hold_id: HoldKey, wanted: HoldExtension) -> Held:
    """Counted from now. What has ended is not held again; it is refused with what became of it."""
    return await holds.extend(database_of(request), caller, hold_id, wanted)


@router.delete("/holds/{hold_id}", response_model=Held, summary="Release a hold", responses={**MISSING, **WRITES})
async def release_hold(request: Request, caller: Writer, hold_id: HoldKey) -> Held:
    """Give back what is held. A second time is refused with what became of it."""
    return await holds.release(database_of(request), caller, hold_id)
