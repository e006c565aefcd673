"""The worker as a process: it waits for Temporal, survives being killed with all it holds, and leaves when asked."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import GrpcCompression, RPCError

import wire
from embedded.ports import free_port
from embedded.postgres import create_database, drop_database, find_binaries, url_of
from embedded.process import base_environment, spawn, stop
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, EmbeddedTemporal
from ledger import decisions
from ledger.audit import audit
from settings import DEMO_PAYLOAD_KEYS, parse_payload_keys
from tests.shop import ANA, Shop, open_shop

if TYPE_CHECKING:
    from tests.conftest import Database

ROOT = Path(__file__).parent.parent


@dataclass
class Stack:
    """Real processes on real files: `worker.py` and a Temporal server, each of which may be killed."""

    shop: Shop
    folder: Path
    temporal: EmbeddedTemporal
    eventually: Callable[..., Any]
    worker: asyncio.subprocess.Process | None = None
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    async def start_worker(self, address: str | None = None) -> None:
        """A worker process; it does not have to find Temporal, which may be behind another address."""
        env = base_environment() | {
            "DATABASE_URL": self.shop.database.url,
            "TEMPORAL_ADDRESS": address or self.temporal.address,
            "ENDCAP_DEMO": "on",
            "ENDCAP_HOME": str(self.folder),
        }
        self.worker = await spawn([sys.executable, str(ROOT / "worker.py")], log=self.log, env=env)
        self.workers.append(self.worker)

    async def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.kill()
        await self.worker.wait()

    async def client(self) -> Client:
        return await Client.connect(
            self.temporal.address,
            namespace=self.temporal.namespace,
            data_converter=wire.data_converter(parse_payload_keys(DEMO_PAYLOAD_KEYS)),
            grpc_compression=GrpcCompression.NONE,
        )

    async def state(self, journey: str) -> object:
        return await self.shop.value("SELECT state FROM journey WHERE id = :id", id=journey)

    async def until(self, journey: str, wanted: str) -> None:
        async def there() -> bool:
            found = await self.state(journey)
            assert found == wanted, f"{journey} is {found}; {self.log.read_text()[-2000:]}"
            return True

        await self.eventually(there)

    async def case_of(self, journey: str) -> int:
        async def there() -> object:
            return await self.shop.value(
                "SELECT id FROM case_file WHERE journey_id = :id AND closed_at IS NULL", id=journey
            )

        return int(await self.eventually(there))

    async def decide(self, case_id: int, option: str, **parameters: Any) -> str:
        """Ana chooses a way out; returns the state of her decision."""
        answer = await decisions.decide(
            self.shop.database, case_id, ANA, option_id=option, parameters=parameters, via="test"
        )
        return answer.state

    async def ended(self, target: str) -> None:
        client = await self.client()

        async def completed() -> bool:
            try:
                status = (await client.get_workflow_handle(target).describe()).status
            except RPCError as error:
                raise AssertionError(f"{target}: {error}; {self.log.read_text()[-2000:]}") from error
            assert status is WorkflowExecutionStatus.COMPLETED, f"{target} is {status}; {self.log.read_text()[-2000:]}"
            return True

        await self.eventually(completed)

    async def collect(self, journey: str) -> None:
        """The store picks and hands over."""
        lines = [{"line_id": "1", "quantity": 1}]
        for kind, who in (("bopis.picked", "picker"), ("bopis.handed_over", "actor")):
            outcome = await self.shop.report(kind, journey_id=journey, lines=lines, **{who: "p1"})
            assert outcome.outcome == "accepted", outcome

    def lose_temporal(self) -> None:
        """Delete the database of a Temporal that does not run."""
        assert self.temporal.database is not None
        for file in self.temporal.database.parent.glob("temporal.db*"):
            file.unlink()

    async def back_up(self) -> Path:
        """`pg_dump`, beside the work."""
        file = self.folder / "endcap.dump"
        await run_program("pg_dump", "--format=custom", f"--file={file}", self.shop.database.url)
        return file

    async def restore(self, backup: Path) -> None:
        """The database as it was in a backup; nobody works on it meanwhile."""
        url = self.shop.database.url
        await self.shop.database.dispose()
        await drop_database(url_of(url, "postgres"), database_of(url))
        await create_database(url_of(url, "postgres"), database_of(url))
        await run_program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={url}", str(backup))

    async def stock_is_whole(self, opening: int) -> None:
        """Nothing was doubled: what is left and what went out is what there was."""
        left = await self.shop.value("SELECT sum(available + reserved + staged) FROM stock WHERE sku = 'TEA-1'")
        gone = await self.shop.value("SELECT coalesce(sum(committed), 0) FROM hold")
        assert left + gone == opening


async def run_program(name: str, *arguments: str) -> None:
    """A program of PostgreSQL's own, of the server's version; its words where it fails."""
    done = await asyncio.create_subprocess_exec(
        str(find_binaries() / name), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await done.communicate()
    assert done.returncode == 0, said.decode()


def database_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


@pytest.fixture
async def stack(database: Database, tmp_path: Path, eventually: Callable[..., Any]) -> AsyncIterator[Stack]:
    shop = await open_shop(database.url, tea={"S1": 4, "S2": 6})
    temporal = EmbeddedTemporal(
        tmp_path / "temporal.log",
        free_port(),
        database=tmp_path / "temporal" / "temporal.db",
        dynamic_config=(*SINGLE_NODE, *QUICK_TIMERS),
    )
    made = Stack(shop, tmp_path, temporal, eventually)
    yield made
    for process in made.workers:
        if process.returncode is None:
            await stop(process, ending=signal.SIGTERM, grace_s=15)
    await temporal.stop()
    await shop.database.dispose()


@pytest.mark.slow
class TestTheWorkerProcess:
    async def test_orders_taken_before_temporal_was_there_run_when_it_comes(self, stack: Stack) -> None:
        await stack.start_worker()
        collected, failed = await stack.shop.order(1), await stack.shop.order(6)
        await stack.collect(collected)
        await stack.temporal.start()
        await stack.ended(collected)
        number = await stack.case_of(failed)
        await stack.decide(number, "other_store:S2", agreed_by_phone=True)
        await stack.until(failed, "reserved")
        await stack.ended(f"case:{number}:1")
        await stack.stock_is_whole(10)

    async def test_a_worker_killed_at_work_is_replaced_and_nothing_is_doubled(self, stack: Stack) -> None:
        await stack.temporal.start()
        await stack.start_worker()
        orders = [await stack.shop.order(1) for _ in range(3)]
        failed = await stack.shop.order(4)
        number = await stack.case_of(failed)
        await stack.decide(number, "other_store:S2", agreed_by_phone=True)
        await stack.kill_worker()
        for order in orders:
            await stack.collect(order)
        await stack.start_worker()
        await stack.until(failed, "reserved")
        for order in orders:
            await stack.ended(order)
        await stack.stock_is_whole(10)

    async def test_a_killed_temporal_loses_nothing(self, stack: Stack) -> None:
        await stack.temporal.start()
        await stack.start_worker()
        failed = await stack.shop.order(6)
        number = await stack.case_of(failed)
        assert stack.temporal.process is not None
        stack.temporal.process.kill()
        await stack.temporal.process.wait()
        order = await stack.shop.order(1)
        await stack.collect(order)
        assert await stack.decide(number, "cancel_refund") == "applying"
        await stack.temporal.start()
        await stack.until(failed, "cancelled")
        await stack.ended(failed)
        await stack.ended(order)
        await stack.stock_is_whole(10)

    async def test_with_temporals_database_gone_every_open_journey_is_rebuilt_and_goes_on(self, stack: Stack) -> None:
        await stack.temporal.start()
        await stack.start_worker()
        waiting, failed = await stack.shop.order(1), await stack.shop.order(6)
        number = await stack.case_of(failed)
        await stack.eventually(lambda: stack.shop.value("SELECT count(*) = 0 FROM outbox WHERE done_at IS NULL"))
        await stack.eventually(lambda: stack.shop.value("SELECT count(*) FROM temporal_home"))
        await stack.temporal.stop()
        stack.lose_temporal()
        await stack.temporal.start()
        await stack.decide(number, "cancel_refund")
        await stack.until(failed, "cancelled")
        await stack.ended(failed)
        await stack.ended(f"case:{number}:1")
        await stack.collect(waiting)
        await stack.ended(waiting)
        await stack.stock_is_whole(10)

    async def test_a_restored_backup_goes_on_and_takes_again_what_came_after_it(self, stack: Stack) -> None:
        """The point where both databases meet is the outbox: what PostgreSQL has, Temporal is told anew."""
        await stack.temporal.start()
        await stack.start_worker()
        waiting, failed = await stack.shop.order(1), await stack.shop.order(6)
        number = await stack.case_of(failed)
        carried = (
            "SELECT array_agg(id || ' ' || done_at ORDER BY id) FROM outbox WHERE done_at IS NOT NULL AND id <= :last"
        )
        last = await stack.shop.value("SELECT max(id) FROM outbox WHERE done_at IS NOT NULL")
        before = await stack.shop.value(carried, last=last)
        backup = await stack.back_up()
        await stack.collect(waiting)  # after the backup: it will not have happened
        await stack.ended(waiting)
        await stack.kill_worker()
        await stack.temporal.stop()
        stack.lose_temporal()
        await stack.restore(backup)
        await stack.temporal.start()
        await stack.start_worker()
        assert await stack.state(waiting) == "reserved"
        await stack.decide(number, "cancel_refund")
        await stack.until(failed, "cancelled")
        await stack.collect(waiting)  # whoever reported it does so again
        await stack.ended(waiting)
        await stack.ended(failed)
        assert await stack.shop.value(carried, last=last) == before  # what was delivered then is not sent again
        await stack.stock_is_whole(10)
        async with stack.shop.database.read() as conn:
            assert await audit(conn) == []

    async def test_it_leaves_when_asked_with_or_without_temporal(self, stack: Stack) -> None:
        await stack.start_worker()
        await stack.eventually(lambda: "does not answer yet" in stack.log.read_text())
        assert stack.worker is not None
        stack.worker.terminate()
        assert await asyncio.wait_for(stack.worker.wait(), 120) == 0
        await stack.temporal.start()
        await stack.start_worker()
        await stack.eventually(lambda: "ready: Temporal at" in stack.log.read_text())
        stack.worker.terminate()
        assert await asyncio.wait_for(stack.worker.wait(), 120) == 0
