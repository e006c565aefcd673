"""PostgreSQL servers of a test's own, which it may starve, end, copy and promote, with the small retailer on one."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2

from domain.masterdata import StockRow
from embedded.ports import free_port
from embedded.postgres import EmbeddedPostgres, create_database, outside_place
from embedded.process import base_environment
from ledger import opening
from ledger.engine import Database
from ledger.migrate import upgrade
from tests.web.conftest import open_retailer
from tests.web.retail import order
from tests.web.test_api_orders import ORDERS

PASSWORD = secrets.token_urlsafe(12)
MANY = 20_000
PLACE, SKU = "S2", "BREAD"
NAME = "shop"


@asynccontextmanager
async def own_server(*, max_connections: int = 40) -> AsyncIterator[EmbeddedPostgres]:
    """A running server in a folder that goes with the block. It syncs what it acknowledges."""
    folder = Path(tempfile.mkdtemp(prefix="endcap-server-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder, free_port(), PASSWORD, max_connections=max_connections)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()
        remove(folder)


def remove(folder: Path) -> None:
    place = outside_place(folder)
    if place is not None:
        shutil.rmtree(place)
    shutil.rmtree(folder)


async def open_shop(server: EmbeddedPostgres) -> str:
    """The small retailer with much bread, in a database of its own; its address."""
    url = await create_database(server.url("postgres"), NAME)
    await asyncio.to_thread(upgrade, url)
    async with open_retailer(url) as made:
        rows = [StockRow(location=PLACE, sku=SKU, quantity=MANY, unit_cost_minor=70)]
        posted, refused = await opening.post(made, rows)
        assert (posted, refused) == (1, {})
    return url


@asynccontextmanager
async def copy_of(server: EmbeddedPostgres) -> AsyncIterator[EmbeddedPostgres]:
    """A base backup of a running server, as a second one that was not started yet."""
    folder = Path(tempfile.mkdtemp(prefix="endcap-copy-"))
    folder.chmod(0o755)
    copy = EmbeddedPostgres(folder, free_port(), PASSWORD, max_connections=server.max_connections)
    account = server.account
    copy.data.mkdir(mode=0o700)
    if account is not None:
        os.chown(copy.data, account.uid, account.gid)
    try:
        copied = await asyncio.create_subprocess_exec(
            server.binaries / "pg_basebackup",
            *("--host=127.0.0.1", f"--port={server.port}", "--username=endcap", f"--pgdata={copy.data}"),
            *("--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-password"),
            env=base_environment() | {"PGPASSWORD": PASSWORD},
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await copied.communicate()
        assert copied.returncode == 0, said.decode()
        yield copy
    finally:
        await copy.stop()
        remove(folder)


@asynccontextmanager
async def standby_of(server: EmbeddedPostgres) -> AsyncIterator[EmbeddedPostgres]:
    """A second server that follows the first by streaming, and without which the first acknowledges nothing."""
    async with copy_of(server) as standby:
        await standby.start()
        await tell(server, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        await tell(server, "SELECT pg_reload_conf()")
        await _until_it_is_waited_for(server)
        yield standby


async def bring_forward(copy: EmbeddedPostgres, lost: EmbeddedPostgres, until: datetime) -> None:
    """Start a base backup as the lost server was at an instant, by the write-ahead log that it has left."""
    wanted = {
        "restore_command": f'cp "{lost.data}/pg_wal/%f" "%p"',
        "recovery_target_time": until.isoformat(),
        "recovery_target_action": "promote",
    }
    lines = "".join(f"{name} = '{value}'\n" for name, value in wanted.items())
    with (copy.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(lines)
    (copy.data / "standby.signal").rename(copy.data / "recovery.signal")
    await copy.start()


async def _until_it_is_waited_for(server: EmbeddedPostgres) -> None:
    async with asyncio.timeout(120):
        while True:
            if await tell(server, "SELECT sync_state FROM pg_stat_replication") == "sync":
                return
            await asyncio.sleep(0.02)  # between two looks, not instead of one


async def tell(server: EmbeddedPostgres, statement: str) -> object:
    """One statement on a connection of its own; the first value of its answer."""
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        answer: object = await connection.fetchval(statement)
        return answer
    finally:
        await connection.close()


def through(url: str, address: tuple[str, int]) -> str:
    """The same database behind another host and port."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{address[0]}:{address[1]}"))


@dataclass
class Orders:
    """Orders of one loaf each, placed through one client of the application, and what was answered to each."""

    web: httpx2.AsyncClient
    taken: set[str] = field(default_factory=set)
    put_off: set[str] = field(default_factory=set)

    async def place(self, order_id: str) -> bool:
        """Whether it was taken. What is not taken is told to come again; anything else fails the test."""
        answer = await self.web.post(ORDERS, json=order(order_id, sku=SKU, location=PLACE, quantity=1))
        if answer.status_code in (200, 201):
            self.taken.add(order_id)
            self.put_off.discard(order_id)
            return True
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0
        self.put_off.add(order_id)
        return False

    async def keep_placing(self, name: str, stop: asyncio.Event) -> None:
        """One after the other; each is sent again until it is taken, as a good client does."""
        number = 0
        while not stop.is_set():
            number += await self.place(f"W-{name}-{number}")

    async def place_again(self, eventually: Callable[..., Any]) -> None:
        """Send each again that was put off, until it is taken."""
        for order_id in sorted(self.put_off):
            await eventually(partial(self.place, order_id))


async def recorded(database: Database) -> set[str]:
    """The numbers of the orders that are recorded."""
    async with database.read() as conn:
        driver = conn.info["driver"]
        return {row["key"] for row in await driver.fetch("SELECT key FROM journey")}
