"""Customers: forgotten when they ask for it."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request

from domain.erasure import ErasureAnswer, ErasureRequest
from ledger import erasing
from ledger.people import Caller
from web.api.responses import MISSING, WRITES
from web.keys import database_of, require, view_of

router = APIRouter(tags=["customers"])


@router.post("/customers:erase", summary="Forget a customer", responses={**MISSING, **WRITES})
async def erase_customer(
    request: Request,
    caller: Annotated[Caller, Depends(require("customers:erase"))],
    wanted: Annotated[
        ErasureRequest, Body(openapi_examples={"by e-mail": {"value": {"email": "kim@customer.example"}}})
    ],
) -> ErasureAnswer:
    """Erase name, contacts and address, and what was written on their orders, returns and cases. What is under way goes
    on as agreed, and is erased when it has ended (`waiting`). Goods, money and decisions stay. Asking again is
    harmless."""
    viewer, sources = view_of(caller)
    return await erasing.ask(
        database_of(request), wanted, viewer=viewer, sources=sources, actor=f"key:{caller.key_id}", via="api",
        at=await database_of(request).now(),
    )  # fmt: skip
