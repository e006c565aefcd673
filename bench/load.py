"""The client of the measurements over HTTP: a process of its own that keeps its connections open and sends the next
request as soon as the last one is answered. `python -m bench.load` reads a `Plan` as JSON and prints a `Told`.

It does as little as it can: requests are made before the clock starts, only their key is put in, and an answer is read
just far enough to know its status and its length. What it costs is measured and told (`cpu_s`).
"""

import asyncio
import json
import re
import statistics
import sys
import time
from collections import Counter
from typing import Any

import uvloop
from pydantic import BaseModel

KEY = "000000000000"  # in a template: replaced by the number of the request, of as many digits
FEWEST = 2  # of one answer there are no percentiles
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Plan(BaseModel):
    """What to send: whole requests as text, in turn, over so many connections, for `seconds` after a warm-up of a
    fifth of it. Keys count from `first`.
    """

    port: int
    requests: list[str]
    connections: int
    seconds: float
    first: int = 1


class Told(BaseModel):
    """What came back within the time that counts: `per_s` from its first answer to its last, as many requests being
    under way at the one as at the other; of fewer than five answers a connection, from the first request to the last
    answer. `cpu_s` is this process's own for all `sent` requests.
    """

    counted: int
    seconds: float
    per_s: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    sent: int
    cpu_s: float
    example: str  # the last answer that was no success, or else the last one: its first 500 characters


class Sender:
    """What all connections share: the templates, the clock, and the answers so far. The clock runs from `start`."""

    def __init__(self, plan: Plan) -> None:
        self.templates = [one.encode().split(KEY.encode()) for one in plan.requests]
        self.number = plan.first
        self.sent = 0
        self.seconds = plan.seconds
        self.begins = self.ends = 0.0
        self.answers: list[tuple[float, float]] = []  # (when, how long it took)
        self.statuses: Counter[str] = Counter()
        self.example = b""

    def start(self) -> None:
        """All connections are open: the time counts from now on."""
        self.begins = time.perf_counter() + self.seconds / 5
        self.ends = self.begins + self.seconds

    def next(self) -> bytes | None:
        """The next request; None when the time is up. However slow the machine, a few are sent."""
        if self.sent >= FEWEST and time.perf_counter() >= self.ends:
            return None
        parts = self.templates[self.sent % len(self.templates)]
        key = b"%0*d" % (len(KEY), self.number)
        self.number += 1
        self.sent += 1
        return key.join(parts)

    def answered(self, sent_at: float, answer: bytes) -> None:
        now = time.perf_counter()
        status = answer[9:12].decode()
        self.statuses[status] += 1
        if not status.startswith("2") or not self.example:
            self.example = answer[:500]
        self.answers.append((now, now - sent_at))


class Connection(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, sender: Sender, done: "asyncio.Future[None]") -> None:
        self.sender, self.done = sender, done
        self.pending = bytearray()
        self.sent_at = 0.0
        self.has_ended = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self) -> None:
        request = self.sender.next()
        if request is None:
            self.has_ended = True
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.pending += data
        head = self.pending.find(b"\r\n\r\n")
        if head < 0:
            return
        found = _LENGTH.search(self.pending, 0, head)
        if found is None:
            self.fail(RuntimeError(f"an answer without its length: {bytes(self.pending[:500])!r}"))
            return
        if len(self.pending) < head + 4 + int(found[1]):
            return
        self.sender.answered(self.sent_at, bytes(self.pending))
        self.pending.clear()
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None or not self.has_ended:
            self.fail(ConnectionError(f"the server closed a connection in the middle: {exc}"))
        elif not self.done.done():
            self.done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)
        self.transport.close()


async def send(plan: Plan) -> Told:
    """Carry out the plan. Raises ConnectionError when the server hangs up in the middle."""
    loop = asyncio.get_running_loop()
    sender = Sender(plan)
    began_cpu = time.process_time()
    done = [loop.create_future() for _ in range(plan.connections)]
    connections = []
    for one in done:
        _, connection = await loop.create_connection(
            lambda one=one: Connection(sender, one),  # type: ignore[misc]
            "127.0.0.1",
            plan.port,
        )
        connections.append(connection)
    sender.start()
    for connection in connections:
        connection.send()
    await asyncio.gather(*done)
    began = sender.begins - plan.seconds / 5
    counting = [one for one in sender.answers if sender.begins <= one[0] <= sender.ends]
    if len(counting) >= 5 * plan.connections:
        counted, seconds = len(counting) - 1, counting[-1][0] - counting[0][0]
    else:  # they come in bunches: all of them count, from the first that was sent
        counting = sender.answers
        counted, seconds = len(counting), counting[-1][0] - began
    cuts = statistics.quantiles([wait for _, wait in counting], n=100)
    return Told(
        counted=counted,
        seconds=seconds,
        per_s=counted / seconds,
        p50_ms=cuts[49] * 1_000,
        p99_ms=cuts[98] * 1_000,
        statuses=dict(sender.statuses),
        sent=sender.sent,
        cpu_s=time.process_time() - began_cpu,
        example=sender.example.decode(errors="replace"),
    )


def request(path: str, body: Any, *, key: str) -> str:
    """A whole request as text. A body of None makes a GET. The length holds, since a key is as long as its place."""
    head = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key}"]
    text = "" if body is None else json.dumps(body)
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(text.encode())}"]
    return "\r\n".join(head) + "\r\n\r\n" + text


if __name__ == "__main__":
    print(uvloop.run(send(Plan.model_validate_json(sys.stdin.read()))).model_dump_json())
