"""Refuses what another site makes a browser send: the rules of Go 1.25's CrossOriginProtection, without tokens.

Requests with a bearer key are no browser's doing and pass; whoever holds the key may act anyhow.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from web.errors import problem, respond

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def origin_of(url: str) -> str:
    """`https://console.example` from any address below it; default ports are left out, as browsers do."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    return f"{parts.scheme}://{parts.hostname}{port}".lower()


def is_refused(method: str, headers: Headers, trusted: frozenset[str]) -> bool:
    """Whether a request comes from another site.

    Order: safe methods pass; `Sec-Fetch-Site` decides where a browser sends it; else `Origin` must be this host's or a
    trusted one; a request with neither is from no browser of the last years, and passes.
    """
    if method in SAFE_METHODS:
        return False
    origin = headers.get("origin", "").lower()
    site = headers.get("sec-fetch-site", "").lower()
    if site in {"same-origin", "none"}:
        return False
    if not site and not origin:
        return False
    if origin in trusted:
        return False
    return bool(site) or origin == "null" or _host_of(origin) != headers.get("host", "").lower()


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None for what is no address, which no browser sends."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


class CrossOriginProtection:
    """ASGI middleware. `trusted` are origins (scheme, host, port) that may post here beside the host itself."""

    def __init__(self, app: ASGIApp, *, trusted: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            has_key = headers.get("authorization", "").lower().startswith("bearer ")
            if not has_key and is_refused(scope["method"], headers, self._trusted):
                detail = "This came from another site. Open the page here and send the form from it."
                found = problem(403, "cross_origin", detail, scope["path"])
                response = await respond(Request(scope, receive), found)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
