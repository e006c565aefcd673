"""Servers of HTTP for the measurements: the application and the bare endpoint, each in a process of its own, started
as `make up` starts the application, and the client that loads them.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from bench.load import Plan, Told
from embedded.children import ROOT, Child, child_environment, http_answers, web
from embedded.ports import free_port
from embedded.process import spawn
from ledger.engine import Database
from ledger.people import key_hash
from ledger.tables import api_key
from settings import Settings

KEY = "endcap_bench_000"
# A key's limit of requests a minute is no part of what is measured.
_UNLIMITED = {"ENDCAP_API_REQUESTS_PER_MINUTE": "100000000"}


async def add_key(database: Database) -> None:
    """The key of the load client, with every scope that a system has."""
    async with database.engine.begin() as conn:
        await conn.execute(
            insert(api_key).values(
                id="bench",
                key_hash=key_hash(KEY),
                source="bench",
                scopes=["orders:write", "events:write", "read"],
                created_at=datetime.now(UTC),
            )
        )


def settings_for(database: Database, folder: Path, *, temporal_address: str = "unused:0") -> Settings:
    """Settings of processes on this database, nothing read from a file."""
    return Settings(
        _env_file=None,
        demo=True,
        home=folder,
        database_url=database.url,
        temporal_address=temporal_address,
        port=free_port(),
        log_level="warning",
    )


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """A folder for logs that goes with the measurement."""
    made = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="endcap-bench-"))
    try:
        yield made
    finally:
        await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)


@asynccontextmanager
async def application(database: Database) -> AsyncIterator[int]:
    """One web process on the database; its port."""
    async with web_process(database) as (port, _):
        yield port


@asynccontextmanager
async def web_process(database: Database) -> AsyncIterator[tuple[int, int]]:
    """One web process on the database; its port and the number of the process."""
    async with folder() as logs:
        settings = settings_for(database, logs)
        child = web(settings, logs)
        words = _uvicorn("web.process:create_app", settings.port)

        async def launch() -> asyncio.subprocess.Process:
            return await spawn(words, log=child.log, env=child_environment(settings) | _UNLIMITED, cwd=ROOT)

        child.launch = launch
        async with running(child):
            assert child.process is not None  # it answers
            yield settings.port, child.process.pid


@asynccontextmanager
async def bare() -> AsyncIterator[int]:
    """The bare endpoint; its port."""
    async with folder() as logs:
        port, log = free_port(), logs / "bare.log"

        async def launch() -> asyncio.subprocess.Process:
            return await spawn(_uvicorn("bench.bare:create_app", port), log=log, env=os.environ, cwd=ROOT)

        async with running(Child("bare endpoint", log, launch, answers=http_answers("127.0.0.1", port, "/healthz"))):
            yield port


def _uvicorn(factory: str, port: int) -> list[str]:
    """The command line of `embedded.children.web`, whatever it serves."""
    return [
        sys.executable, "-m", "uvicorn", factory, "--factory", "--host", "127.0.0.1", "--port", str(port),
        "--no-server-header", "--no-proxy-headers", "--timeout-graceful-shutdown", "3", "--no-access-log",
        "--log-level", "warning",
    ]  # fmt: skip


@asynccontextmanager
async def running(child: Child) -> AsyncIterator[Child]:
    """A child process for as long as the block runs."""
    try:
        await child.start()
        yield child
    finally:
        await child.stop()


async def drive(
    port: int, requests: Sequence[str], *, connections: int, seconds: float, first: int, status: int
) -> Told:
    """Load a server. Raises RuntimeError when anything but `status` came back: a figure of refusals counts nothing."""
    plan = Plan(port=port, requests=list(requests), connections=connections, seconds=seconds, first=first)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate(plan.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError(f"the load client failed: {error.decode()[-1_000:]}")
    told = Told.model_validate_json(out)
    if set(told.statuses) != {str(status)}:
        raise RuntimeError(f"not every answer was {status}: {told.statuses}, one of them {told.example}")
    return told
