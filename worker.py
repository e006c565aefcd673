"""The worker's composition root: settings → PostgreSQL → relay and sender, and with Temporal the workflows.

Mails and messages do not wait for Temporal. SIGTERM and SIGINT finish the work in hand and leave the rest to the next
worker; everything that was begun is either recorded or taken again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

import notifier
import schedules
import sender
import telemetry
import wire
from activities.approval import ApprovalActivities
from activities.bopis import BopisActivities
from activities.bulk import BulkActivities
from activities.case import CaseActivities
from activities.checking import check_due
from activities.claim import ClaimActivities
from activities.count import CountActivities
from activities.journey import JourneyActivities
from activities.look import LookActivities
from activities.payment import PaymentActivities
from activities.promotion import PromotionActivities
from activities.publishing import PublishingActivities
from activities.returns import ReturnActivities
from activities.tracking import asking
from activities.transfer import TransferActivities
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
from ports.payment import HttpPaymentProvider, PaymentPort, SandboxPaymentProvider
from ports.photos import PhotoStore, store_of
from ports.price import CsvPriceChannel, HttpPriceChannel, PricePort, SandboxPriceChannel
from ports.tracking import HttpTracking, TrackingPort
from relay import Relay
from settings import Settings, read_settings
from workflows.approval import ApprovalWorkflow
from workflows.bopis import BopisWorkflow
from workflows.bulk import BulkWorkflow
from workflows.case import CaseWorkflow
from workflows.claim import ClaimWorkflow
from workflows.count import CountWorkflow
from workflows.count_schedule import CountScheduleWorkflow
from workflows.promotion import PromotionWorkflow
from workflows.promotion_looks import PromotionLooksWorkflow
from workflows.returns import ReturnWorkflow
from workflows.transfer import TransferWorkflow

logger = logging.getLogger("endcap.worker")

WORKFLOWS: Sequence[type] = (
    BopisWorkflow,
    ClaimWorkflow,
    CountWorkflow,
    CountScheduleWorkflow,
    PromotionWorkflow,
    PromotionLooksWorkflow,
    ReturnWorkflow,
    TransferWorkflow,
    CaseWorkflow,
    ApprovalWorkflow,
    BulkWorkflow,
)
JOURNEYS: Sequence[type[JourneyActivities]] = (
    BopisActivities,
    ClaimActivities,
    CountActivities,
    PromotionActivities,
    ReturnActivities,
    TransferActivities,
)
SANDBOX_RECORD = "sandbox-payments.sqlite"
SANDBOX_PRICES = "sandbox-prices.sqlite"
SCHEDULE_LOOK_S = 600.0
_PAUSE_AFTER_FAILURE_S = 2.0


def payment_provider(settings: Settings) -> PaymentPort:
    """The provider that the settings name."""
    if settings.payment_provider == "http":
        assert settings.payment_url is not None and settings.payment_key is not None  # the settings' own validator  # noqa: PT018
        return HttpPaymentProvider(settings.payment_url, settings.payment_key.get_secret_value())
    return SandboxPaymentProvider(settings.home / SANDBOX_RECORD)


def tracking_of(settings: Settings) -> TrackingPort | None:
    """Whoever is asked about parcels under way; nobody unless the settings name an address."""
    if settings.tracking_url is None or settings.tracking_key is None:
        return None
    return HttpTracking(settings.tracking_url, settings.tracking_key.get_secret_value())


def price_channels(settings: Settings) -> dict[str, PricePort]:
    """The channels that the settings name."""
    found: dict[str, PricePort] = {}
    for name, how in settings.price_channels.items():
        if how.url is not None and how.key is not None:
            found[name] = HttpPriceChannel(name, how.url, how.key.get_secret_value())
        elif how.folder is not None:
            found[name] = CsvPriceChannel(how.folder)
        else:
            found[name] = SandboxPriceChannel(name, settings.home / SANDBOX_PRICES)
    return found


def activities_on(
    database: Database, provider: PaymentPort, channels: Mapping[str, PricePort] | None = None
) -> list[Callable[..., Any]]:
    """Every activity, bound to what it needs."""
    return [
        *(step for journey in JOURNEYS for step in journey(database).all()),
        CaseActivities(database).on_due,
        ApprovalActivities(database).on_due,
        BulkActivities(database).on_due,
        PaymentActivities(database, provider).carry_out,
        PublishingActivities(database, channels or {}).publish,
        LookActivities(database).look_at_all,
    ]


def build_worker(client: Client, settings: Settings, activities: Sequence[Callable[..., Any]]) -> Worker:
    """A worker for all workflows and activities of Endcap on the settings' task queue."""
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=WORKFLOWS,
        activities=activities,
        workflow_runner=wire.ProvedRunner(),
        # A worker that is killed keeps its cached workflows from others for this long.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=settings.sticky_queue_schedule_to_start_timeout_s),
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_timeout_s),
        max_concurrent_activities=max(settings.database_pool_size, 4),
        max_concurrent_local_activities=max(settings.database_pool_size, 4),
    )


