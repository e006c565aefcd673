"""Events about store transfers: which transfer is meant, and who takes them."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from domain.errors import NotAllowed, NotFound
from domain.tracking import TransferTracked
from domain.transfers import TransferReference
from ledger.people import Caller
from ledger.transaction import Transaction
from ledger.transfer import receiving, requests, shipping, tracking
from ledger.transfer.document import Transfer

Handler = Callable[[Transfer, Any, str, datetime], Awaitable[str]]

HANDLERS: dict[str, Handler] = {
    "transfer.announced": shipping.announced,
    "transfer.shipped": shipping.shipped,
    "transfer.received": receiving.received,
    "transfer.cancelled": requests.cancelled_by_event,
    "transfer.declined": requests.declined,
}


async def find(tx: Transaction, caller: Caller, data: TransferReference) -> str | None:
    """The journey that is meant; None when there is none yet. Raises `NotAllowed` for another system's transfer."""
    source = data.transfer_source
    if source is not None and source not in {caller.source, *caller.sources}:
        raise NotAllowed(f"This key may not speak about transfers of {source}.", pointer="/data/transfer_source")
    try:
        return await requests.find(tx, caller, data.transfer_id, source)
    except NotFound:
        return None


async def take(
    tx: Transaction,
    about: str,
    kind: str,
    data: TransferReference,
    cause: str,
    at: datetime,
    *,
    check: Callable[[Transfer], None] | None = None,
) -> str:
    """Take an event with its whole effect; returns the journey. `check` may refuse it by the locked transfer."""
    it = await Transfer.load(tx, await tx.lock_journey(about))
    if check is not None:
        check(it)
    await HANDLERS[kind](it, data, cause, it.clock(at))
    return it.id


async def news(tx: Transaction, caller: Caller, data: TransferTracked, cause: str, at: datetime) -> str:
    """Take what a carrier says of a parcel; returns the journey. Raises as `tracking.find`."""
    about = await tracking.find(tx, caller, data)
    it = await Transfer.load(tx, await tx.lock_journey(about))
    await tracking.tracked(it, data, cause, it.clock(at))
    return about
