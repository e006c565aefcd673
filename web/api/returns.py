"""Returns: asked for and answered line by line, called off, read. What happens to their goods is reported as events."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from domain.exchanges import ExchangeAnswer, NewExchange
from domain.overrides import NewOverride, OverrideView
from domain.return_requests import NewReturn, ReturnAnswer, ReturnCancel, ReturnView
from ledger.people import Caller
from ledger.reads.overrides import overrides_of
from ledger.reads.returns import return_view
from ledger.returns import exchanging, finding, overriding, requests
from ledger.transaction import Transaction
from web.api.responses import MISSING, WRITES, IdempotencyKey, located
from web.keys import Reader, database_of, require, view_of

EXCHANGE = {
    "lines": ["1"],
    "order": {
        "order_id": "W-1002",
        "prices_include_tax": True,
        "lines": [{"line_id": "1", "sku": "1082186", "quantity": 1, "unit_price_minor": 1500}],
    },
}
OVERRIDE = {"lines": ["1"], "reason": "goodwill", "note": "Comes every week; the store told her that she may."}
router = APIRouter(tags=["returns"])
Writer = Annotated[Caller, Depends(require("orders:write"))]
ReturnKey = Annotated[str, Path(min_length=1, max_length=200, description="The caller's id, or the journey's.")]

EXAMPLE = {
    "return_id": "RT-1001",
    "order_reference": "W-1001",
    "bought_at": "web",
    "returned_to": "S0330",
    "method": "store",
    "currency": "USD",
    "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
    "receipt": None,
    "lines": [{"line_id": "1", "sku": "1082185", "quantity": 1, "reason": "changed_mind"}],
}


@router.post(
    "/returns",
    status_code=201,
    response_model=ReturnAnswer,
    summary="Ask to bring something back",
    responses={200: {"model": ReturnAnswer, "description": "Asked for before; the same answer."}, **MISSING, **WRITES},
)
async def post_return(
    request: Request,
    caller: Writer,
    wanted: Annotated[NewReturn, Body(openapi_examples={"one line of an order": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Policy decides line by line. A line that it refuses is no error: its answer says why. `label` goes on the parcel,
    or is shown at the counter; a return of which every line is refused is `declined` and has none."""
    status, made = await requests.start(
        database_of(request),
        caller,
        wanted,
        actor=f"key:{caller.key_id}",
        via="api",
        idempotency_key=idempotency_key,
    )
    headers = located(made.links["self"])
    return Response(made.model_dump_json(), status_code=status, media_type="application/json", headers=headers)


@router.get("/returns/{return_id}", summary="One return", responses=MISSING)
async def get_return(request: Request, caller: Reader, return_id: ReturnKey) -> ReturnView:
    """Its lines, with how far the units and the money of each are, what inspections decided, and the terms of its
    fraud score."""
    viewer, sources = view_of(caller)
    async with database_of(request).read() as conn:
        return await return_view(conn, viewer, return_id, sources=sources)


@router.post(
    "/returns/{return_id}:override",
    status_code=201,
    response_model=OverrideView,
    summary="Ask to take back what was refused",
    responses={200: {"model": OverrideView, "description": "Asked for already; as it stands."}, **MISSING, **WRITES},
)
async def override_return(
    request: Request,
    caller: Writer,
    return_id: ReturnKey,
    wanted: Annotated[NewOverride, Body(openapi_examples={"a regular": {"value": OVERRIDE}})],
) -> Response:
    """`reason` is a code of the policy (`returns.override_reasons`). Somebody else has to agree, by
    `bands.return_override`; until then nothing changes. Agreed to, the lines go on as if policy had allowed them;
    refused or not answered, they stay refused and the customer is told."""
    database = database_of(request)

    async def find(tx: Transaction) -> str | None:
        return await finding.find(tx, caller, return_id)

    status, own, number = await overriding.ask(database, find, wanted, actor=f"key:{caller.key_id}", via="api")
    async with database.read() as conn:
        made = next(one for one in await overrides_of(conn, own) if one.id == number)
    return Response(made.model_dump_json(), status_code=status, media_type="application/json")


@router.post("/returns/{return_id}:cancel", summary="Call a return off", responses={**MISSING, **WRITES})
async def cancel_return(request: Request, caller: Writer, return_id: ReturnKey, wanted: ReturnCancel) -> ReturnView:
    """Refused once goods have come, or its refund was paid."""
    database = database_of(request)
    found = await requests.cancel(
        database, caller, return_id, reason=wanted.reason, actor=f"key:{caller.key_id}", via="api"
    )
    viewer, sources = view_of(caller)
    async with database.read() as conn:
        return await return_view(conn, viewer, found, sources=sources)


@router.post(
    "/returns/{return_id}:exchange",
    status_code=201,
    response_model=ExchangeAnswer,
    summary="Exchange a return for another order",
    responses={
        200: {"model": ExchangeAnswer, "description": "Asked for before; the same answer."},
        **MISSING,
        **WRITES,
    },
)
async def exchange_return(
    request: Request,
    caller: Writer,
    return_id: ReturnKey,
    wanted: Annotated[NewExchange, Body(openapi_examples={"another size": {"value": EXCHANGE}})],
) -> Response:
    """The replacement is placed as an order for pickup that is kept back until what pays for it was accepted
    (`returns.exchange_at`). What it costs less goes back as money; what it costs more is never charged without the
    customer's word: what `order.payments` leave open they are asked by a link (`state` is `asking`), and with a yes it
    is charged to `order.difference_from`, or to what the returned order was paid by."""
    status, made = await exchanging.start(
        database_of(request), caller, return_id, wanted, actor=f"key:{caller.key_id}", via="api"
    )
    return Response(
        made.model_dump_json(), status_code=status, media_type="application/json",
        headers=located(made.links["self"]),
    )  # fmt: skip
