"""Keys of systems that this process has asked for a moment ago, so that a busy system's requests ask once a second.

A key that is revoked, or whose scopes change, is refused within `MAX_AGE_S`. People's own tokens are asked for each
time, and so is whatever is unknown.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from ledger.engine import Database
from ledger.people import Caller, caller_of_key, key_hash

MAX_AGE_S = 1.0
_REMEMBERED = 1_000


class Known(NamedTuple):
    caller: Caller
    read_at: float


class KnownKeys:
    """By the hash of the key. `clock` gives seconds that only go forward."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[bytes, Known] = {}
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def caller(self, database: Database, key: str) -> Caller | None:
        """Who a bearer key speaks for, or None when it is unknown or revoked."""
        name = key_hash(key)
        known = self._known.get(name)
        if known is not None and known.read_at > self._clock() - MAX_AGE_S:
            return known.caller
        asking = self._asking.get(name)
        if asking is None:
            asking = self._asking[name] = asyncio.create_task(self._ask(database, key, name))
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        # A request that is given up must not take along those that wait for the same answer.
        return await asyncio.shield(asking)

    async def _ask(self, database: Database, key: str, name: bytes) -> Caller | None:
        asked_at = self._clock()
        self._known.pop(name, None)
        async with database.read() as conn:
            caller = await caller_of_key(conn, key)
        if caller is not None and caller.person is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = Known(caller, asked_at)
        return caller
