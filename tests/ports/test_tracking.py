"""Carriers that are asked over HTTP, against a real server on this machine: news, nothing, whatever is no answer."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ports.tracking import MOST_BYTES, HttpTracking, News, TrackingAwayError

KEY = "key-of-a-carrier"


class Carrier(BaseHTTPRequestHandler):
    """Answers with what the test has put under a path, and remembers what it was asked."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, self.headers["Authorization"]))
        status, body = server.answers.get(self.path, (404, b"{}"))
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def carrier() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Carrier)
    server.asked, server.answers = [], {}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))  # how soon it hears of its end, in seconds
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def port(carrier: Any) -> AsyncIterator[HttpTracking]:
    made = HttpTracking(f"http://127.0.0.1:{carrier.server_port}/v2/", KEY)
    yield made
    await made.aclose()


def says(carrier: Any, body: object, status: int = 200, tracking: str = "PC-1") -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    carrier.answers[f"/v2/parcels/{tracking}"] = (status, content)


class TestNews:
    async def test_where_it_is_when_it_comes_and_as_of_when(self, carrier: Any, port: HttpTracking) -> None:
        says(
            carrier,
            {"status": "delayed", "expected_at": "2026-11-24T12:00:00+01:00", "at": "2026-11-22T08:00:00Z", "more": 1},
        )
        assert await port.ask("PC-1", None) == News(
            "delayed", datetime(2026, 11, 24, 11, tzinfo=UTC), datetime(2026, 11, 22, 8, tzinfo=UTC)
        )
        assert carrier.asked == [("/v2/parcels/PC-1", f"Bearer {KEY}")]

    async def test_what_it_does_not_say_is_left_open(self, carrier: Any, port: HttpTracking) -> None:
        says(carrier, {"status": "in_transit", "expected_at": None})
        assert await port.ask("PC-1", None) == News("in_transit", None, None)

    async def test_the_carrier_is_named_and_a_number_stays_one_segment(self, carrier: Any, port: HttpTracking) -> None:
        assert await port.ask("../a b/..?x#y", "Parcel & Co") is None
        (asked,) = carrier.asked
        assert asked[0] == "/v2/parcels/%2E%2E%2Fa%20b%2F%2E%2E%3Fx%23y?carrier=Parcel+%26+Co"

    async def test_a_parcel_that_there_is_not_is_no_failure(self, port: HttpTracking) -> None:
        assert await port.ask("PC-9", None) is None


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("status", "body", "says_why"),
        [
            (500, {}, "answered 500"),
            (401, {}, "answered 401"),
            (302, {}, "answered 302"),
            (200, b"<html>", "no JSON"),
            (200, [], "its status is none of"),
            (200, {"status": "somewhere"}, "its status is none of"),
            (200, {"status": ["lost"]}, "its status is none of"),
            (200, {"status": "lost", "at": "yesterday"}, "its at is no instant"),
            (
                200,
                {"status": "lost", "expected_at": "2026-11-24T12:00:00"},
                "its expected_at is no instant",
            ),
            (200, b" " * (MOST_BYTES + 1), "no answer: ReadError"),
        ],
    )
    async def test_it_is_said_by_name_and_nothing_is_followed(
        self, carrier: Any, port: HttpTracking, status: int, body: object, says_why: str
    ) -> None:
        says(carrier, body, status)
        with pytest.raises(TrackingAwayError, match=says_why):
            await port.ask("PC-1", None)
        assert len(carrier.asked) == 1

    async def test_nobody_listens(self, carrier: Any) -> None:
        port = HttpTracking(f"http://127.0.0.1:{carrier.server_port}", KEY)
        carrier.shutdown()
        carrier.server_close()
        with pytest.raises(TrackingAwayError, match="no answer"):
            await port.ask("PC-1", None)
        await port.aclose()
