"""Endpoints: registered, given another secret, enabled again, removed. A secret is shown once and kept sealed."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, func, insert, select, update

from domain.addresses import check_url
from domain.errors import Malformed, NotFound, StateConflict
from domain.webhooks import OLD_SECRET_SIGNS, NewWebhook, WebhookIn
from ledger import case
from ledger.engine import Database
from ledger.reads.webhooks import endpoint_detail
from ledger.tables import case_file, webhook_delivery, webhook_endpoint
from ledger.transaction import Transaction

MAX_ENDPOINTS = 50  # of one source
CASE_KIND = "webhook_failing"
Owner = str | None  # the source whose endpoint it must be; None is an operator, who may touch all


def new_secret() -> str:
    """`whsec_` and 32 random bytes in base64, as Standard Webhooks writes a secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


async def register(
    database: Database,
    wanted: WebhookIn,
    *,
    source: str,
    sources: Sequence[str],
    allow_local: bool,
    actor: str,
    via: str,
) -> NewWebhook:
    """A new endpoint of a source, which hears of the journeys of `source` and `sources`. Raises `Malformed`."""
    check_url(wanted.url, allow_local=allow_local)
    endpoint_id, secret = f"we_{secrets.token_hex(8)}", new_secret()

    async def work(tx: Transaction) -> NewWebhook:
        count = await tx.conn.execute(
            select(func.count()).where(webhook_endpoint.c.source == source, webhook_endpoint.c.state != "removed")
        )
        if count.scalar_one() >= MAX_ENDPOINTS:
            raise Malformed(f"{source} has {MAX_ENDPOINTS} endpoints already; remove one, or give one more types.")
        now = await tx.now()
        await tx.conn.execute(
            insert(webhook_endpoint).values(
                id=endpoint_id,
                source=source,
                sources=sorted({source, *sources}),
                url=wanted.url,
                types=list(wanted.types),
                secret_sealed=tx.seal.close(secret),
                created_at=now,
            )
        )
        tx.record("webhook.registered", endpoint_id, now, after={"source": source, "types": list(wanted.types)})
        made = await endpoint_detail(tx.conn, endpoint_id, owner=source)
        return NewWebhook(**made.model_dump(), secret=secret)

    return await database.write(work, actor=actor, via=via)


async def _locked(tx: Transaction, endpoint_id: str, owner: Owner) -> RowMapping:
    """The endpoint, with the open case about it locked before it. Raises `NotFound`."""
    about = await tx.conn.execute(select(case_file.c.id).where(case_file.c.dedupe_key == f"{CASE_KIND}|{endpoint_id}"))
    case_id = about.scalar()
    if case_id is not None:
        await tx.lock_case(case_id)
    found = await tx.conn.execute(
        select(webhook_endpoint)
        .where(webhook_endpoint.c.id == endpoint_id, webhook_endpoint.c.state != "removed")
        .with_for_update()
    )
    row = found.mappings().first()
    if row is None or (owner is not None and row["source"] != owner):
        raise NotFound(f"There is no webhook {endpoint_id}.")
    return row


async def rotate(database: Database, endpoint_id: str, *, owner: Owner, actor: str, via: str) -> NewWebhook:
    """A new secret; the one before signs beside it for a day, so that the receiver can change in peace."""
    secret = new_secret()

    async def work(tx: Transaction) -> NewWebhook:
        row = await _locked(tx, endpoint_id, owner)
        now = await tx.now()
        await tx.conn.execute(
            update(webhook_endpoint)
            .where(webhook_endpoint.c.id == endpoint_id)
            .values(
                secret_sealed=tx.seal.close(secret),
                older_sealed=row["secret_sealed"],
                older_until=now + OLD_SECRET_SIGNS,
            )
        )
        tx.record("webhook.rotated", endpoint_id, now)
        made = await endpoint_detail(tx.conn, endpoint_id, owner=None)
        return NewWebhook(**made.model_dump(), secret=secret)

    return await database.write(work, actor=actor, via=via)


async def enable(database: Database, endpoint_id: str, *, owner: Owner, actor: str, via: str) -> None:
    """Send to a disabled endpoint again, what waits first; the case about it closes. Raises `StateConflict`."""

    async def work(tx: Transaction) -> None:
        row = await _locked(tx, endpoint_id, owner)
        if row["state"] == "active":
            raise StateConflict("This webhook is active; nothing has to be enabled.")
        now = await tx.now()
        await enable_row(tx, endpoint_id, now)
        await _heal(tx, endpoint_id, "the webhook was enabled again", now)

    await database.write(work, actor=actor, via=via)


async def enable_row(tx: Transaction, endpoint_id: str, now: datetime) -> None:
    """Make the endpoint active; what waits for it is due at once."""
    await tx.conn.execute(
        update(webhook_endpoint)
        .where(webhook_endpoint.c.id == endpoint_id, webhook_endpoint.c.state == "disabled")
        .values(state="active", failing_since=None, disabled_reason=None)
    )
    await tx.conn.execute(
        update(webhook_delivery)
        .where(webhook_delivery.c.endpoint_id == endpoint_id, webhook_delivery.c.state == "queued")
        .values(not_before=now)
    )
    tx.record("webhook.enabled", endpoint_id, now)


async def _heal(tx: Transaction, endpoint_id: str, because: str, at: datetime) -> None:
    about = await tx.conn.execute(select(case_file.c.id).where(case_file.c.dedupe_key == f"{CASE_KIND}|{endpoint_id}"))
    await case.heal(tx, about.scalar(), because, at)


async def remove(database: Database, endpoint_id: str, *, owner: Owner, actor: str, via: str) -> None:
    """Nothing is sent to it any more; its log stays for as long as deliveries are kept."""

    async def work(tx: Transaction) -> None:
        await _locked(tx, endpoint_id, owner)
        now = await tx.now()
        await tx.conn.execute(
            update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id).values(state="removed")
        )
        await tx.conn.execute(
            update(webhook_delivery)
            .where(webhook_delivery.c.endpoint_id == endpoint_id, webhook_delivery.c.state == "queued")
            .values(state="failed", ended_at=now)
        )
        await _heal(tx, endpoint_id, "the webhook was removed", now)
        tx.record("webhook.removed", endpoint_id, now)

    await database.write(work, actor=actor, via=via)


async def ping(database: Database, endpoint_id: str, *, owner: Owner, actor: str, via: str) -> int:
    """Queue `webhook.ping` for one endpoint, whatever it subscribed to; returns the delivery."""

    async def work(tx: Transaction) -> int:
        row = await _locked(tx, endpoint_id, owner)
        if row["state"] != "active":
            raise StateConflict("This webhook is disabled; enable it first.")
        now = await tx.now()
        made = await tx.conn.execute(
            insert(webhook_delivery)
            .values(
                endpoint_id=endpoint_id,
                type="webhook.ping",
                subject=endpoint_id,
                body={"type": "webhook.ping", "timestamp": now.isoformat(), "data": {"webhook_id": endpoint_id}},
                at=now,
                not_before=now,
            )
            .returning(webhook_delivery.c.id)
        )
        return int(made.scalar_one())

    return await database.write(work, actor=actor, via=via)
