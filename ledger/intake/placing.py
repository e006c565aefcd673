"""One order by itself, for callers without an `Intake`: the same batch, of one, which waits for its locks."""

import asyncio
from datetime import datetime
from typing import Any, cast

import asyncpg

from domain.orders import BopisOrder
from ledger import facts
from ledger.engine import ATTEMPTS, RETRYABLE, Database
from ledger.intake.batch import Batch, Connection, Placement, Submission, submission
from ledger.intake.catalogue import Catalogue
from ledger.people import Caller


async def place_order(
    database: Database,
    caller: Caller,
    order: BopisOrder,
    *,
    idempotency_key: str | None,
    received_at: datetime,
) -> tuple[int, dict[str, Any]]:
    """Reserve an order and record it. Returns (201, answer), or (200, the same answer) for a repeat.

    Raises `UnknownLocation`, `UnknownSku`, `WrongCurrency`, `UnsupportedItem`, `StateConflict`, `IdempotencyMismatch`,
    `HoldEnded`, `Malformed`; then nothing was written.
    """
    one = submission(caller, order, idempotency_key, received_at)
    placed = await _take(database, one)
    if placed.status == 201:
        database.wake_relays()
    if placed.has_parked:
        await facts.apply_parked(database, caller.source, order.order_id, placed.answer.journey_id)
    return placed.status, placed.answer.model_dump(mode="json")


async def _take(database: Database, one: Submission) -> Placement:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with database.engine.connect() as pooled:
                # Statements of a batch go to asyncpg directly; SQLAlchemy begins no transaction of its own meanwhile.
                raw = cast("Connection", (await pooled.get_raw_connection()).driver_connection)
                taken = await Batch(raw, Catalogue(), is_patient=True).take([one])
        except asyncpg.PostgresError as error:
            if error.sqlstate not in RETRYABLE or attempt == ATTEMPTS:
                raise
            await asyncio.sleep(0.005 * 2**attempt)
            continue
        if one in taken.refused:
            raise taken.refused[one]
        return taken.placed[one]
    raise AssertionError("the loop returns or raises")
