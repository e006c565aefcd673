"""What people and systems say of one claim outside of the stream of events: by a route of its own, or on its page."""

import uuid

from pydantic import BaseModel

from domain.claims import ClaimReference
from ledger.claim.answering import Take, find
from ledger.claim.document import Claim
from ledger.engine import Database
from ledger.idempotency import Answer, body_hash, claim_keys, keep_answer
from ledger.people import Caller
from ledger.transaction import Transaction


async def record(
    database: Database,
    caller: Caller,
    about: ClaimReference,
    said: BaseModel,
    take: Take,
    *,
    via: str,
    idempotency_key: str | None = None,
) -> str:
    """Take it with its whole effect; returns the journey. Raises `NotFound`, `NotAllowed`, and as `take`.

    A person's own token speaks about whatever its person may decide about. What is sent again under the same
    `idempotency_key` is not taken again; `IdempotencyMismatch` for something else under it.
    """
    keys = [f"key:{idempotency_key}"] if idempotency_key else []
    digest = body_hash(f"{take.__name__} {about.model_dump_json()} {said.model_dump_json()}")
    cause = f"{via}:{uuid.uuid4().hex}"
    person = caller.person
    actor = person.id if person else f"key:{caller.key_id}"

    async def work(tx: Transaction) -> str:
        before = await claim_keys(tx, caller.source, keys, digest) if keys else None
        if before is not None:
            return str(before.body["journey_id"])
        row = await tx.lock_journey(await find(tx, caller, about))
        it = await Claim.load(tx, row)
        await take(it, said, cause, await tx.now(row["clock_offset_s"]))
        if keys:
            await keep_answer(tx, caller.source, keys, Answer(200, {"journey_id": it.id}))
        return it.id

    return await database.write(work, actor=actor, via=via)
