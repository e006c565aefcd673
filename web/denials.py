"""Writes down every denial: who was refused what, and from where. It looks at answers, so a new route is covered.

A process counts for a second and writes then, equal ones together; whoever knocks in a loop costs one row a minute.
What was counted in the second before a process is killed is lost; its log has it.
"""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from sqlalchemy.exc import DBAPIError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import DomainError
from ledger import denials as records
from ledger.denials import Counted, Denied
from ledger.engine import Database
from web.api.health import template_of

log = logging.getLogger("endcap.denials")
WRITE_AFTER_S = 1.0
MOST = 2_000  # different ones that a process holds; what goes beyond is counted together
ALWAYS = frozenset({401, 403, 429})
SOMEBODY = frozenset({404})  # of somebody who is known: they asked for what is not there, or not theirs
MAX_TEXT = 300


class Denials:
    """What a process has counted and not written yet."""

    def __init__(self) -> None:
        self._counted: dict[Denied, Counted] = {}
        self._writing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    def count(self, denied: Denied, path: str, database: Database | None) -> None:
        """Count one, and see to it that it is written within a second."""
        who = denied.who or "a stranger"
        log.warning("refused %s %s (%s) to %s from %s", denied.method, path, denied.code, who, denied.remote)
        if denied not in self._counted and len(self._counted) >= MOST:
            denied, path = Denied(denied.status, "too_many_different", "", "", "", ""), ""
        before = self._counted.get(denied)
        self._counted[denied] = Counted((before.times if before else 0) + 1, datetime.now(UTC), path)
        if self._writing is None and database is not None:
            self._writing = asyncio.create_task(self._soon(database))

    async def write(self, database: Database) -> None:
        """Write what was counted. While the database is away it is kept for the next time."""
        async with self._one_at_a_time:
            await self._write(database)

    async def _write(self, database: Database) -> None:
        counted, self._counted = self._counted, {}
        if not counted:
            return
        try:
            await records.record(database, counted)
        except (DBAPIError, DomainError, OSError) as error:
            log.warning("denials cannot be written just now, and are kept: %s", type(error).__name__)
            for denied, count in counted.items():
                since = self._counted.get(denied)
                self._counted[denied] = since._replace(times=since.times + count.times) if since else count

    async def close(self, database: Database) -> None:
        """Write the rest; what cannot be written now is in the log alone."""
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        await self.write(database)

    async def _soon(self, database: Database) -> None:
        try:
            await asyncio.sleep(WRITE_AFTER_S)
        finally:
            self._writing = None
        await self.write(database)


class Watched:
    """ASGI middleware, outside of all that may refuse."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said: dict[str, Any] = scope.setdefault("state", {})

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                status, who = message["status"], said.get("who", "")
                if status in ALWAYS or "denied" in said or (status in SOMEBODY and who):
                    _count(scope, status, who, said.get("denied") or HTTPStatus(status).name.lower())
            await send(message)

        await self._app(scope, receive, watched)


def _count(scope: Scope, status: int, who: str, code: str) -> None:
    state, route = scope["app"].state, template_of(scope)
    # A token in an address is a secret: of such a route the address as it is written is kept, never as it was asked.
    asked = "".join(letter if letter.isprintable() else "?" for letter in str(scope["path"])[:MAX_TEXT])
    path = route if "{token}" in route else asked
    client = scope.get("client")
    denied = Denied(status, code, scope["method"][:20], route[:MAX_TEXT], who, client[0] if client else "unknown")
    state.denials.count(denied, path, getattr(state, "database", None))
