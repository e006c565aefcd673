"""The worker's composition root: settings → PostgreSQL → relay and sender, and with Temporal the workflows.

Mails and messages do not wait for Temporal. SIGTERM and SIGINT finish the work in hand and leave the rest to the next
worker; everything that was begun is either recorded or taken again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

import notifier
import schedules
import sender
import starts
import sweeps
import telemetry
import wire
from activities.approval import ApprovalActivities
from activities.bopis import BopisActivities
from activities.bulk import BulkActivities
from activities.case import CaseActivities
from activities.claim import ClaimActivities
from activities.count import CountActivities
from activities.journey import JourneyActivities
from activities.look import LookActivities
from activities.payment import PaymentActivities
from activities.promotion import PromotionActivities
from activities.publishing import PublishingActivities
from activities.returns import ReturnActivities
from activities.transfer import TransferActivities
from ledger.engine import Database
from ports.payment import HttpPaymentProvider, PaymentPort, SandboxPaymentProvider
from ports.photos import store_of
from ports.price import CsvPriceChannel, HttpPriceChannel, PricePort, SandboxPriceChannel
from ports.tracking import HttpTracking, TrackingPort
from relay import Relay
from settings import Settings, read_settings
from sweeps import Sweep
from workflows.count_schedule import CountScheduleWorkflow
from workflows.promotion_looks import PromotionLooksWorkflow

logger = logging.getLogger("endcap.worker")

# Those that relays start, and those that Temporal starts by the clock.
WORKFLOWS: Sequence[type] = (*starts.WORKFLOWS.values(), CountScheduleWorkflow, PromotionLooksWorkflow)
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
            await sweeps.pause(_PAUSE_AFTER_FAILURE_S, stop)
        else:
            await worker.shutdown()
            await running


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
            schedule = Sweep(lambda: schedules.keep_all(client, settings.task_queue), SCHEDULE_LOOK_S)
            beside.create_task(sweeps.keep_sweeping(schedule, stop))
            await keep_working(lambda: build_worker(client, settings, activities), stop)

    try:
        async with asyncio.TaskGroup() as group:
            if settings.worker_relay:
                group.create_task(Relay(database, connected, task_queue=settings.task_queue, by=identity).run(stop))
            group.create_task(sender.run(database, settings, stop))
            group.create_task(notifier.run(database, settings, stop))
            group.create_task(workflows())
            own = sweeps.of_the_ledger(database, store_of(settings), settings.customers_kept_days)
            outside = sweeps.of_others(database, channels, tracking, tracking_every_s=settings.tracking_every_s)
            for sweep in (*own, *outside):
                group.create_task(sweeps.keep_sweeping(sweep, stop))
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
