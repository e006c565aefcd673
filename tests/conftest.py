"""Servers and databases for the tests: a real PostgreSQL and a real Temporal server, started once for the whole run.

`DATABASE_URL` and `TEMPORAL_ADDRESS` replace them; unset, nothing outside a temporary folder is touched.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import secrets
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import GrpcCompression
from temporalio.testing import TimeSkipper, TimeSkippingConfig

from embedded.ports import free_port
from embedded.postgres import EmbeddedPostgres, url_of
from embedded.temporal import QUICK_TIMERS, SINGLE_NODE, TIME_SKIPPING, EmbeddedTemporal
from settings import sqlalchemy_url
from tests import compiled
from tests.databases import Keeper, name_of, open_keeper
from tests.shop import Shop, open_shop, reopen_shop

pytest_plugins = ["tests.browser"]
compiled.share()
# The same examples in every run, however slow the machine is; `--hypothesis-seed` draws others.
examples.register_profile("endcap", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("endcap")
# Thousands of tests stay from being collected to the end: with Python's own 700 they are looked through for garbage
# again and again, which is a quarter of the time that collecting takes.
gc.set_threshold(200_000, 50, 100)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | pytest.ExitCode | None, Any]:
    """Leave at once after success: the Temporal library sometimes crashes an interpreter that exits normally."""
    result = yield
    if result == pytest.ExitCode.OK and "temporalio.bridge.temporal_sdk_bridge" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return result


@dataclass(frozen=True)
class Database:
    """One database of its own for one test: `url` for asyncpg (`postgresql://`), `sqlalchemy_url` for SQLAlchemy."""

    name: str
    url: str
    sqlalchemy_url: str


@dataclass(frozen=True)
class TemporalServer:
    """The Temporal server of the run. `client` starts workflows whose clocks run as usual until a test skips time."""

    address: str
    namespace: str
    client: Client
    skipper: TimeSkipper

    @property
    def skipping_client(self) -> Client:
        """A client whose workflows skip each wait by themselves."""
        return self.skipper.client

    async def skip(self, handle: WorkflowHandle[Any, Any], by: timedelta) -> bool:
        """Move one workflow's clock on; its timers in between fire in their order. False when it ended on the way."""
        return await self.skipper.fast_forward(handle, by)

    async def skip_to_the_end(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Skip every wait of one workflow until it closes."""
        await self.skipper.fast_forward(handle, None)

    async def now(self, handle: WorkflowHandle[Any, Any]) -> datetime:
        """The workflow's own clock."""
        return await self.skipper.get_current_time(handle)


@pytest.fixture(scope="session")
def run_folder() -> Iterator[Path]:
    """A folder for the servers of this run; anybody may enter it, since PostgreSQL may have to be another user."""
    root = _roomy_memory() or Path(tempfile.gettempdir())
    for left in root.glob("endcap-tests-*"):  # by runs that were killed
        if not psutil.pid_exists(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"endcap-tests-{os.getpid()}-", dir=root))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _roomy_memory() -> Path | None:
    """A file system in memory with 2 GB to spare: a test's database is copied there in 10 ms, on disk in 50 to 180."""
    memory = Path("/dev/shm")  # noqa: S108  a folder of our own is made in it
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return None
    return memory if shutil.disk_usage(memory).free > 2_000_000_000 else None


@pytest.fixture(scope="session")
async def postgres_url(run_folder: Path) -> AsyncIterator[str]:
    """`postgresql://…` of a server on which databases may be created."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    server = EmbeddedPostgres(run_folder, free_port(), secrets.token_urlsafe(16), durable=False)
    await server.start()
    try:
        yield server.url("postgres")
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def keeper(postgres_url: str) -> AsyncIterator[Keeper]:
    """Makes databases on the server of the run."""
    async with open_keeper(postgres_url) as made:
        yield made


@pytest.fixture(scope="session")
async def template_database(keeper: Keeper) -> AsyncIterator[str]:
    """Name of a migrated database, copied for each test."""
    from ledger.migrate import upgrade

    async with keeper.database("template") as url:
        await asyncio.to_thread(upgrade, url)
        yield name_of(url)


@pytest.fixture(scope="session")
async def shop_template(keeper: Keeper, template_database: str) -> AsyncIterator[str]:
    """Name of a migrated database with the shop of `tests/shop.py` in it."""
    async with keeper.database("shop", template=template_database) as url:
        await (await open_shop(url)).database.dispose()
        yield name_of(url)


@pytest.fixture
async def database(keeper: Keeper, template_database: str) -> AsyncIterator[Database]:
    """An empty, migrated database that this test alone uses."""
    async with keeper.database("test", template=template_database) as url:
        yield Database(name_of(url), url, sqlalchemy_url(url))


@pytest.fixture
async def fresh_shop(keeper: Keeper, shop_template: str) -> AsyncIterator[Shop]:
    """Two stores with five packs of tea each (`tests/shop.py`), in a database that this test alone uses."""
    async with keeper.database("test", template=shop_template) as url:
        opened = await reopen_shop(url)
        yield opened
        await opened.database.dispose()


@pytest.fixture
async def bare_database(keeper: Keeper) -> AsyncIterator[Database]:
    """A database without any table: for migrations."""
    async with keeper.database("bare") as url:
        yield Database(name_of(url), url, sqlalchemy_url(url))


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """SQLAlchemy engine on `database`, with room for races."""
    made = create_async_engine(database.sqlalchemy_url, pool_size=20, max_overflow=20)
    yield made
    await made.dispose()


@pytest.fixture(scope="session")
async def temporal(run_folder: Path) -> AsyncIterator[TemporalServer]:
    """A real Temporal server in memory, with its own time skipping; each workflow skips only when a test says so."""
    given = os.environ.get("TEMPORAL_ADDRESS")
    namespace = os.environ.get("ENDCAP_TEMPORAL_NAMESPACE", "endcap")
    server = None
    if not given:
        server = EmbeddedTemporal(
            run_folder / "logs" / "temporal.log",
            free_port(),
            namespace=namespace,
            dynamic_config=(*SINGLE_NODE, *TIME_SKIPPING, *QUICK_TIMERS),
        )
        await server.start()
    try:
        address = server.address if server else str(given)
        client = await Client.connect(
            address,
            namespace=namespace,
            data_converter=pydantic_data_converter,
            grpc_compression=GrpcCompression.NONE,
        )
        skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=True, max_session_skip_count=1000))
        yield TemporalServer(address, namespace, client, skipper)
    finally:
        if server is not None:
            await server.stop()


@pytest.fixture
def task_queue() -> str:
    """A task queue that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`await eventually(check)`: run `check` until it returns something true, and return that.

    `check` may be a coroutine function. Fails with `check`'s last assertion, or by name, when the time is up: that is
    long, since it is for what never comes and not for a machine with much to do.
    """

    async def wait(check: Callable[[], Any], within_s: float = 120.0) -> Any:
        deadline = time.monotonic() + within_s
        while True:
            failure: AssertionError | None = None
            try:
                outcome = check()
                found = await outcome if inspect.isawaitable(outcome) else outcome
                if found:
                    return found
            except AssertionError as error:
                failure = error
            if time.monotonic() > deadline:
                raise failure or AssertionError(f"{check} was not true within {within_s:g} s")
            await asyncio.sleep(0.02)  # between two looks, not instead of one

    return wait


__all__ = ["Database", "TemporalServer", "url_of"]
