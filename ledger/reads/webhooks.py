"""Reads of webhooks: endpoints without their secrets, and the log of their deliveries."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.errors import NotFound
from domain.webhooks import Delivery, Webhook, message_id
from ledger.reads.paging import DEFAULT_LIMIT, Page, check_limit, fingerprint, read_cursor, write_cursor
from ledger.tables import webhook_delivery, webhook_endpoint

_WAITING = (
    select(func.count())
    .where(webhook_delivery.c.endpoint_id == webhook_endpoint.c.id, webhook_delivery.c.state == "queued")
    .correlate(webhook_endpoint)
    .scalar_subquery()
    .label("waiting")
)


async def list_endpoints(conn: AsyncConnection, *, owner: str | None) -> list[Webhook]:
    """Endpoints of a source (all of them for None), the newest last; removed ones are left out."""
    query = select(webhook_endpoint, _WAITING).where(webhook_endpoint.c.state != "removed")
    if owner is not None:
        query = query.where(webhook_endpoint.c.source == owner)
    rows = await conn.execute(query.order_by(webhook_endpoint.c.created_at, webhook_endpoint.c.id))
    return [Webhook.model_validate(dict(row)) for row in rows.mappings()]


async def endpoint_detail(conn: AsyncConnection, endpoint_id: str, *, owner: str | None) -> Webhook:
    """One endpoint. Raises `NotFound`, also for one of another source."""
    found = [one for one in await list_endpoints(conn, owner=owner) if one.id == endpoint_id]
    if not found:
        raise NotFound(f"There is no webhook {endpoint_id}.")
    return found[0]


async def list_deliveries(
    conn: AsyncConnection,
    endpoint_id: str,
    *,
    owner: str | None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Page[Delivery]:
    """Deliveries of an endpoint, the newest first. Raises `NotFound`, `Malformed` for a foreign cursor."""
    await endpoint_detail(conn, endpoint_id, owner=owner)
    mark = fingerprint("deliveries", {"endpoint": endpoint_id, "state": state})
    after = read_cursor(mark, cursor, value_type=int, id_type=int)
    query = select(webhook_delivery).where(webhook_delivery.c.endpoint_id == endpoint_id)
    if state is not None:
        query = query.where(webhook_delivery.c.state == state)
    if after is not None:
        query = query.where(webhook_delivery.c.id < after.id)
    rows = (await conn.execute(query.order_by(webhook_delivery.c.id.desc()).limit(check_limit(limit) + 1))).mappings()
    found = [_delivery(dict(row)) for row in rows]
    more = len(found) > limit
    last = found[limit - 1].id if more else 0
    return Page(items=found[:limit], next=write_cursor(mark, last, last) if more else None)


def _delivery(row: dict[str, Any]) -> Delivery:
    queued, sent = row["state"] == "queued", row["state"] == "sent"
    return Delivery.model_validate(
        {
            **row,
            "message_id": message_id(row["id"]),
            "next_at": row["not_before"] if queued else None,
            "sent_at": row["ended_at"] if sent else None,
        }
    )
