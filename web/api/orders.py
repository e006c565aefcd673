"""Orders come in: one, or up to a thousand at a time. Everything an order does is one transaction of the ledger."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import DomainError
from domain.orders import BopisOrder, PlacedOrder
from ledger.intake import place_order
from ledger.people import Caller
from web.api.responses import WRITES, IdempotencyKey
from web.errors import Problem, problem_of, validation_problem
from web.keys import database_of, require

router = APIRouter(tags=["orders"])
Writer = Annotated[Caller, Depends(require("orders:write"))]

EXAMPLE = {
    "order_id": "W-1001",
    "channel": "web",
    "pickup_location": "S0330",
    "currency": "USD",
    "prices_include_tax": False,
    "customer": {"name": "Noor Haddad", "email": "noor@example.com"},
    "lines": [
        {"line_id": "1", "sku": "1082185", "quantity": 2, "unit_price_minor": 129, "discount_minor": 0, "tax_minor": 10}
    ],
    "payments": [{"reference": "pay_1", "tender": "card", "amount_minor": 268, "state": "captured"}],
}
ANSWER = {
    "journey_id": "bopis:web:W-1001",
    "state": "reserved",
    "promised_at": "2026-11-21T16:00:00Z",
    "lines": [{"line_id": "1", "sku": "1082185", "quantity": 2, "reserved": 2, "short": 0}],
    "links": {"self": "/api/v1/journeys/bopis:web:W-1001"},
}


class OrderBatch(BaseModel):
    """Orders are taken one by one, each in its own transaction; a refused one does not touch the others."""

    model_config = ConfigDict(extra="forbid")

    orders: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]


class BatchResult(BaseModel):
    order_id: str | None
    status: int
    body: PlacedOrder | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    results: list[BatchResult]


@router.post(
    "/bopis-orders",
    status_code=201,
    response_model=PlacedOrder,
    summary="Place an order for pickup",
    responses={
        201: {"description": "Recorded and answered once.", "content": {"application/json": {"example": ANSWER}}},
        200: {"model": PlacedOrder, "description": "The same order was placed before; the same answer."},
        **WRITES,
    },
)
async def post_order(
    request: Request,
    caller: Writer,
    order: Annotated[BopisOrder, Body(openapi_examples={"one line": {"value": EXAMPLE}})],
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Reserve what is there and record the order; what is short becomes a case. A refused order writes nothing."""
    status, body = await place_order(
        database_of(request), caller, order, idempotency_key=idempotency_key, received_at=datetime.now(UTC)
    )
    # Through the model, so that a repeat is the same answer byte for byte: stored JSON forgets the order of its keys.
    placed = PlacedOrder.model_validate(body)
    headers = {"Location": placed.links["self"]}
    return JSONResponse(placed.model_dump(mode="json"), status_code=status, headers=headers)


@router.post("/bopis-orders:batch", response_model=BatchAnswer, summary="Place up to 1,000 orders", responses=WRITES)
async def post_orders(request: Request, caller: Writer, batch: OrderBatch) -> BatchAnswer:
    """Each order has its own result: its answer, or the problem it was refused with."""
    return BatchAnswer(results=[await _place(request, caller, number, one) for number, one in enumerate(batch.orders)])


async def _place(request: Request, caller: Caller, number: int, given: dict[str, Any]) -> BatchResult:
    order_id = given.get("order_id") if isinstance(given.get("order_id"), str) else None
    instance = f"{request.url.path}#/orders/{number}"
    try:
        order = BopisOrder.model_validate(given)
        status, body = await place_order(
            database_of(request), caller, order, idempotency_key=None, received_at=datetime.now(UTC)
        )
    except ValidationError as error:
        refused = validation_problem(error.errors(), instance)
        return BatchResult(order_id=order_id, status=refused.status, problem=refused)
    except DomainError as error:
        refused = problem_of(error, instance)
        return BatchResult(order_id=order_id, status=refused.status, problem=refused)
    return BatchResult(order_id=order_id, status=status, body=PlacedOrder.model_validate(body))
