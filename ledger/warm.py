"""Connections that one read hands on to the next, while they are warm.

To take one from SQLAlchemy's pool and to give it back costs what five small statements cost, and a page does it twice.
So a few stay taken between reads. One that nobody has used for a while goes back to the pool, which asks whether it
stands.
"""

from collections.abc import Awaitable, Callable
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.alive import TRUSTED_S


class Warm:
    """At most `most` connections that rest between two reads; `connect` takes one from the pool."""

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection]], *, most: int) -> None:
        self._connect = connect
        self._most = most
        self._resting: list[tuple[AsyncConnection, float]] = []  # since when, by the monotonic clock

    async def take(self) -> AsyncConnection:
        """One that was used a moment ago, or else one of the pool. Raises what the pool raises."""
        while self._resting:
            conn, since = self._resting.pop()
            if monotonic() - since < TRUSTED_S and not conn.info["driver"].is_closed():
                return conn
            await conn.close()
        return await self._connect()

    async def leave(self, conn: AsyncConnection) -> None:
        """Have the next read use it; one too many, or one that is closed, goes back to the pool."""
        if conn.in_transaction():  # SQLAlchemy's own, of which the server knows nothing
            await conn.rollback()
        if len(self._resting) < self._most and not conn.info["driver"].is_closed():
            self._resting.append((conn, monotonic()))
        else:
            await conn.close()

    async def release(self) -> None:
        """Give all that rest back to the pool: where one was lost, the others may be lost as well."""
        while self._resting:
            await self._resting.pop()[0].close()
