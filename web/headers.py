"""Headers of every answer: what a page may load, who may frame it, what is never kept in a cache."""

from collections.abc import Sequence
from functools import cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HTMX_FOLDER = "htmx.org@4.0.1"


def content_security_policy(script_source: str | None) -> str:
    """No inline script or style, nothing from elsewhere; `script_source` is the one outside path for scripts."""
    scripts = "'self'" if script_source is None else f"'self' {script_source}"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class SecurityHeaders:
    """ASGI middleware; a header that a route has set itself stays as it is.

    `asset_base` is where htmx is loaded from (its whole package path is allowed, nothing beside it). Pages behind mail
    links (`/a/…`, `/c/…`) get no script at all.
    """

    def __init__(self, app: ASGIApp, *, asset_base: str, is_https: bool) -> None:
        self._app = app
        self._with_script = content_security_policy(f"{asset_base}/{HTMX_FOLDER}/")
        self._without_script = content_security_policy(None).replace("script-src 'self'", "script-src 'none'")
        self._is_https = is_https
        self._raw = cache(self._made)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = message.setdefault("headers", [])
                there = {name.lower() for name, _ in sent}
                message["headers"] = [*sent, *(one for one in self._defaults(path) if one[0] not in there)]
            await send(message)

        await self._app(scope, receive, with_headers)

    def _defaults(self, path: str) -> Sequence[tuple[bytes, bytes]]:
        return self._raw(path.startswith(("/a/", "/c/")), path.startswith("/static/"))

    def _made(self, is_letter: bool, is_static: bool) -> Sequence[tuple[bytes, bytes]]:  # noqa: FBT001  cached by both
        found = {
            "Content-Security-Policy": self._without_script if is_letter else self._with_script,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "X-Frame-Options": "DENY",
            "Cache-Control": "public, max-age=3600" if is_static else "no-store",
        }
        if self._is_https:
            found["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in found.items()]
