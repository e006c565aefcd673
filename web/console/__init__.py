"""The console of regional ops: one router for all its pages.

Every control is a link or a form that works without a script; htmx only makes it quick.
"""

from fastapi import APIRouter

from web.console import (
    adjustments,
    amending_transfers,
    approvals,
    approvers,
    asking_for_transfers,
    bulk,
    cases,
    claims,
    codes,
    comments,
    counts,
    delegations,
    events,
    figures,
    guide,
    home,
    journeys,
    live,
    more,
    owners,
    parents,
    photos,
    promotions,
    queue,
    sign_in,
    stock,
    transfers,
    undoing,
    views,
    waiting,
    walking,
    webhooks,
)

PARTS = (
    sign_in,
    home,
    queue,
    views,
    bulk,
    parents,
    walking,
    cases,
    undoing,
    waiting,
    comments,
    events,
    journeys,
    live,
    stock,
    adjustments,
    counts,
    asking_for_transfers,
    amending_transfers,
    transfers,
    claims,
    promotions,
    approvals,
    delegations,
    figures,
    guide,
    more,
    owners,
    approvers,
    codes,
    webhooks,
    photos,
)
router = APIRouter(include_in_schema=False)
for part in PARTS:
    router.include_router(part.router)
