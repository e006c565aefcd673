"""A polite caller of Endcap's public API: it waits when the API is away or busy, and says by name what was refused.

Sending the same body again is safe (orders and events are recognised by their ids), so what got no answer is repeated.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2

log = logging.getLogger("endcap.demo")

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
BUSY = frozenset({429, 502, 503, 504})
TRIES_AFTER_FAILURE = 3  # of a call that broke the server: the same body is safe, and may work the next time
Body = dict[str, Any]


class RefusedError(Exception):
    """The API understood and said no. `status` and `problem` are its answer."""

    def __init__(self, what: str, status: int, problem: Body) -> None:
        super().__init__(f"{what}: {status} {problem.get('code') or ''} {problem.get('detail') or problem}")
        self.status = status
        self.problem = problem


class Client:
    """Calls as one of several sources. `keys` maps a source or person to its key; `default` serves all others."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        keys: Mapping[str, str],
        default: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.http = http
        self.sleep = sleep
        self.keys = dict(keys)
        self.default = default

    async def get(self, path: str, *, as_: str, **parameters: str | int) -> Body:
        """The JSON at `path`; raises RefusedError."""
        return await self._call("GET", path, as_=as_, parameters=parameters, body=None)

    async def post(self, path: str, body: Body, *, as_: str) -> Body:
        """The JSON answer to `body`; raises RefusedError."""
        return await self._call("POST", path, as_=as_, parameters={}, body=body)

    async def events(self, events: list[Body], *, as_: str) -> list[Body]:
        """Sends facts and requests in order; returns an outcome each and logs those that were not accepted."""
        answer = await self.post("/api/v1/events", {"events": events}, as_=as_)
        results: list[Body] = answer["results"]
        for event, result in zip(events, results, strict=True):
            if result["outcome"] not in {"accepted", "duplicate"}:
                problem = result.get("problem") or {}
                log.info(
                    "%s %s was %s: %s", event["type"], event["id"], result["outcome"], problem.get("detail", problem)
                )
        return results

    def _headers(self, as_: str) -> dict[str, str]:
        key = self.keys.get(as_, self.default)
        if key is None:
            raise RefusedError(f"no API key for {as_}", 401, {"code": "no_key", "detail": "give --api-key"})
        headers = {"Authorization": f"Bearer {key}"}
        if as_ not in self.keys and "." in as_:
            headers["X-On-Behalf-Of"] = as_  # a person's id: the default key must be allowed to act for them
        return headers

    async def _call(
        self, method: str, path: str, *, as_: str, parameters: Mapping[str, str | int], body: Body | None
    ) -> Body:
        pause_s = FIRST_PAUSE_S
        failures = 0
        while True:
            try:
                answer = await self.http.request(
                    method, path, headers=self._headers(as_), params=parameters or None, json=body
                )
            except httpx2.TransportError as error:
                log.info("%s is away (%s); next try in %.1f s", path, type(error).__name__, pause_s)
            else:
                failures += answer.status_code == 500
                if answer.status_code not in BUSY and (answer.status_code != 500 or failures >= TRIES_AFTER_FAILURE):
                    return _read(answer, f"{method} {path}")
                pause_s = max(pause_s, _retry_after_s(answer))
                log.info("%s cannot answer (%d); next try in %.1f s", path, answer.status_code, pause_s)
            await self.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def _retry_after_s(answer: httpx2.Response) -> float:
    given = answer.headers.get("Retry-After", "")
    return min(float(given), LONGEST_PAUSE_S) if given.isdigit() else 0.0


def _read(answer: httpx2.Response, what: str) -> Body:
    try:
        content = answer.json()
    except ValueError:
        content = {"detail": answer.text[:200]}
    if answer.is_success and isinstance(content, dict):
        return content
    raise RefusedError(what, answer.status_code, content if isinstance(content, dict) else {"detail": str(content)})
