"""Carriers that are asked where a parcel is: one port, and an adapter over HTTP that serves as a sample for others.

The HTTP contract: `GET {url}/parcels/{tracking}?carrier=…` with `Authorization: Bearer <key>`. Answers: 200 with
`{"status", "expected_at", "at"}` (`status` one of `domain.tracking.PARCEL_STATES`, instants in RFC 3339; the last two
may be left out) is news; 404 means that there is no such parcel (yet); anything else, or no answer in time, is no
answer, and the parcel is asked about again later.
"""

from datetime import datetime
from typing import Any, NamedTuple, Protocol, get_args
from urllib.parse import quote

import httpx2

from domain.tracking import ParcelState
from ports import bounded

ANSWER_TIMEOUT_S = 10.0
MOST_BYTES = 100_000
STATES: tuple[str, ...] = get_args(ParcelState)


class TrackingAwayError(Exception):
    """The carrier cannot be reached, or what it answers cannot be understood: asking later may help."""


class News(NamedTuple):
    """Where a parcel is, when it comes, and as of when the carrier says so."""

    status: ParcelState
    expected_at: datetime | None
    at: datetime | None


class TrackingPort(Protocol):
    """What Endcap needs of whoever knows where parcels are."""

    async def ask(self, tracking: str, carrier: str | None) -> News | None:
        """The latest news; None where there is no such parcel. Raises `TrackingAwayError`."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


class HttpTracking:
    """A carrier, or a service that speaks to several, behind the HTTP contract above."""

    def __init__(self, url: str, key: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._client = httpx2.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=httpx2.Timeout(timeout_s),
            follow_redirects=False,  # a redirect could carry the key to somebody else
        )

    async def ask(self, tracking: str, carrier: str | None) -> News | None:
        # Dots would be taken for a way up.
        segment = quote(tracking, safe="").replace(".", "%2E")
        asked = {"carrier": carrier} if carrier else None
        try:
            answer = await bounded.ask(self._client, "GET", f"parcels/{segment}", params=asked, most_bytes=MOST_BYTES)
        except httpx2.HTTPError as error:
            raise TrackingAwayError(f"no answer: {type(error).__name__}") from error
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise TrackingAwayError(f"answered {answer.status_code}")
        return _news(answer)

    async def aclose(self) -> None:
        await self._client.aclose()


def _news(answer: httpx2.Response) -> News:
    """Raises `TrackingAwayError`, naming what is not understood."""
    try:
        body = bounded.json_of(answer)
    except ValueError as error:
        raise TrackingAwayError("answered with something that is no JSON") from error
    if not isinstance(body, dict) or body.get("status") not in STATES:
        raise TrackingAwayError(f"its status is none of {', '.join(STATES)}")
    return News(body["status"], _instant(body, "expected_at"), _instant(body, "at"))


def _instant(body: dict[str, Any], name: str) -> datetime | None:
    given = body.get(name)
    if given is None:
        return None
    found = bounded.instant_of(given)
    if found is None:
        raise TrackingAwayError(f"its {name} is no instant with a time zone")
    return found
