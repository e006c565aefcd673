"""An application behind a real socket, served within the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn


class _Server(uvicorn.Server):
    """Says when it listens, and ends when it is told to. The library looks ten times a second whether it is to end, and
    then waits for a tenth more, which is longer than most of what is asked of it here.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()
        self.told = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    async def main_loop(self) -> None:
        while not self.told.is_set():
            await self.on_tick(0)  # the second that answers are dated with
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for held in sockets or []:
            held.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # those that nothing is asked on are closed in the next turn; the others are waited for
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wait_tasks_to_complete(), self.config.timeout_graceful_shutdown)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@contextlib.asynccontextmanager
async def serving(app: Any, listening: socket.socket | None = None, **config: Any) -> AsyncIterator[int]:
    """Serve on `listening`, else on a socket of its own; the port. `config` is uvicorn's."""
    held = listening or socket.create_server(("127.0.0.1", 0))  # from now on nobody else can get the port
    # As for a server that opens its socket itself: head and body of an answer go out one after the other, and without
    # it the second waits for the first to be acknowledged, for up to 40 ms.
    held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    port: int = held.getsockname()[1]
    server = _Server(uvicorn.Config(app, **{"log_level": "warning", "lifespan": "off"} | config))
    running = asyncio.create_task(server.serve(sockets=[held]))
    listens = asyncio.create_task(server.listens.wait())
    await asyncio.wait((running, listens), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        listens.cancel()
        await running
    try:
        yield port
    finally:
        server.told.set()
        await running
