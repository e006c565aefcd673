"""What only a real connection shows: a refusal reaches a client that is still sending."""

import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.serving import serving
from web.hygiene import Hygiene

MEGABYTE = 1_000_000


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(str(len(body)))(scope, receive, send)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    app = Hygiene(length, most_bytes=lambda _path: MEGABYTE)
    async with (
        serving(app, log_level="error", ws="none") as port,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as made,
    ):
        yield made


async def pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"[" * 100_000


class TestOversizedBodies:
    async def test_a_hundred_megabytes_are_refused_while_they_are_sent(self, client: httpx2.AsyncClient) -> None:
        began = time.process_time()
        headers = {"content-type": "application/json", "content-length": str(100 * MEGABYTE)}
        response = await client.post("/api/v1/events", content=pieces(1_000), headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        assert time.process_time() - began < 20  # of the processor

    async def test_a_body_without_a_length_is_refused_as_well(self, client: httpx2.AsyncClient) -> None:
        headers = {"content-type": "application/json"}
        response = await client.post("/api/v1/events", content=pieces(100), headers=headers)
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")

    async def test_the_same_connection_serves_the_next_request(self, client: httpx2.AsyncClient) -> None:
        headers = {"content-type": "application/json"}
        await client.post("/api/v1/events", content=b"x" * 3 * MEGABYTE, headers=headers)
        response = await client.post("/api/v1/events", content=b"[1, 2]", headers=headers)
        assert (response.status_code, response.text) == (200, "6")

    async def test_wrong_json_of_the_largest_size_is_answered_soon(self, client: httpx2.AsyncClient) -> None:
        began = time.process_time()
        headers = {"content-type": "application/json"}
        response = await client.post("/api/v1/events", content=b"[" * MEGABYTE, headers=headers)
        assert (response.status_code, response.json()["code"]) == (422, "too_deep")
        assert time.process_time() - began < 20  # of the processor
