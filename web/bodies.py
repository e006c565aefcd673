"""Request bodies on their way in: how many bytes of them a process holds at once, and how slowly they may arrive.

Whoever sends slowly costs a connection for a while, whoever sends much at once is told to come again; neither costs the
others their memory. A connection that sends no request at all is the business of the proxy in front
(docs/operating.md).
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from web.errors import WebError

MOST_HELD_BYTES = 200_000_000
GRACE_S = 30.0  # a phone that has lost its network for a moment
SLOWEST_BYTES_S = 5_000.0


class Bodies:
    """What a process holds at this moment."""

    def __init__(self, *, most_held: int = MOST_HELD_BYTES, grace_s: float = GRACE_S) -> None:
        self._most_held = most_held
        self._grace_s = grace_s
        self.held = 0

    @contextmanager
    def one(self) -> Iterator["Body"]:
        """A body, held until its request has been answered."""
        body = Body(self, self._grace_s)
        try:
            yield body
        finally:
            self.held -= len(body.content)

    def hold(self, body: "Body", more: bytes) -> None:
        """Take more of a body in. Raises `WebError` (503) where it does not fit beside those of others."""
        others = self.held - len(body.content)
        if others and self.held + len(more) > self._most_held:
            detail = "Too much is being sent here at once; nothing was recorded. Send it again in a moment."
            raise WebError(503, "busy", detail, headers={"Retry-After": "1"})
        body.content += more
        self.held += len(more)


class Body:
    """The body of one request, as far as it has come."""

    def __init__(self, bodies: Bodies, grace_s: float) -> None:
        self._bodies = bodies
        self._grace_s = grace_s
        self._since = asyncio.get_running_loop().time()
        self.content = bytearray()

    async def part(self, receive: Receive) -> Message:
        """The next part of it, held; or that the client has gone. Raises `WebError` (408, 503)."""
        limit = self._since + self._grace_s + len(self.content) / SLOWEST_BYTES_S
        try:
            async with asyncio.timeout_at(limit):
                message = await receive()
        except TimeoutError as error:
            detail = (
                f"The body came slower than {SLOWEST_BYTES_S:g} bytes a second; nothing was recorded. Send it again."
            )
            raise WebError(408, "too_slow", detail, headers={"Connection": "close"}) from error
        self._bodies.hold(self, message.get("body", b""))
        return message
