"""Orders come in: one, or up to a thousand at a time. What comes at the same moment shares transactions."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from domain.errors import DomainError
from domain.orders import BopisOrder, PlacedOrder
from ledger.intake import Intake
from ledger.people import Caller
from web.api.responses import WRITES, IdempotencyKey, located
from web.api.straight import Straight
from web.errors import Problem, problem_of, unexpected_problem, validation_problem
from web.keys import database_of, require

router = APIRouter(tags=["orders"])
Writer = Annotated[Caller, Depends(require("orders:write"))]

IN_HAND = 400  # orders of one batch that wait for PostgreSQL at a time

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


def intake_of(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


class OrderBatch(BaseModel):
    """Each order is taken or refused by itself; they are no unit."""

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
) -> Response:
    """Reserve what is there and record the order; what is short becomes a case. A refused order writes nothing."""
    status, placed = await intake_of(request).place(
        caller, order, idempotency_key=idempotency_key, received_at=await database_of(request).now()
    )
    # From the model, so that a repeat is the same answer byte for byte: stored JSON forgets the order of its keys.
    return Response(
        placed.model_dump_json(),
        status_code=status,
        media_type="application/json",
        headers=located(placed.links["self"]),
    )


@router.post("/bopis-orders:batch", response_model=BatchAnswer, summary="Place up to 1,000 orders", responses=WRITES)
async def post_orders(request: Request, caller: Writer, batch: OrderBatch) -> Response:
    """Each order has its own result: its answer, or the problem it was refused with."""
    received_at = await database_of(request).now()
    room = asyncio.Semaphore(IN_HAND)  # the rest of this request waits here, and leaves room for other callers

    async def one(number: int, given: dict[str, Any]) -> BatchResult:
        async with room:
            return await _place(request, caller, number, given, received_at)

    results = await asyncio.gather(*(one(*numbered) for numbered in enumerate(batch.orders)))
    return Response(BatchAnswer(results=results).model_dump_json(), media_type="application/json")


async def _place(
    request: Request, caller: Caller, number: int, given: dict[str, Any], received_at: datetime
) -> BatchResult:
    order_id = given.get("order_id") if isinstance(given.get("order_id"), str) else None
    instance = f"{request.url.path}#/orders/{number}"
    try:
        order = BopisOrder.model_validate(given)
        status, placed = await intake_of(request).place(caller, order, idempotency_key=None, received_at=received_at)
    except ValidationError as error:
        refused = validation_problem(error.errors(), instance)
    except DomainError as error:
        refused = problem_of(error, instance)
    except Exception as error:  # noqa: BLE001  it is logged; the other orders have their own results
        refused = unexpected_problem(error, instance)
    else:
        return BatchResult(order_id=order_id, status=status, body=placed)
    return BatchResult(order_id=order_id, status=refused.status, problem=refused)


STRAIGHT = (
    Straight("/api/v1/bopis-orders", BopisOrder, post_order, scope="orders:write", unless="idempotency-key"),
    Straight("/api/v1/bopis-orders:batch", OrderBatch, post_orders, scope="orders:write"),
)
