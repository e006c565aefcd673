"""Carries what was committed to PostgreSQL into Temporal: starts and signals, at least once, in each target's order.
It decides nothing about the business and writes only the outbox. Run it inside the worker, or alone; several share.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

import telemetry
import wire
from domain.ids import TASK_QUEUE
from domain.messages import Situation, Told
from ledger import case, deliveries, situations, traces
from ledger.deliveries import Claimed
from ledger.engine import Database
from ledger.listening import keep_listening
from ledger.outages import in_short
from settings import Settings, read_settings
from starts import MEMO_ROW, REBUILT, RPC_TIMEOUT, Starts

logger = logging.getLogger("endcap.relay")

SLOTS = 32
LEASE_S = 12.0
POLL_S = 1.0
HOME_CHECK_S = 5.0
STUCK_AFTER = 8
LONGEST_PAUSE_S = 60.0


class ForeignWorkflowError(RuntimeError):
    """The id of a start belongs to a workflow that another Endcap database began in the same namespace."""


class Relay:
    """One carrier. `connect` returns a client as soon as Temporal answers; `by` names this relay in leases."""

    def __init__(
        self,
        database: Database,
        connect: Callable[[], Awaitable[Client]],
        *,
        task_queue: str = TASK_QUEUE,
        by: str | None = None,
        slots: int = SLOTS,
        poll_s: float = POLL_S,
        home_check_s: float = HOME_CHECK_S,
    ) -> None:
        self._database = database
        self._connect = connect
        self._by = by or f"{socket.gethostname()}:{os.getpid()}"
        self.pressure = wire.Pressure(slots)
        self._poll_s = poll_s
        self._wake = asyncio.Event()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[int, str]] = []
        self.starts = Starts(database, task_queue, at_once=slots, poll_s=poll_s, check_s=home_check_s)

    # ------------------------------------------------------------------ running
    async def run(self, stop: asyncio.Event) -> None:
        """Carry until `stop` is set, then finish what is in flight. PostgreSQL and Temporal may go and come back."""
        listening = asyncio.create_task(keep_listening(self._database.url, self._wake.set))
        stopping = asyncio.create_task(self._wake_on(stop))
        try:
            client = await wire.unless_stopped(self._connect(), stop)
            while client is not None and not stop.is_set():
                try:
                    await self._carry(client, stop)
                except (DBAPIError, PoolTimeout, OSError) as error:
                    logger.warning("PostgreSQL does not serve (%s); the relay asks again", in_short(error))
                    await self._rest(self._poll_s)
        finally:
            await self._finish()
            for task in (listening, stopping):
                task.cancel()
            await asyncio.gather(listening, stopping, return_exceptions=True)

    async def run_once(self, client: Client) -> int:
        """Carry what can be carried now, until nothing is left that is due; returns how many messages ended."""
        ended = 0
        while rows := await deliveries.claim(self._database, by=self._by, limit=self.pressure.allowed, lease_s=LEASE_S):
            await asyncio.gather(*(self._deliver(client, row) for row in rows))
            ended += await self._record_ended()
        return ended

    async def _carry(self, client: Client, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._record_ended()
            if not await self.starts.is_home(client):
                await self._rest(self.starts.away_pause_s())
                continue
            self._wake.clear()
            if pause_s := self.pressure.rest_s(_now()):
                await self._rest(pause_s)
                continue
            free = self.pressure.allowed - len(self._in_flight)
            rows = await deliveries.claim(self._database, by=self._by, limit=free, lease_s=LEASE_S) if free > 0 else []
            for row in rows:
                task = asyncio.create_task(self._deliver(client, row), name=f"relay-{row.target}")
                self._in_flight.add(task)
                task.add_done_callback(self._landed)
            if not rows and not self._ended:
                await self._rest(self._poll_s)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out and the message is claimed again.
            logger.error("a delivery ended in %s", in_short(error), exc_info=error)
        self._wake.set()

    async def _finish(self) -> None:
        await asyncio.gather(*self._in_flight, return_exceptions=True)
        try:
            await self._record_ended()
        except (DBAPIError, PoolTimeout, OSError) as error:
            logger.warning("the last outcomes were not recorded (%s); they are delivered again", in_short(error))

    async def _record_ended(self) -> int:
        ended, self._ended = self._ended, []
        try:
            await deliveries.done(self._database, ended)
        except BaseException:
            self._ended = ended + self._ended
            raise
        return len(ended)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    # ------------------------------------------------------------------ one message
    async def _deliver(self, client: Client, row: Claimed) -> None:
        try:
            with traces.delivering(row.target, row.kind, row.payload):
                outcome = await (self._start(client, row) if row.kind == "start" else self._tell(client, row))
        except RPCError as error:
            is_to_blame = error.status not in wire.AWAY or wire.is_too_large(error)
            await self._put_off(row, error, blame=is_to_blame)
        except Exception as error:  # noqa: BLE001  whatever it is, it is recorded on the message, and a person hears of it
            await self._put_off(row, error, blame=True)
        else:
            self.starts.answers()
            self.pressure.took(_now())
            self._ended.append((row.id, outcome))

    async def _start(self, client: Client, row: Claimed) -> str:
        situation = Situation.model_validate(row.payload["situation"])
        try:
            await self.starts.begin(
                client,
                row.target,
                row.payload["workflow"],
                situation,
                row.payload["search"],
                row_id=str(row.id),
                reuse=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            # Delivered before, and the answer or its record was lost.
            memo = await (await client.get_workflow_handle(row.target).describe(rpc_timeout=RPC_TIMEOUT)).memo()
            if memo.get(MEMO_ROW) not in {str(row.id), REBUILT}:
                raise ForeignWorkflowError(f"{row.target} was started by another Endcap database") from None
        return "delivered"

    async def _tell(self, client: Client, row: Claimed) -> str:
        told = Told.model_validate({"seq": row.seq, **row.payload})
        try:
            await client.get_workflow_handle(row.target).signal("tell", told, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return await self._tell_nobody(client, row)
        return "delivered"

    async def _tell_nobody(self, client: Client, row: Claimed) -> str:
        """No workflow runs under this id: fine when the target is closed; when it is open, its workflow was lost."""
        async with self._database.read() as conn:
            found = await situations.situation_of_target(conn, row.target)
        if found is None or (found[1].ended and not found[1].operations):
            return "target_closed"
        self.starts.look_again()
        await self.starts.rebuild(client, row.target)
        return REBUILT

    async def _put_off(self, row: Claimed, error: Exception, *, blame: bool) -> None:
        """Give the message back. No answer is not "not delivered": it is sent again, under the number it has."""
        pause_s = min(0.5 * 2 ** min(row.attempts, 10), LONGEST_PAUSE_S)
        if blame:
            logger.error("%s message %d was not delivered: %s", row.target, row.seq, in_short(error), exc_info=error)
        elif isinstance(error, RPCError) and error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
            self.pressure.pushed_back(_now())
            pause_s = self.pressure.pause_s
        else:
            self.starts.seems_away()
            pause_s = self._poll_s
        await deliveries.failed(self._database, row.id, error=in_short(error), pause_s=pause_s)
        if blame and row.attempts % STUCK_AFTER == 0:
            await case.open_delivery_stuck(self._database, row.target, in_short(error))


def _now() -> float:
    return asyncio.get_running_loop().time()


async def main(settings: Settings) -> None:
    """Run one relay until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    database = Database(
        settings.require_database_url(), pool_size=settings.database_pool_size, application="endcap-relay",
        timeout_s=settings.database_timeout_s,
    )  # fmt: skip
    identity = f"relay@{socket.gethostname()}:{os.getpid()}"
    runtime = wire.quiet_runtime()

    async def connect() -> Client:
        return await wire.connect(
            settings.require_temporal_address(),
            namespace=settings.temporal_namespace,
            keyring=settings.payload_keyring,
            identity=identity,
            runtime=runtime,
            is_traced=settings.otlp_endpoint is not None,
        )

    try:
        await Relay(database, connect, task_queue=settings.task_queue, by=identity).run(stop)
    finally:
        await database.dispose()


if __name__ == "__main__":
    given = read_settings()
    telemetry.start(given, "relay")
    asyncio.run(main(given))
    telemetry.stop()
    os._exit(0)  # the Temporal library sometimes crashes an interpreter that exits normally
