"""Calls an endpoint that somebody else has named: signed, in bounded time, and never into a network of ours.

A name is resolved once for each call, every address is checked, and the connection goes to the address that was
checked; no redirect is followed and no body is read. Endcap's own records are not touched here.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import httpx2
from standardwebhooks.webhooks import Webhook

from domain.addresses import check_url, why_not
from domain.errors import Malformed
from ports.guarded import AddressRefusedError, Resolve, checked_address, resolve

TIMEOUT_S = 15.0
CONNECT_TIMEOUT_S = 5.0


class Call(NamedTuple):
    """A message for one endpoint. `secrets` (`whsec_…`) sign it, one signature each."""

    url: str
    message_id: str
    at: datetime
    body: str
    secrets: Sequence[str]


class Answer(NamedTuple):
    """`status` of the answer, or why there was none. `retry_after_s`: what the endpoint asked for, in seconds."""

    status: int | None
    error: str | None
    ms: int
    retry_after_s: int | None = None

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def signatures(call: Call) -> str:
    """`v1,… v1,…`: one signature for each secret, after Standard Webhooks."""
    return " ".join(Webhook(secret).sign(call.message_id, call.at, call.body) for secret in call.secrets)


class WebhookCaller:
    """`allow_local` (development) lets http and this machine pass, nothing else."""

    def __init__(
        self,
        *,
        allow_local: bool = False,
        timeout_s: float = TIMEOUT_S,
        resolver: Resolve = resolve,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._allow_local = allow_local
        self._why_not = partial(why_not, allow_loopback=allow_local)
        self._timeout_s = timeout_s
        self._resolve = resolver
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            # A kept connection belongs to an address, not to the name whose certificate was checked.
            limits=httpx2.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,  # a proxy would resolve the name again, by itself
            transport=transport,
        )

    async def call(self, call: Call) -> Answer:
        """Send once. Whatever goes wrong is in the answer."""
        began = time.monotonic()
        status, error, retry_after_s = None, None, None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, retry_after_s = await self._send(call)
        except AddressRefusedError as refusal:
            error = str(refusal)
        except TimeoutError:
            error = f"no answer within {self._timeout_s:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
            error = f"no answer: {type(failure).__name__}"
        except OSError:
            error = "its name cannot be resolved"
        return Answer(status, error, round((time.monotonic() - began) * 1000), retry_after_s)

    async def _send(self, call: Call) -> tuple[int, int | None]:
        try:
            check_url(call.url, allow_local=self._allow_local)
        except Malformed as refusal:
            raise AddressRefusedError(refusal.detail) from None
        url = httpx2.URL(call.url)
        host = url.raw_host.decode("ascii")  # as it was written, never as letters that a resolver folds into others
        address = await checked_address(
            host, url.port or (443 if url.scheme == "https" else 80), self._why_not, self._resolve
        )
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "Endcap-Webhooks/1",
            "webhook-id": call.message_id,
            "webhook-timestamp": str(int(call.at.timestamp())),
            "webhook-signature": signatures(call),
        }
        async with self._client.stream(
            "POST",
            url.copy_with(host=address),
            headers=headers,
            content=call.body.encode(),
            extensions={"sni_hostname": host},
        ) as answer:
            return answer.status_code, _seconds(answer.headers.get("Retry-After"))

    async def aclose(self) -> None:
        await self._client.aclose()


def _seconds(text: str | None) -> int | None:
    """`Retry-After` in seconds; a date or nonsense is left out."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 8 else None
