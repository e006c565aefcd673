"""Webhooks of a source: registered, rotated, enabled, removed; the log of their deliveries, and sending one again."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import BaseModel

from domain.webhooks import Delivery, NewWebhook, Webhook, WebhookIn
from ledger import webhooks
from ledger.people import Caller
from ledger.reads.paging import Page
from ledger.reads.webhooks import endpoint_detail, list_deliveries, list_endpoints
from web.api.responses import DEFAULT_LIMIT, MISSING, WRITES, Cursor, Limit, Number
from web.keys import database_of, require

router = APIRouter(tags=["webhooks"])
Owner = Annotated[Caller, Depends(require("webhooks"))]
WebhookId = Annotated[str, Path(min_length=1, max_length=80)]

EXAMPLE = {"url": "https://shop.example/hooks/endcap", "types": ["bopis.ready_for_pickup", "case.*"]}


class Webhooks(BaseModel):
    items: list[Webhook]


class Queued(BaseModel):
    """The delivery that waits to be sent."""

    delivery_id: int


@router.post("/webhooks", status_code=201, summary="Register a webhook", responses=WRITES)
async def post_webhook(
    request: Request, caller: Owner, wanted: Annotated[WebhookIn, Body(openapi_examples={"two": {"value": EXAMPLE}})]
) -> NewWebhook:
    """State changes of the source's journeys and their cases are sent to `url`, signed after Standard Webhooks. The
    secret is shown in this answer and never again."""
    return await webhooks.register(
        database_of(request),
        wanted,
        source=caller.source,
        sources=sorted(caller.sources),
        allow_local=request.app.state.settings.webhook_allow_local,
        actor=f"key:{caller.key_id}",
        via="api",
    )


@router.get("/webhooks", summary="Webhooks of the source")
async def get_webhooks(request: Request, caller: Owner) -> Webhooks:
    async with database_of(request).read() as conn:
        return Webhooks(items=await list_endpoints(conn, owner=caller.source))


@router.get("/webhooks/{webhook_id}", summary="One webhook", responses=MISSING)
async def get_webhook(request: Request, caller: Owner, webhook_id: WebhookId) -> Webhook:
    async with database_of(request).read() as conn:
        return await endpoint_detail(conn, webhook_id, owner=caller.source)


@router.delete("/webhooks/{webhook_id}", status_code=204, summary="Remove a webhook", responses=MISSING)
async def delete_webhook(request: Request, caller: Owner, webhook_id: WebhookId) -> None:
    """Nothing is sent to it any more, what waits included."""
    await webhooks.remove(
        database_of(request), webhook_id, owner=caller.source, actor=f"key:{caller.key_id}", via="api"
    )


@router.post("/webhooks/{webhook_id}:rotate", summary="Give a webhook a new secret", responses={**MISSING, **WRITES})
async def rotate_webhook(request: Request, caller: Owner, webhook_id: WebhookId) -> NewWebhook:
    """The secret before signs beside the new one for a day: messages carry two signatures until then."""
    return await webhooks.rotate(
        database_of(request), webhook_id, owner=caller.source, actor=f"key:{caller.key_id}", via="api"
    )


@router.post("/webhooks/{webhook_id}:enable", summary="Enable a disabled webhook", responses={**MISSING, **WRITES})
async def enable_webhook(request: Request, caller: Owner, webhook_id: WebhookId) -> Webhook:
    """What waits is sent at once."""
    database = database_of(request)
    await webhooks.enable(database, webhook_id, owner=caller.source, actor=f"key:{caller.key_id}", via="api")
    async with database.read() as conn:
        return await endpoint_detail(conn, webhook_id, owner=caller.source)


@router.post("/webhooks/{webhook_id}:ping", status_code=202, summary="Send a ping", responses={**MISSING, **WRITES})
async def ping_webhook(request: Request, caller: Owner, webhook_id: WebhookId) -> Queued:
    """Queue `webhook.ping`, to try the address and the signature."""
    number = await webhooks.ping(
        database_of(request), webhook_id, owner=caller.source, actor=f"key:{caller.key_id}", via="api"
    )
    return Queued(delivery_id=number)


@router.get("/webhooks/{webhook_id}/deliveries", summary="Deliveries, the newest first", responses=MISSING)
async def get_deliveries(
    request: Request,
    caller: Owner,
    webhook_id: WebhookId,
    state: Annotated[Literal["queued", "sent", "failed"] | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Delivery]:
    """With the log of the last attempts of each. Deliveries are kept for thirty days after they ended."""
    async with database_of(request).read() as conn:
        return await list_deliveries(conn, webhook_id, owner=caller.source, state=state, cursor=cursor, limit=limit)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}:redeliver",
    status_code=202,
    summary="Send a delivery again",
    responses={**MISSING, **WRITES},
)
async def redeliver(request: Request, caller: Owner, webhook_id: WebhookId, delivery_id: Number) -> Queued:
    """Under the same `webhook-id`, so that the receiver can tell that it is the same message."""
    await webhooks.redeliver(
        database_of(request), webhook_id, delivery_id, owner=caller.source, actor=f"key:{caller.key_id}", via="api"
    )
    return Queued(delivery_id=delivery_id)
