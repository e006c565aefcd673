"""The API for systems, under `/api/v1`: one file per noun. Each route reads or calls the ledger once and answers."""

from fastapi import Depends

from web.api import (
    adjustments,
    approvals,
    availability,
    cases,
    counts,
    customers,
    delegations,
    events,
    funding,
    holds,
    journeys,
    kpis,
    orders,
    prices,
    promotions,
    returns,
    stock,
    transfers,
    vendor_returns,
    webhooks,
)
from web.api.parameters import refuse_unknown
from web.api.responses import PROBLEMS
from web.prefix_router import PrefixRouter

router = PrefixRouter("/api/v1/", prefix="/api/v1", responses=PROBLEMS, dependencies=[Depends(refuse_unknown)])
for part in (
    orders,
    holds,
    events,
    journeys,
    stock,
    counts,
    returns,
    vendor_returns,
    transfers,
    promotions,
    funding,
    prices,
    adjustments,
    availability,
    cases,
    approvals,
    delegations,
    kpis,
    customers,
    webhooks,
):
    router.include_router(part.router)

# Busy addresses: they stand in front of everything else, each for what is usual of it.
STRAIGHT = (*orders.STRAIGHT, *events.STRAIGHT)
