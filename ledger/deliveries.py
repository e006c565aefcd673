"""The relays' side of the outbox: messages are leased in the order of each target and recorded as delivered; and what
has to exist in Temporal at all.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from ledger.engine import Database
from ledger.tables import outbox
from ledger.tables import temporal_home as home


class Claimed(NamedTuple):
    """A message leased to one relay."""

    id: int
    target: str
    seq: int
    kind: str
    payload: dict[str, Any]
    attempts: int


_CLAIM = text(
    """
    WITH next AS (
        SELECT o.id FROM outbox o
        WHERE o.done_at IS NULL
          AND (o.not_before IS NULL OR o.not_before <= now())
          AND (o.leased_until IS NULL OR o.leased_until < now())
          AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.target = o.target AND p.seq < o.seq AND p.done_at IS NULL)
        ORDER BY o.id LIMIT :limit FOR UPDATE OF o SKIP LOCKED
    )
    UPDATE outbox SET leased_until = now() + make_interval(secs => :lease_s), leased_by = :by, attempts = attempts + 1
    FROM next WHERE outbox.id = next.id
    RETURNING outbox.id, outbox.target, outbox.seq, outbox.kind, outbox.payload, outbox.attempts
    """
)


async def claim(database: Database, *, by: str, limit: int, lease_s: float) -> list[Claimed]:
    """Lease up to `limit` messages to the relay `by` for `lease_s` seconds, each the lowest unfinished of its
    target.
    """
    async with database.engine.begin() as conn:
        rows = await conn.execute(_CLAIM, {"by": by, "limit": limit, "lease_s": float(lease_s)})
        return sorted((Claimed(*row) for row in rows), key=lambda row: row.id)


async def done(database: Database, outcomes: Sequence[tuple[int, str]]) -> None:
    """Record messages as ended: `delivered`, `target_closed` or `rebuilt`."""
    if not outcomes:
        return
    async with database.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE outbox SET done_at = now(), outcome = d.outcome, last_error = NULL"
                " FROM unnest(CAST(:ids AS bigint[]), CAST(:outcomes AS text[])) AS d(id, outcome)"
                " WHERE outbox.id = d.id AND outbox.done_at IS NULL"
            ),
            {"ids": [row[0] for row in outcomes], "outcomes": [row[1] for row in outcomes]},
        )


async def done_up_to(database: Database, target: str, seq: int, outcome: str) -> None:
    """Record all of a target's messages up to `seq` as ended: a rebuilt workflow knows them."""
    async with database.engine.begin() as conn:
        await conn.execute(
            update(outbox)
            .where(outbox.c.target == target, outbox.c.seq <= seq, outbox.c.done_at.is_(None))
            .values(done_at=text("now()"), outcome=outcome)
        )


async def failed(database: Database, outbox_id: int, *, error: str, pause_s: float) -> None:
    """Give a message back to be tried again after a pause; no answer is not "not delivered"."""
    async with database.engine.begin() as conn:
        await conn.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("row"))
            .values(
                last_error=error[:500],
                not_before=func.now() + timedelta(seconds=pause_s),
                leased_until=None,
                leased_by=None,
            ),
            {"row": outbox_id},
        )


_OPEN_TARGETS = text(
    """
    SELECT target FROM (
        SELECT id AS target FROM journey WHERE closed_at IS NULL
        UNION SELECT journey_id FROM payment_operation WHERE state IN ('requested', 'unknown')
        UNION ALL SELECT 'case:' || id || ':' || episode FROM case_file WHERE closed_at IS NULL
        UNION ALL SELECT 'approval:' || id FROM approval WHERE state = 'pending'
        UNION ALL SELECT 'bulk:' || id FROM bulk WHERE ended_at IS NULL
    ) open
    WHERE target > :after
      AND EXISTS (SELECT 1 FROM outbox o WHERE o.target = open.target AND o.seq = 1 AND o.done_at IS NOT NULL)
    ORDER BY target LIMIT :limit
    """
)


async def open_targets(database: Database, *, after: str = "", limit: int = 500) -> list[str]:
    """Workflows that must exist: open in PostgreSQL and started once; sorted, those behind `after`."""
    async with database.read() as conn:
        return [row.target for row in await conn.execute(_OPEN_TARGETS, {"after": after, "limit": limit})]


async def temporal_home(database: Database) -> str | None:
    """The id of the Temporal namespace that was spoken to last; another one means that its database was lost."""
    async with database.read() as conn:
        found: str | None = (await conn.execute(select(home.c.namespace_id))).scalar()
        return found


async def set_temporal_home(database: Database, namespace_id: str) -> None:
    """Remember the namespace, after every open target was rebuilt in it."""
    async with database.engine.begin() as conn:
        await conn.execute(
            upsert(home)
            .values(only=True, namespace_id=namespace_id)
            .on_conflict_do_update(index_elements=["only"], set_={"namespace_id": namespace_id})
        )
