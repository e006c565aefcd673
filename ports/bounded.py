"""Answers of other systems, read in bounded time and size: one that trickles for ever, or never ends, is given up.

And what they hold, as it can be computed with and stored.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2

WITHIN_S = 30.0
MOST_BYTES = 8_000_000


async def _parts(answer: httpx2.Response) -> AsyncIterator[bytes]:
    if answer.is_stream_consumed:
        yield answer.content  # a transport without a wire has all of it at once
        return
    async for part in answer.aiter_raw():
        yield part


async def ask(
    client: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    within_s: float = WITHIN_S,
    most_bytes: int = MOST_BYTES,
    headers: dict[str, str] | None = None,
    **sent: Any,
) -> httpx2.Response:
    """The whole answer of one request. `within_s` is for all of it, beside the client's timeouts for each part.

    Compression is not asked for, and an answer that is compressed all the same is refused: a few bytes of it may be
    any number. Raises `httpx2.ReadTimeout`, `httpx2.ReadError`, and what the client raises.
    """
    asked = client.build_request(method, url, headers={**(headers or {}), "Accept-Encoding": "identity"}, **sent)
    content = bytearray()
    try:
        async with asyncio.timeout(within_s):
            answer = await client.send(asked, stream=True)
            try:
                if answer.headers.get("content-encoding", "identity").lower() != "identity":
                    raise httpx2.ReadError("the answer is compressed, which was not asked for", request=asked)
                async for part in _parts(answer):
                    content += part
                    if len(content) > most_bytes:
                        raise httpx2.ReadError(f"the answer is larger than {most_bytes:,} bytes", request=asked)
            finally:
                await answer.aclose()
    except TimeoutError as error:
        raise httpx2.ReadTimeout(f"no whole answer within {within_s:g} s", request=asked) from error
    kept = [(name, value) for name, value in answer.headers.multi_items() if name != "transfer-encoding"]
    return httpx2.Response(answer.status_code, headers=kept, content=bytes(content), request=asked)


def json_of(answer: httpx2.Response) -> Any:
    """The JSON of an answer. Raises `ValueError` for what is none, also for what is nested without end."""
    try:
        return answer.json()
    except RecursionError as error:
        raise ValueError("nested without end") from error


def words_of(value: object, most: int) -> str | None:
    """A text of somebody else's as a database can hold it, of at most so many characters; None for none."""
    if not value:
        return None
    shown = str(value)[:most].encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in shown)


def instant_of(value: object) -> datetime | None:
    """An instant with its zone, in UTC; None for what is none, or lies before or after all that can be told."""
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