async def keep_working(make: Callable[[], Worker], stop: asyncio.Event) -> None:
    """Run one worker after the other until `stop`: one that Temporal throws out (its database was lost) is replaced."""
    while not stop.is_set():
        worker = make()
        running, stopping = asyncio.create_task(worker.run()), asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if running.done():
            logger.error("the worker stopped by itself and is replaced", exc_info=running.exception())
            await _pause(_PAUSE_AFTER_FAILURE_S, stop)
        else:
            await worker.shutdown()
            await running


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def keep_sweeping(sweep: Callable[[], Awaitable[int]], every_s: float, stop: asyncio.Event) -> None:
    """Run `sweep` again and again until `stop`; one that fails is logged, and the next one tries the same."""
    while not stop.is_set():
        try:
            await sweep()
        except Exception as error:  # noqa: BLE001  the next sweep tries the same, whatever it was
            outages.say(logger, error, "a sweep failed")
        await _pause(every_s, stop)


def by_the_clock(database: Database, sweep: Callable[[datetime], Awaitable[int]]) -> Callable[[], Awaitable[int]]:
    """A sweep of what is due by the database's clock: this machine's may be wrong."""

    async def run() -> int:
        return await sweep(await database.now())

    return run


def sweeps(
    database: Database, store: PhotoStore, customers_kept_days: int = 0
) -> Sequence[tuple[Callable[[], Awaitable[int]], float]]:
    """What nobody's request or workflow does, with its pause in seconds."""
    placed = notices.Placed()
    at = partial(by_the_clock, database)
    return (
        (lambda: clean_webhooks(database), 60.0),
        (lambda: facts.finish(database), 1.0),  # a person waits for it on the page of the case
        (lambda: closures.finish(database), 1.0),
        (lambda: holds.sweep(database), 3.0),
        (lambda: placed.sweep(database), 5.0),
        (at(lambda now: closures.sweep(database, now)), 10.0),
        (lambda: facts.apply_all_parked(database), 10.0),
        (at(lambda now: stops.sweep(database, now)), 5.0),
        (at(lambda now: renewals.sweep(database, now)), 20.0),
        (at(lambda now: negative.sweep(database, now)), 15.0),
        (at(lambda now: vendor_credits.sweep(database, now)), 30.0),
        (at(lambda now: preparing.prepare_due(database, now)), 300.0),
        (at(lambda now: settle_ended(database, now)), 300.0),
        (at(lambda now: bands.forget(database, now)), 3600.0),
        (at(lambda now: partitions.make_ahead(database, now)), 3600.0),
        (at(lambda now: erasing.sweep(database, now, customers_kept_days)), 60.0),
        (lambda: photos.sweep(database, store.remove), 60.0),
        (at(lambda now: denials.sweep(database, now)), 3_600.0),
    )


def follow(database: Database, port: TrackingPort, every_s: int) -> Callable[[], Awaitable[int]]:
    """A sweep that asks carriers about parcels under way, each of them every so often."""
    ask, every = asking(port), timedelta(seconds=every_s)
    return by_the_clock(database, lambda now: following.sweep(database, ask, now, every=every))


def read_back_prices(database: Database, channels: Mapping[str, PricePort]) -> Callable[[], Awaitable[int]]:
    """A sweep that reads back prices which were right, so that none of before stays."""
    return by_the_clock(database, lambda now: check_due(database, channels, now))


async def main(settings: Settings) -> None:
    """Run everything that one worker process runs, until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    identity = f"worker@{socket.gethostname()}:{os.getpid()}"
    database = Database(
        settings.require_database_url(),
        pool_size=settings.database_pool_size,
        application="endcap-worker",
        sealing_keys=settings.payload_keyring,
        timeout_s=settings.database_timeout_s,
    )
    provider, channels = payment_provider(settings), price_channels(settings)
    tracking = tracking_of(settings)
    runtime = wire.quiet_runtime()
    connecting = asyncio.create_task(
        wire.connect(
            settings.require_temporal_address(),
            namespace=settings.temporal_namespace,
            keyring=settings.payload_keyring,
            identity=identity,
            runtime=runtime,
            is_traced=settings.otlp_endpoint is not None,
        )
    )

    async def connected() -> Client:
        return await asyncio.shield(connecting)

    async def workflows() -> None:
        client = await wire.unless_stopped(connected(), stop)
        if client is None:
            return
        activities = activities_on(database, provider, channels)
        logger.info("ready: Temporal at %s answers, task queue %s", settings.temporal_address, settings.task_queue)
        async with asyncio.TaskGroup() as beside:
            look = keep_sweeping(lambda: schedules.keep_all(client, settings.task_queue), SCHEDULE_LOOK_S, stop)
            beside.create_task(look)
            await keep_working(lambda: build_worker(client, settings, activities), stop)

    try:
        async with asyncio.TaskGroup() as group:
            if settings.worker_relay:
                group.create_task(Relay(database, connected, task_queue=settings.task_queue, by=identity).run(stop))
            group.create_task(sender.run(database, settings, stop))
            group.create_task(notifier.run(database, settings, stop))
            group.create_task(workflows())
            for sweep, every_s in sweeps(database, store_of(settings), settings.customers_kept_days):
                group.create_task(keep_sweeping(sweep, every_s, stop))
            read_back = read_back_prices(database, channels)
            group.create_task(keep_sweeping(read_back, 60.0, stop))
            if tracking is not None:
                look = follow(database, tracking, settings.tracking_every_s)
                group.create_task(keep_sweeping(look, 10.0, stop))
    finally:
        connecting.cancel()
        await provider.aclose()
        if tracking is not None:
            await tracking.aclose()
        for channel in channels.values():
            await channel.aclose()
        await database.dispose()


if __name__ == "__main__":
    given = read_settings()
    telemetry.start(given, "worker")
    asyncio.run(main(given))
    telemetry.stop()
    os._exit(0)  # the Temporal library sometimes crashes an interpreter that exits normally
