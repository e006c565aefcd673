"""A payment provider of tests: a real HTTP server on this machine that keeps its own record of what it has paid."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ports.payment import HttpPaymentProvider

SECRET = "test-key"


@dataclass
class Bank:
    """The same key moves money once. `does` is what comes of the next requests: `pays`, `declines`, `is_down`, or
    `pays_and_is_silent` (the money moves, and the answer is lost); after the last one it pays.
    """

    does: list[str] = field(default_factory=list)
    is_down: bool = False
    asked: list[str] = field(default_factory=list)  # keys, in the order in which they came
    paid: dict[str, int] = field(default_factory=dict)  # minor units by key

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request for each connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        lower = {name.lower(): value for name, value in headers.items()}
        body = json.loads(await reader.readexactly(int(lower["content-length"])))
        assert lower["authorization"] == f"Bearer {SECRET}"
        answer = self._answer(lower["idempotency-key"], body["amount_minor"])
        if answer is not None:
            status, content = answer
            text = json.dumps(content)
            writer.write(
                f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n"
                f"connection: close\r\n\r\n{text}".encode()
            )
            await writer.drain()
        writer.close()

    def _answer(self, key: str, amount: int) -> tuple[int, dict[str, str]] | None:
        self.asked.append(key)
        does = self.does.pop(0) if self.does else "pays"
        if self.is_down or does == "is_down":
            return 503, {}
        if does == "declines":
            return 402, {"reason": "card expired"}
        self.paid.setdefault(key, amount)
        return None if does == "pays_and_is_silent" else (200, {"reference": f"bank-{len(self.paid)}"})

    @property
    def times_asked(self) -> Counter[str]:
        return Counter(self.asked)


@asynccontextmanager
async def a_bank(*does: str) -> AsyncIterator[tuple[Bank, HttpPaymentProvider]]:
    """The bank, and the adapter that asks it."""
    bank = Bank(list(does))
    server = await asyncio.start_server(bank.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    provider = HttpPaymentProvider(f"http://127.0.0.1:{port}/v1", SECRET)
    try:
        yield bank, provider
    finally:
        await provider.aclose()
        server.close()
        await server.wait_closed()
