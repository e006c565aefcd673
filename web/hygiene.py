"""What may come in at all: sizes, content types, and JSON that means one thing only.

It refuses before any route runs, says what to do about it, and changes nothing but the normal form of texts
(`domain.texts`).
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote_plus, unquote_to_bytes

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.bodies import Bodies, Body
from web.errors import WebError, problem, respond
from web.strict_json import checked_json, settled_text

MAX_URL_BYTES = 8_000
# By one of these a request says that it has a body (RFC 9112, 6). Without either, what only reads is not asked for one.
_ANNOUNCES = frozenset({b"content-length", b"transfer-encoding"})
_READS = frozenset({"GET", "HEAD"})
FORM = b"application/x-www-form-urlencoded"
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
BEYOND_ASCII = re.compile(rb"[\x80-\xff]|%[89A-Fa-f][0-9A-Fa-f]")
CONTROL_IN_URL = re.compile(r"[\x00-\x1f\x7f]")


def settled_form(body: bytes) -> bytes:
    """Names and values of a form or a query, each as it is kept. Raises `WebError` (422) for what no text may hold.

    What is not UTF-8 is replaced, as it is for whoever reads the form.
    """
    if not body.count(b"%00") and not BEYOND_ASCII.search(body):
        return body
    return b"&".join(b"=".join(_settled_part(part) for part in field.split(b"=", 1)) for field in body.split(b"&"))


def _settled_part(part: bytes) -> bytes:
    text = unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace")
    kept = settled_text(text)
    return part if kept == text else quote_plus(kept).encode()


class Hygiene:
    """ASGI middleware: the address is checked for every request, size for every body, JSON for those of the API."""

    def __init__(self, app: ASGIApp, *, most_bytes: Callable[[str], int], bodies: Bodies | None = None) -> None:
        """`most_bytes` says how large a body may be by the path that it is sent to."""
        self._app = app
        self._most_bytes = most_bytes
        self._bodies = bodies or Bodies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_address(scope)
        except WebError as error:
            await _refused(scope, receive, send, error)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] in _READS and _ANNOUNCES.isdisjoint(headers):
            await self._app(scope, receive, send)
            return
        with self._bodies.one() as held:
            try:
                body = await self._body(scope, headers, receive, held)
            except WebError as error:
                await _refused(scope, receive, send, error)
                return
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    async def _body(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, held: Body) -> bytes | None:
        """The whole body, checked; None when the client went away. Raises `WebError`."""
        length, most = headers.get(b"content-length", b"0"), self._most_bytes(scope["path"])
        if not length.isdigit() or int(length) > most:
            raise _too_large(most)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise WebError(415, "unsupported_encoding", "Send the body uncompressed, without Content-Encoding.")
        body = held.content
        while True:
            message = await held.part(receive)
            if message["type"] == "http.disconnect":
                return None
            if len(body) > most:
                raise _too_large(most)
            if not message.get("more_body", False):
                break
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if not body or not scope["path"].startswith("/api/"):
            return settled_form(bytes(body)) if kind == FORM else bytes(body)
        if kind != b"application/json" and not kind.endswith(b"+json"):
            raise WebError(415, "unsupported_media_type", "Send the body as JSON with Content-Type: application/json.")
        return checked_json(bytes(body))


async def _refused(scope: Scope, receive: Receive, send: Send, error: WebError) -> None:
    found = problem(error.status, error.code, error.detail, _shown(scope["path"]), error.errors)
    response = await respond(Request(scope, receive), found, error.headers)
    await response(scope, receive, send)


def _too_large(most: int) -> WebError:
    detail = f"The body is larger than {most} bytes. Send less at a time."
    # The connection stays open: the server reads the rest and throws it away, so the client sees this answer
    # instead of a reset in the middle of its sending.
    return WebError(413, "body_too_large", detail)


def _shown(path: str) -> str:
    return CONTROL_IN_URL.sub("?", path).encode("utf-8", "replace").decode()[:200]


def _check_address(scope: Scope) -> None:
    """Raises `WebError`; what was numbered in one normal form is found by the other as well."""
    query: bytes = scope.get("query_string", b"")
    raw: bytes = scope.get("raw_path") or b""
    if len(query) + len(raw) > MAX_URL_BYTES:
        raise WebError(414, "address_too_long", f"The address is longer than {MAX_URL_BYTES} bytes.")
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), query)
    try:
        text = scope["path"] + decoded.decode("utf-8")
        text.encode("utf-8")
    except UnicodeError as error:
        raise WebError(422, "bad_character", "The address holds bytes that are not UTF-8.") from error
    if CONTROL_IN_URL.search(text) or BAD_ESCAPE.search(query):
        raise WebError(422, "bad_character", "The address holds a control character or a broken %-escape.")
    if not text.isascii():
        scope["path"], scope["query_string"] = settled_text(scope["path"]), settled_form(query)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
