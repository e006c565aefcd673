"""Deliveries: claimed by lease, a few of each endpoint at a time; ended or tried again by the row's own clock."""

from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from cryptography.fernet import InvalidToken
from sqlalchemy import RowMapping, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from domain.case import CaseOption
from domain.errors import NotFound, StateConflict
from domain.webhooks import DISABLED_AFTER, KEPT, KEPT_ATTEMPTS, Attempt, wait_after
from ledger import case, mails, people, reference
from ledger.engine import Database
from ledger.tables import location, webhook_delivery, webhook_endpoint
from ledger.transaction import Transaction
from ledger.webhooks.endpoints import CASE_KIND, Owner


class Claimed(NamedTuple):
    """A delivery that a sender holds until its lease ends. `attempts` counts this one; the newest secret is first."""

    id: int
    endpoint_id: str
    url: str
    body: dict[str, Any]
    attempts: int
    secrets: list[str]


_CLAIM = text(
    """
    WITH due AS (
        SELECT d.id FROM webhook_endpoint e CROSS JOIN LATERAL (
            SELECT w.id FROM webhook_delivery w
            WHERE w.endpoint_id = e.id AND w.state = 'queued' AND w.not_before <= now()
              AND (w.leased_until IS NULL OR w.leased_until < now())
            ORDER BY w.not_before, w.id LIMIT :of_each FOR UPDATE SKIP LOCKED
        ) d WHERE e.state = 'active'
        LIMIT :limit
    )
    UPDATE webhook_delivery w SET attempts = w.attempts + 1, leased_until = now() + make_interval(secs => :lease_s)
    FROM due, webhook_endpoint e WHERE w.id = due.id AND e.id = w.endpoint_id
    RETURNING w.id, w.endpoint_id, e.url, w.body, w.attempts, e.secret_sealed,
        CASE WHEN e.older_until > now() THEN e.older_sealed END AS older_sealed
    """
).columns(body=JSONB)


async def claim(database: Database, *, limit: int, of_each: int, lease_s: float) -> list[Claimed]:
    """Take up to `limit` deliveries that are due, `of_each` endpoint at most: a slow one holds up only itself."""

    async def work(tx: Transaction) -> list[Claimed]:
        rows = await tx.conn.execute(_CLAIM, {"limit": limit, "of_each": of_each, "lease_s": lease_s})
        return [
            Claimed(
                row["id"],
                row["endpoint_id"],
                row["url"],
                row["body"],
                row["attempts"],
                _opened(tx, row["secret_sealed"], row["older_sealed"]),
            )
            for row in sorted(rows.mappings(), key=lambda row: row["id"])
        ]

    return await database.write(work, actor="notifier", via="notifier")


def _opened(tx: Transaction, *sealed: bytes | None) -> list[str]:
    """The secrets that this process can open; an endpoint whose secret it cannot must not stop the others."""
    found = []
    for one in sealed:
        if one is not None:
            with suppress(InvalidToken):
                found.append(tx.seal.open(one))
    return found


_LOG = text(
    "UPDATE webhook_delivery SET log = (SELECT coalesce(jsonb_agg(a ORDER BY n), '[]') FROM ("
    " SELECT a, n FROM jsonb_array_elements(log || CAST(:attempt AS jsonb)) WITH ORDINALITY AS l(a, n)"
    " ORDER BY n DESC LIMIT :kept) latest) WHERE id = :id"
)


async def _log(tx: Transaction, delivery_id: int, attempt: Attempt) -> None:
    values = {"id": delivery_id, "attempt": f"[{attempt.model_dump_json()}]", "kept": KEPT_ATTEMPTS}
    await tx.conn.execute(_LOG, values)


async def accepted(database: Database, one: Claimed, attempt: Attempt) -> None:
    """The endpoint has taken it."""

    async def work(tx: Transaction) -> None:
        await _log(tx, one.id, attempt)
        await tx.conn.execute(
            update(webhook_delivery)
            .where(webhook_delivery.c.id == one.id)
            .values(state="sent", ended_at=attempt.at, leased_until=None)
        )
        await tx.conn.execute(
            update(webhook_endpoint)
            .where(webhook_endpoint.c.id == one.endpoint_id, webhook_endpoint.c.failing_since.is_not(None))
            .values(failing_since=None)
        )

    await database.write(work, actor="notifier", via="notifier")


