"""Databases for tests, made and dropped on connections that stay: a new one for each would cost as much again."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import asyncpg

from embedded.postgres import url_of


@dataclass(frozen=True)
class Keeper:
    """Makes databases on the server of `server_url` for as long as somebody uses them."""

    server_url: str
    pool: asyncpg.Pool

    @asynccontextmanager
    async def database(self, kind: str, *, template: str | None = None) -> AsyncIterator[str]:
        """The URL of a database of its own, empty or a copy of `template`, on which nobody may be connected then."""
        name = f"endcap_{kind}_{uuid.uuid4().hex[:12]}"
        suffix = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        await self.pool.execute(f'CREATE DATABASE "{name}"{suffix}')
        try:
            yield url_of(self.server_url, name)
        finally:
            await self.pool.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@asynccontextmanager
async def open_keeper(server_url: str) -> AsyncIterator[Keeper]:
    """A keeper of databases, with connections of its own."""
    async with asyncpg.create_pool(server_url, min_size=1, max_size=4) as pool:
        yield Keeper(server_url, pool)


def name_of(url: str) -> str:
    """The database's name in a URL."""
    return urlsplit(url).path.removeprefix("/")
