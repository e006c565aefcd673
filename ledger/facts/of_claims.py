"""Events about claims against vendors: which claim is meant, and who takes them."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from domain.claims import ClaimReference
from ledger.claim import answering
from ledger.claim.document import Claim
from ledger.people import Caller
from ledger.transaction import Transaction

HANDLERS: dict[str, Callable[[Claim, Any, str, datetime], Awaitable[str]]] = {
    "claim.answered": answering.answered,
    "claim.settled": answering.settled,
    "claim.sent": answering.handed_over,
}


async def take(tx: Transaction, caller: Caller, kind: str, data: ClaimReference, cause: str, at: datetime) -> str:
    """Take an event with its whole effect; returns the journey. Raises `NotFound`, `NotAllowed`, and as its handler."""
    it = await Claim.load(tx, await tx.lock_journey(await answering.find(tx, caller, data)))
    await HANDLERS[kind](it, data, cause, it.clock(at))
    return it.id
