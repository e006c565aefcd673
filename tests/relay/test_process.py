"""`python relay.py` as a process of its own, beside a worker that carries nothing."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

import wire
from embedded.process import base_environment, spawn, stop
from settings import DEMO_PAYLOAD_KEYS, parse_payload_keys

if TYPE_CHECKING:
    from tests.conftest import TemporalServer
    from tests.shop import Shop

ROOT = Path(__file__).resolve().parents[2]


class Processes:
    """Server processes on the test's own database and task queue."""

    def __init__(self, shop: Shop, temporal: TemporalServer, task_queue: str, folder: Path) -> None:
        self.folder = folder
        self.environment = base_environment() | {
            "DATABASE_URL": shop.database.url,
            "TEMPORAL_ADDRESS": temporal.address,
            "ENDCAP_TEMPORAL_NAMESPACE": temporal.namespace,
            "ENDCAP_TASK_QUEUE": task_queue,
            "ENDCAP_DEMO": "on",
            "ENDCAP_HOME": str(folder),
        }
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self, program: str, **settings: str) -> asyncio.subprocess.Process:
        env = self.environment | settings
        process = await spawn([sys.executable, str(ROOT / program)], log=self.folder / f"{program}.log", env=env)
        self.running.append(process)
        return process

    def log(self, program: str) -> str:
        return (self.folder / f"{program}.log").read_text()


@pytest.fixture
async def processes(shop: Shop, temporal: TemporalServer, task_queue: str, tmp_path: Path) -> AsyncIterator[Processes]:
    made = Processes(shop, temporal, task_queue, tmp_path)
    yield made
    for process in made.running:
        if process.returncode is None:
            await stop(process, ending=signal.SIGTERM, grace_s=15)


@pytest.mark.slow
async def test_a_relay_alone_carries_for_a_worker_without_one_and_leaves_when_asked(
    shop: Shop, temporal: TemporalServer, processes: Processes, eventually: Callable[..., Any]
) -> None:
    client = await wire.connect(
        temporal.address,
        namespace=temporal.namespace,
        keyring=parse_payload_keys(DEMO_PAYLOAD_KEYS),
        identity="test",
        runtime=wire.quiet_runtime(),
    )
    await processes.start("worker.py", ENDCAP_WORKER_RELAY="off")
    await eventually(lambda: "ready: Temporal at" in processes.log("worker.py"))
    order = await shop.order(9)  # five are there: somebody has to be asked
    with pytest.raises(RPCError) as missing:
        await client.get_workflow_handle(order).describe()
    assert missing.value.status is RPCStatusCode.NOT_FOUND
    assert await shop.outbox(order) == [(1, None)]

    relay = await processes.start("relay.py")

    async def asked() -> object:
        return await shop.value("SELECT count(*) FROM case_file WHERE journey_id = :id", id=order)

    await eventually(asked)
    assert (await shop.outbox(order))[0] == (1, "delivered")
    # A workflow that has just started may owe a row that nobody has taken yet; whatever was carried, the relay carried.
    carriers = await shop.value(
        "SELECT array_agg(DISTINCT split_part(leased_by, '@', 1)) FROM outbox WHERE leased_by IS NOT NULL"
    )
    assert carriers == ["relay"]
    relay.terminate()
    assert await asyncio.wait_for(relay.wait(), 120) == 0
