"""What people and systems say of one claim outside of the stream of events: by a route of its own, or on its page."""

import uuid
from typing import Any

from domain.claims import ClaimReference
from ledger.claim.answering import Take, find
from ledger.claim.document import Claim
from ledger.engine import Database
from ledger.people import Caller
from ledger.transaction import Transaction


async def record(database: Database, caller: Caller, about: ClaimReference, said: Any, take: Take, *, via: str) -> str:
    """Take it with its whole effect; returns the journey. Raises `NotFound`, `NotAllowed`, and as `take`.

    A person's own token speaks about whatever its person may decide about.
    """
    cause = f"{via}:{uuid.uuid4().hex}"
    person = caller.person
    actor = person.id if person else f"key:{caller.key_id}"

    async def work(tx: Transaction) -> str:
        row = await tx.lock_journey(await find(tx, caller, about))
        it = await Claim.load(tx, row)
        await take(it, said, cause, await tx.now(row["clock_offset_s"]))
        return it.id

    return await database.write(work, actor=actor, via=via)
