"""Bodies that come slowly, and many large ones at once: neither holds a process up, and nothing is left of them."""

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from web.bodies import Bodies
from web.errors import WebError
from web.hygiene import Hygiene

MOST = 1_000
SCOPE: dict[str, Any] = {
    "type": "http", "method": "POST", "path": "/x", "raw_path": b"/x", "query_string": b"", "headers": [],
}  # fmt: skip


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(str(len(await Request(scope, receive).body())))(scope, receive, send)


class TestSlow:
    @pytest.mark.parametrize("parts", [0, 1, 3])
    async def test_one_that_stops_coming_is_given_up(self, parts: int) -> None:
        bodies, said, left = Bodies(grace_s=0.001), [], [b"x"] * parts

        async def receive() -> Message:
            if left:
                return {"type": "http.request", "body": left.pop(), "more_body": True}
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")

        async def send(message: Message) -> None:
            said.append(message)

        await Hygiene(length, most_bytes=lambda _path: MOST, bodies=bodies)(dict(SCOPE), receive, send)
        assert said[0]["status"] == 408
        assert (b"connection", b"close") in said[0]["headers"]
        assert b"too_slow" in said[1]["body"]
        assert bodies.held == 0

    async def test_what_has_come_gives_the_rest_its_time(self) -> None:
        """Beyond the grace, five megabytes have a thousand seconds, and nothing has none."""

        async def receive() -> Message:
            for _ in range(3):
                await asyncio.sleep(0)  # whoever is late is found out as soon as it waits
            return {"type": "http.request", "body": b"", "more_body": False}

        bodies = Bodies(grace_s=-1)
        with bodies.one() as much:
            bodies.hold(much, b"x" * 5_000_000)
            assert (await much.part(receive))["more_body"] is False
        with bodies.one() as nothing, pytest.raises(WebError) as refused:
            await nothing.part(receive)
        assert (refused.value.status, refused.value.code) == (408, "too_slow")


class TestManyAtOnce:
    async def test_what_does_not_fit_beside_the_others_is_told_to_come_again(self) -> None:
        bodies, inside, go_on = Bodies(most_held=1_500), asyncio.Event(), asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] == "/waits":
                inside.set()
                await go_on.wait()
            await length(scope, receive, send)

        app = Hygiene(slow, most_bytes=lambda _path: MOST, bodies=bodies)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://endcap.test") as client:
            first = asyncio.create_task(client.post("/waits", content=b"x" * 1_000))
            await inside.wait()
            refused = await client.post("/now", content=b"x" * 1_000)
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert refused.headers["retry-after"] == "1"
            assert (await client.post("/now", content=b"x" * 500)).text == "500"
            assert bodies.held == 1_000
            go_on.set()
            assert (await first).text == "1000"
            assert (await client.post("/now", content=b"x" * 1_000)).text == "1000"
        assert bodies.held == 0

    async def test_a_single_one_always_fits(self) -> None:
        app = Hygiene(length, most_bytes=lambda _path: MOST, bodies=Bodies(most_held=10))
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://endcap.test") as client:
            assert (await client.post("/x", content=b"x" * 1_000)).text == "1000"
