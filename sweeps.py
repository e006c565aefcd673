"""What a worker does by itself, again and again, because no request and no workflow waits for it.

Each sweep looks for what is due and does it; several workers may run the same one beside each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from activities.checking import check_due
from activities.tracking import asking
from ledger import (
    bands,
    closures,
    denials,
    erasing,
    facts,
    holds,
    negative,
    notices,
    outages,
    partitions,
    photos,
    renewals,
    stops,
)
from ledger.claim import preparing
from ledger.engine import Database
from ledger.promotion.settling import settle_ended
from ledger.transfer import following
from ledger.vendor_return import overdue as vendor_credits
from ledger.webhooks import clean as clean_webhooks
from ports.photos import PhotoStore
from ports.price import PricePort
from ports.tracking import TrackingPort

logger = logging.getLogger("endcap.sweeps")


class Sweep(NamedTuple):
    """What is done (it returns how much there was to do), and the pause after it in seconds."""

    run: Callable[[], Awaitable[int]]
    every_s: float


async def keep_sweeping(sweep: Sweep, stop: asyncio.Event) -> None:
    """Run a sweep again and again until `stop`; one that fails is logged, and the next one tries the same."""
    while not stop.is_set():
        try:
            await sweep.run()
        except Exception as error:  # noqa: BLE001  the next sweep tries the same, whatever it was
            outages.say(logger, error, "a sweep failed")
        await pause(sweep.every_s, stop)


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Wait so long, or until `stop`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


def by_the_clock(database: Database, work: Callable[[datetime], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """What is due by the database's clock: this machine's may be wrong."""

    async def run() -> int:
        return await work(await database.now())

    return run


def of_the_ledger(database: Database, store: PhotoStore, customers_kept_days: int = 0) -> tuple[Sweep, ...]:
    """What only the ledger and the photos are needed for."""
    placed = notices.Placed()
    at = partial(by_the_clock, database)
    return (
        Sweep(lambda: facts.finish(database), 1.0),  # a person waits for it on the page of the case
        Sweep(lambda: closures.finish(database), 1.0),
        Sweep(lambda: holds.sweep(database), 3.0),
        Sweep(lambda: placed.sweep(database), 5.0),
        Sweep(at(lambda now: stops.sweep(database, now)), 5.0),
        Sweep(at(lambda now: closures.sweep(database, now)), 10.0),
        Sweep(lambda: facts.apply_all_parked(database), 10.0),
        Sweep(at(lambda now: negative.sweep(database, now)), 15.0),
        Sweep(at(lambda now: renewals.sweep(database, now)), 20.0),
        Sweep(at(lambda now: vendor_credits.sweep(database, now)), 30.0),
        Sweep(lambda: clean_webhooks(database), 60.0),
        Sweep(at(lambda now: erasing.sweep(database, now, customers_kept_days)), 60.0),
        Sweep(lambda: photos.sweep(database, store.remove), 60.0),
        Sweep(at(lambda now: preparing.prepare_due(database, now)), 300.0),
        Sweep(at(lambda now: settle_ended(database, now)), 300.0),
        Sweep(at(lambda now: bands.forget(database, now)), 3_600.0),
        Sweep(at(lambda now: partitions.make_ahead(database, now)), 3_600.0),
        Sweep(at(lambda now: denials.sweep(database, now)), 3_600.0),
    )


def of_others(
    database: Database, channels: Mapping[str, PricePort], tracking: TrackingPort | None, *, tracking_every_s: int
) -> tuple[Sweep, ...]:
    """What other systems are asked. Channels: whether prices that were right still are. Carriers: where a parcel is,
    each parcel every `tracking_every_s`.
    """
    prices = Sweep(by_the_clock(database, lambda now: check_due(database, channels, now)), 60.0)
    if tracking is None:
        return (prices,)
    ask, every = asking(tracking), timedelta(seconds=tracking_every_s)
    return (prices, Sweep(by_the_clock(database, lambda now: following.sweep(database, ask, now, every=every)), 10.0))