async def not_accepted(
    database: Database, one: Claimed, attempt: Attempt, *, asked_s: int | None = None, is_gone: bool = False
) -> None:
    """It was not taken: tried again later, or given up. An endpoint that is gone (410), or has taken nothing for
    days, is disabled, and whoever owns integrations hears of it.
    """
    wait = wait_after(one.attempts, asked_s=asked_s)

    async def work(tx: Transaction) -> None:
        await _log(tx, one.id, attempt)
        values: dict[str, Any] = {"leased_until": None}
        if wait is None:
            values |= {"state": "failed", "ended_at": attempt.at}
        else:
            values["not_before"] = attempt.at + wait
        await tx.conn.execute(
            update(webhook_delivery)
            .where(webhook_delivery.c.id == one.id, webhook_delivery.c.state == "queued")
            .values(values)
        )
        changed = await tx.conn.execute(
            update(webhook_endpoint)
            .where(webhook_endpoint.c.id == one.endpoint_id, webhook_endpoint.c.state == "active")
            .values(failing_since=func.coalesce(webhook_endpoint.c.failing_since, attempt.at))
            .returning(*webhook_endpoint.c)
        )
        row = changed.mappings().first()
        if row is None:  # disabled or removed meanwhile
            return
        said = attempt.error or f"answered {attempt.status}"
        if is_gone:
            await _disable(tx, row, "the endpoint says that it is gone (410)", said, attempt.at)
        elif attempt.at - row["failing_since"] >= DISABLED_AFTER:
            days = DISABLED_AFTER.days
            await _disable(tx, row, f"nothing was accepted for {days} days", said, attempt.at)

    await database.write(work, actor="notifier", via="notifier")


async def _disable(tx: Transaction, row: RowMapping, why: str, said: str, at: datetime) -> None:
    await tx.conn.execute(
        update(webhook_endpoint)
        .where(webhook_endpoint.c.id == row["id"])
        .values(state="disabled", disabled_reason=f"{why}; last: {said}"[:500])
    )
    tx.record("webhook.disabled", str(row["id"]), at, reason=why)
    code = (await tx.conn.execute(select(location.c.code).order_by(location.c.code).limit(1))).scalar()
    if code is None:
        return  # nobody has loaded anything yet: there is nobody to tell
    place = await reference.place(tx.conn, code)
    ref = await case.open_case(
        tx,
        case.Opening(
            kind=CASE_KIND,
            subject=str(row["id"]),
            place=place,
            policy=await reference.policy_at(tx.conn, place, at),
            at=at,
            facts={
                "webhook": row["id"],
                "source": row["source"],
                "failing_since": row["failing_since"].isoformat(),
                "why": why,
                "last_error": said,
            },
            options=(
                CaseOption(id="enable", label="Enable it again and send what waits", rank=1, because="it is mended"),
                CaseOption(id="leave", label="Leave it disabled", rank=2),
            ),
            text=f"The webhook {row['id']} of {row['source']} was disabled: {why}.",
        ),
    )
    for person in await people.holders_of_role(
        tx.conn, "integration_owner", entity=place.entity, region=place.region, location=place.code
    ):
        await mails.queue(
            tx,
            template="webhook_disabled",
            dedupe_key=f"webhook:{row['id']}:{ref.id}:{ref.episode}:{person.id}",
            not_before=at,
            person_id=person.id,
            case_id=ref.id,
            context={"webhook": row["id"], "source": row["source"], "why": why},
        )


async def redeliver(
    database: Database, endpoint_id: str, delivery_id: int, *, owner: Owner, actor: str, via: str
) -> None:
    """Send a delivery again, under the same message id. Raises `NotFound`, `StateConflict` for a disabled endpoint."""

    async def work(tx: Transaction) -> None:
        found = await tx.conn.execute(
            select(webhook_delivery.c.state, webhook_endpoint.c.state.label("endpoint_state"))
            .join(webhook_endpoint, webhook_endpoint.c.id == webhook_delivery.c.endpoint_id)
            .where(
                webhook_delivery.c.id == delivery_id,
                webhook_delivery.c.endpoint_id == endpoint_id,
                webhook_endpoint.c.state != "removed",
                *([webhook_endpoint.c.source == owner] if owner is not None else []),
            )
            .with_for_update(of=webhook_delivery)
        )
        row = found.first()
        if row is None:
            raise NotFound(f"There is no delivery {delivery_id} of webhook {endpoint_id}.")
        if row.endpoint_state == "disabled":
            raise StateConflict("This webhook is disabled; enable it, and what waits is sent.")
        now = await tx.now()
        await tx.conn.execute(
            update(webhook_delivery)
            .where(webhook_delivery.c.id == delivery_id)
            .values(state="queued", attempts=0, not_before=now, leased_until=None, ended_at=None)
        )
        tx.record("webhook.redelivered", endpoint_id, now, after={"delivery": delivery_id})

    await database.write(work, actor=actor, via=via)


_CLEAN = text(
    "DELETE FROM webhook_delivery WHERE id IN (SELECT id FROM webhook_delivery"
    " WHERE ended_at < now() - make_interval(days => :days) ORDER BY ended_at LIMIT 2000)"
)


async def clean(database: Database) -> int:
    """Delete deliveries that ended a month ago, some at a time; returns how many."""
    async with database.engine.begin() as conn:
        return (await conn.execute(_CLEAN, {"days": KEPT.days})).rowcount
