"""What time it is for everything that is recorded: PostgreSQL's clock, as a process knows it.

Records of many processes are compared with each other, so they go by one clock. A machine's own may be an hour off, or
jump; between two looks the time that passes is measured by a clock that nobody sets.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

LOOK_EVERY_S = 10.0


class Clock:
    """One for each process and database; `ask` is what time it is for PostgreSQL, and when that was by `monotonic`."""

    def __init__(self, ask: Callable[[], Awaitable[tuple[datetime, float]]]) -> None:
        self._ask = ask
        self._zero: datetime | None = None  # what it was there when this process's own clock began
        self._looked_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def now(self) -> datetime:
        """Now, to within half of a round trip. Only the first look is waited for, and raises what asking raises."""
        if self._zero is None:
            await self._look()
        elif monotonic() - self._looked_at > LOOK_EVERY_S and self._looking is None:
            self._looking = asyncio.create_task(self._look_again())
        assert self._zero is not None
        return self._zero + timedelta(seconds=monotonic())

    async def close(self) -> None:
        """Wait for a look that is under way."""
        if self._looking is not None:
            await self._looking

    async def _look(self) -> None:
        there, at = await self._ask()
        self._looked_at = monotonic()
        self._zero = there - timedelta(seconds=at)

    async def _look_again(self) -> None:
        try:
            await self._look()
        except (DBAPIError, PoolTimeout, OSError):
            self._looked_at = monotonic()  # it is away, which whoever writes will hear; time passes all the same
        finally:
            self._looking = None
