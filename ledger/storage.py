"""Whether PostgreSQL has room to write.

It serves reading on a full disk, so nothing but a write tells. A refused one is remembered until a write that needs new
blocks has succeeded; where nothing was refused, such a write is tried once a minute at most, when somebody asks.
"""

import time

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.outages import is_full

LOOK_EVERY_S = 60.0
# About a megabyte of blocks, of a table that nobody else sees and that goes with its transaction.
_WRITE = text(
    "CREATE TEMPORARY TABLE room_to_write ON COMMIT DROP AS"
    " SELECT repeat(md5(g::text), 30) AS filling FROM generate_series(1, 1000) g"
)


class Storage:
    """One for each process and database. `refused` is told of every write that failed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._room_seen_at: float | None = None

    def refused(self, error: BaseException) -> None:
        """Remember a failure, if it was one for want of room."""
        if is_full(error):
            self._room_seen_at = None

    async def is_full(self) -> bool:
        """Whether there is no room now. Raises `DBAPIError` where that cannot be found out."""
        now = time.monotonic()
        if self._room_seen_at is not None and now - self._room_seen_at < LOOK_EVERY_S:
            return False
        try:
            async with self._engine.begin() as conn:
                await conn.execute(_WRITE)
        except DBAPIError as error:
            if is_full(error):
                return True
            raise
        self._room_seen_at = now
        return False
