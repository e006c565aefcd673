"""What may come in at all: sizes, content types, and JSON that means one thing only.

It refuses before any route runs, says what to do about it, and changes nothing but the normal form of texts
(`domain.letters`).
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.letters import is_settled, settled
from web.bodies import Bodies, Body
from web.errors import FieldError, WebError, answer, problem

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
MAX_DIGITS = 19
MAX_URL_BYTES = 8_000
MAX_KEY_WORDS = 60
FORM = b"application/x-www-form-urlencoded"
BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
BEYOND_ASCII = re.compile(rb"[\x80-\xff]|%[89A-Fa-f][0-9A-Fa-f]")
CONTROL_IN_URL = re.compile(r"[\x00-\x1f\x7f]")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = _first_twice(name for name, _ in pairs)[:MAX_KEY_WORDS]
        raise _bad("duplicate_key", f"The key {json.dumps(twice)} comes twice in one object. Send each key once.")
    return found


def _first_twice(names: Iterable[str]) -> str:
    """The first name that comes again, found in one pass: there may be hundreds of thousands, and all requests wait."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("each name comes once")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS or abs(int(digits)) > MAX_INTEGER:
        raise _bad("number_too_large", f"An integer is beyond {MAX_INTEGER}. Send a smaller one.")
    return int(digits)


def _decimal(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _bad("number_too_large", "A number is too large to be held. Send a smaller one.")
    return value


def _no_constant(word: str) -> Any:
    raise _bad("not_a_number", f"{word} is no JSON value. Send a number or null.")


def _bad(code: str, detail: str, pointer: str = "") -> WebError:
    return WebError(422, code, detail, errors=[FieldError(pointer=pointer, code=code, detail=detail)])


_carefully = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_int=_integer, parse_float=_decimal, parse_constant=_no_constant
)

# Without a callback for each integer, for bodies in which none can be too large.
_quickly = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_float=_decimal, parse_constant=_no_constant)
_MANY_DIGITS = re.compile(rb"[0-9]{%d}" % MAX_DIGITS)


def checked_json(body: bytes) -> bytes:
    """The same document with its texts as they are kept (`domain.letters`). Raises `WebError` (422) that says what is
    wrong and where.

    Refused are: what is not UTF-8 or not JSON, keys that come twice, NaN and infinities, integers beyond 64 bits, more
    than 32 levels, lone surrogates, the character U+0000 and runs of more than 30 combining marks.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("bad_encoding", f"Byte {error.start} is not UTF-8. Send the body as UTF-8.") from error
    try:
        decoder = _carefully if _MANY_DIGITS.search(body) else _quickly
        document, end = decoder.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        detail = f"The body is not JSON: {error.msg} at {where}. Correct it and send it again."
        raise _bad("bad_json", detail) from error
    except RecursionError as error:
        raise _too_deep() from error
    if text[end:].strip(" \t\r\n"):
        raise _bad("bad_json", "Something follows the JSON document. Send one document.")
    if not _is_plain(body) and _walk(document):
        return json.dumps(_normal(document), ensure_ascii=False).encode()
    return body


def _is_plain(body: bytes) -> bool:
    """Whether nothing is left to look for: no character beyond ASCII, none escaped by its number, and too few brackets
    to be nested too deep.
    """
    return body.isascii() and b"\\u" not in body and body.count(b"[") + body.count(b"{") <= MAX_DEPTH


def _too_deep() -> WebError:
    return _bad("too_deep", f"The document is nested more than {MAX_DEPTH} levels deep. Send a flatter one.")


def _walk(document: Any) -> bool:
    """Check every text and the depth; returns whether a text is not as it is kept. Iterative: depth costs no stack."""
    changes = False
    pending: list[tuple[Any, int]] = [(document, 1)]
    while pending:
        value, depth = pending.pop()
        if isinstance(value, str):
            changes |= not _is_settled(value)
        elif isinstance(value, dict):
            for name in value:
                changes |= not _is_settled(name)
            pending.extend((below, depth + 1) for below in value.values())
        elif isinstance(value, list):
            pending.extend((below, depth + 1) for below in value)
        else:
            continue
        if depth > MAX_DEPTH and not isinstance(value, str):
            raise _too_deep()
    return changes


def _is_settled(text: str) -> bool:
    try:
        return is_settled(text)
    except ValueError as error:
        raise _bad("bad_character", str(error)) from error


def _settled(text: str) -> str:
    try:
        return settled(text)
    except ValueError as error:
        raise _bad("bad_character", str(error)) from error


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        return settled(value)
    if isinstance(value, dict):
        return _no_duplicates([(settled(name), _normal(below)) for name, below in value.items()])
    if isinstance(value, list):
        return [_normal(below) for below in value]
    return value


def settled_form(body: bytes) -> bytes:
    """Names and values of a form or a query, each as it is kept. Raises `WebError` (422) for what no text may hold.

    What is not UTF-8 is replaced, as it is for whoever reads the form.
    """
    if not body.count(b"%00") and not BEYOND_ASCII.search(body):
        return body
    return b"&".join(b"=".join(_settled_part(part) for part in field.split(b"=", 1)) for field in body.split(b"&"))


def _settled_part(part: bytes) -> bytes:
    text = unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace")
    return part if _is_settled(text) else quote_plus(settled(text)).encode()


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
        with self._bodies.one() as held:
            try:
                _check_address(scope)
                body = await self._body(scope, receive, held)
            except WebError as error:
                found = problem(error.status, error.code, error.detail, _shown(scope["path"]), error.errors)
                await answer(found, error.headers)(scope, receive, send)
                return
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive, held: Body) -> bytes | None:
        """The whole body, checked; None when the client went away. Raises `WebError`."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
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
        scope["path"], scope["query_string"] = _settled(scope["path"]), settled_form(query)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
