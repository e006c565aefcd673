"""The same request twice has one effect and one answer; another body under a used key is refused."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert

from domain.errors import IdempotencyMismatch
from ledger.tables import idempotency
from ledger.transaction import Rank, Transaction

# Keys are locked by name before they are looked up, so that a batch can leave out those that are in use, and a row is
# written once, with its answer. Whoever claims keys otherwise must lock them in the same way.
TRY_KEYS = "SELECT name FROM unnest($1::text[]) AS name WHERE NOT pg_try_advisory_xact_lock(hashtextextended(name, 0))"
LOCK_KEYS = (
    "SELECT pg_advisory_xact_lock(number)"
    " FROM (SELECT DISTINCT hashtextextended(name, 0) AS number FROM unnest($1::text[]) AS name ORDER BY number) sorted"
)


def lock_name(source: str, key: str) -> str:
    """What the lock of an idempotency key is called."""
    return f"{source} {key}"


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


_LOCK_KEYS = text(LOCK_KEYS.replace("$1::text[]", "CAST(:names AS text[])"))


def body_hash(body: str) -> bytes:
    return hashlib.sha256(body.encode()).digest()


async def claim_keys(tx: Transaction, source: str, keys: Sequence[str], digest: bytes) -> Answer | None:
    """Take the keys for this transaction, or return the answer that was given under one of them.

    A concurrent request with the same key waits here until the first has committed. Raises `IdempotencyMismatch`.
    """
    tx.enter(Rank.KEYS)
    await tx.conn.execute(_LOCK_KEYS, {"names": [lock_name(source, key) for key in keys]})
    for key in sorted(keys):
        taken = await tx.conn.execute(
            insert(idempotency)
            .values(source=source, key=key, body_hash=digest, status=0)
            .on_conflict_do_nothing()
            .returning(idempotency.c.key)
        )
        if taken.first() is not None:
            continue
        row = (
            (await tx.conn.execute(select(idempotency).where(idempotency.c.source == source, idempotency.c.key == key)))
            .mappings()
            .one()
        )
        if row["body_hash"] != digest:
            raise IdempotencyMismatch(
                f"{key.split(':', 1)[1]} was used before with another body; send the same body again, or use a new id."
            )
        return Answer(row["status"], row["answer"])
    return None


async def keep_answer(tx: Transaction, source: str, keys: Sequence[str], answer: Answer) -> None:
    """Store the answer under every key of the request."""
    await tx.conn.execute(
        update(idempotency)
        .where(idempotency.c.source == source, idempotency.c.key.in_(keys))
        .values(status=answer.status, answer=answer.body)
    )
