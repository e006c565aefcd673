"""The ledger tests' shop, a receiver on this machine, and a notifier that may call it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from domain.webhooks import NewWebhook, WebhookIn
from ledger import webhooks
from notifier import Notifier
from ports.webhook import WebhookCaller
from tests.ledger.support.books import assert_books_agree
from tests.shop import Shop


@pytest.fixture
async def shop(fresh_shop: Shop) -> AsyncIterator[Shop]:
    """Two stores with five packs of tea each."""
    yield fresh_shop
    await assert_books_agree(fresh_shop.database)


@dataclass
class Receiver:
    """A small HTTP server: `answer` is its status, with any headers; `seen` are (headers, body) of each call."""

    url: str = ""
    answer: str = "204 No Content"
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = dict(line.lower().split(": ", 1) for line in head if ": " in line)
        raw = {name: line.split(": ", 1)[1] for line in head if ": " in line for name in [line.split(": ")[0].lower()]}
        body = await reader.readexactly(int(headers["content-length"]))
        self.seen.append((raw, body))
        writer.write(f"HTTP/1.1 {self.answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        self.called.set()

    def verified(self, *secrets: str) -> list[dict[str, Any]]:
        """What came in, each signed by every one of `secrets`. Raises for one that is not."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.seen for secret in secrets]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.seen]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()
    await server.wait_closed()


@pytest.fixture
async def notifier(shop: Shop) -> AsyncIterator[Notifier]:
    caller = WebhookCaller(allow_local=True, timeout_s=60)
    yield Notifier(shop.database, caller)
    await caller.aclose()


async def listen(shop: Shop, url: str, *types: str, source: str = "web", sources: tuple[str, ...] = ()) -> NewWebhook:
    wanted = WebhookIn(url=url, types=types or ("*",))
    return await webhooks.register(
        shop.database, wanted, source=source, sources=sources, allow_local=True, actor="test", via="test"
    )


async def due_now(shop: Shop) -> None:
    """Let the next attempt of everything that waits be due."""
    await shop.change("UPDATE webhook_delivery SET not_before = now() WHERE state = 'queued'")
