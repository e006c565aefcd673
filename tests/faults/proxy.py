"""A TCP proxy on this machine that does to connections what networks do: it holds them, cuts them, loses answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    """Between a client and `host:port`. `address` is where the client goes."""

    def __init__(self, host: str, port: int) -> None:
        self.target = host, port
        self.address = ("127.0.0.1", 0)
        self.answers_to_lose = 0  # so many times the first bytes of an answer are dropped, and the connection is cut
        self.answers_lost = 0
        self.delay_s = 0.0  # of each piece, on each way
        self._flows = asyncio.Event()
        self._flows.set()
        self._open: set[asyncio.StreamWriter] = set()

    def hold(self) -> None:
        """A black hole: nothing gets through, and nobody is told."""
        self._flows.clear()

    def release(self) -> None:
        """What was held goes on."""
        self._flows.set()

    def cut(self) -> None:
        """Every connection ends as if the network had ended it."""
        for writer in list(self._open):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_target: asyncio.StreamWriter | None = None
        try:
            from_target, to_target = await asyncio.open_connection(*self.target)
            self._open |= {writer, to_target}
            ways = self._carry(reader, to_target), self._carry(from_target, writer, is_answer=True)
            for way in asyncio.as_completed([asyncio.ensure_future(one) for one in ways]):
                await way
                break
        except OSError:
            pass  # the target is away, or one side has gone: the other is told by the end of its connection
        finally:
            for one in (writer, to_target):
                if one is not None:
                    self._open.discard(one)
                    one.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if is_answer and self.answers_to_lose:
                    self.answers_to_lose -= 1
                    self.answers_lost += 1
                    return
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def proxy_to(host: str, port: int) -> AsyncIterator[Proxy]:
    """A running proxy; at the end every connection through it is cut."""
    made = Proxy(host, port)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.address = server.sockets[0].getsockname()[:2]
    try:
        yield made
    finally:
        server.close()
        made.release()
        made.cut()
        await server.wait_closed()
