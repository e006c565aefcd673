"""Connections that one read hands on to the next, while they are warm.

To take one from SQLAlchemy's pool and to give it back costs what five small statements cost, and a page does it twice.
So a few stay taken between reads. One that nobody has used for a while goes back to the pool, which asks whether it
stands.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alive import TRUSTED_S

MOMENT_S = 0.01  # in which a server that is there has ended a transaction many times over
LAST_S = 5.0  # of a process that ends: behind a network that has gone nothing comes back


class Warm:
    """At most `most` connections that rest between two reads; `connect` takes one from the pool."""

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection]], *, most: int) -> None:
        self._connect = connect
        self._most = most
        self._resting: list[tuple[AsyncConnection, float]] = []  # since when, by the monotonic clock
        self._coming: set[asyncio.Task[None]] = set()
        self._released = 0  # how often
        self._wanted = 0  # of the pool, which may have none

    async def take(self) -> AsyncConnection:
        """One that was used a moment ago, or else one of the pool. Raises what the pool raises."""
        if self._coming and not self._resting:
            await asyncio.wait(self._coming, timeout=MOMENT_S, return_when=asyncio.FIRST_COMPLETED)
        while self._resting:
            conn, since = self._resting.pop()
            if monotonic() - since < TRUSTED_S and not conn.info["driver"].is_closed():
                return conn
            await conn.close()
        self._wanted += 1
        try:
            return await self._connect()
        finally:
            self._wanted -= 1

    def leave_after(self, conn: AsyncConnection, end: Callable[[], Awaitable[None]]) -> None:
        """Have the next read use it as soon as `end` is through. Nobody waits for that but who needs a connection."""

        released = self._released

        async def come() -> None:
            try:
                await end()
            finally:
                await (self.leave(conn) if released == self._released else conn.close())

        coming = asyncio.create_task(come())
        self._coming.add(coming)
        coming.add_done_callback(self._coming.discard)

    async def leave(self, conn: AsyncConnection) -> None:
        """Have the next read use it; one too many or closed goes back to the pool, and one that is waited for there."""
        if conn.in_transaction():  # SQLAlchemy's own, of which the server knows nothing
            await conn.rollback()
        if len(self._resting) < self._most and not self._wanted and not conn.info["driver"].is_closed():
            self._resting.append((conn, monotonic()))
        else:
            await conn.close()

    async def release(self) -> None:
        """Give all back to the pool, those on their way as they come: where one was lost, the others may be as well."""
        self._released += 1
        while self._resting:
            await self._resting.pop()[0].close()

    async def close(self) -> None:
        """Give all back to the pool, and wait until they are there, though not for ever."""
        await self.release()
        await self.arrived()

    async def arrived(self) -> None:
        """Wait until none is on its way."""
        if self._coming:
            await asyncio.wait(self._coming, timeout=LAST_S)
