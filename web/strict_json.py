"""JSON that means one thing only, whoever reads it.

Nearly every body is in order, so a quick look comes first: it reads the document once, by a reader that is written in
another language, and counts. What it cannot vouch for is read again with care, and refused by name.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from domain.texts import is_settled, settled
from web.errors import FieldError, WebError

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1
MAX_DIGITS = 19
MAX_KEY_WORDS = 60


def checked_json(body: bytes) -> bytes:
    """The same document with its texts as they are kept (`domain.texts`). Raises `WebError` (422) that says what is
    wrong and where.

    Refused are: what is not UTF-8 or not JSON, keys that come twice, NaN and infinities, integers beyond 64 bits, more
    than 32 levels, lone surrogates, the character U+0000 and runs of more than 30 combining marks.
    """
    return body if is_sound(body) else carefully_checked(body)


# ---------------------------------------------------------------- the quick look
# All digits are one, and white space and the plus of an exponent are gone: so a few searches see what needs care.
_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
_LEFT_OUT = b" \t\r\n+"
_LONG_FIGURE = b"0" * MAX_DIGITS
_LARGE_EXPONENT = re.compile(rb"e000+(?:[,\]}]|$)")


def is_sound(body: bytes) -> bool:
    """Whether a quick look is enough to know that a body may pass as it is; what it is not sure of may still be right.

    No key comes twice where as many keys are found as there are colons behind a quotation mark: each key that was
    sent has such a colon, and texts can only add to them.
    """
    bare = body.translate(_ALIKE, _LEFT_OUT)
    if _LONG_FIGURE in bare or (b"e000" in bare and _LARGE_EXPONENT.search(bare)):
        return False
    try:
        if not body.isascii() and not is_settled(body.decode()):
            return False
        document = from_json(body, allow_inf_nan=False)
        if b"\\u" in body and _walk(document):
            return False
    except (ValueError, WebError):
        return False
    return _keys(document) == bare.count(b'":')


def _keys(document: Any) -> int:
    """How many keys a document has, in all its objects; -1 where it is too deep."""
    keys = depth = 0
    level = [document] if isinstance(document, dict | list) else []
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            return -1
        below: list[Any] = []
        for value in level:
            if type(value) is dict:
                keys += len(value)
                inside: Iterable[Any] = value.values()
            else:
                inside = value
            below += [one for one in inside if type(one) is dict or type(one) is list]
        level = below
    return keys


# ---------------------------------------------------------------- with care
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


_decoder = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_int=_integer, parse_float=_decimal, parse_constant=_no_constant
)


def carefully_checked(body: bytes) -> bytes:
    """As `checked_json`, of any body: slower, and with words for whatever is wrong."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("bad_encoding", f"Byte {error.start} is not UTF-8. Send the body as UTF-8.") from error
    try:
        document, end = _decoder.raw_decode(text, len(text) - len(text.lstrip(" \t\r\n")))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        detail = f"The body is not JSON: {error.msg} at {where}. Correct it and send it again."
        raise _bad("bad_json", detail) from error
    except RecursionError as error:
        raise _too_deep() from error
    if text[end:].strip(" \t\r\n"):
        raise _bad("bad_json", "Something follows the JSON document. Send one document.")
    return json.dumps(_normal(document), ensure_ascii=False).encode() if _walk(document) else body


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


def settled_text(text: str) -> str:
    """The text as it is kept. Raises `WebError` (422) for what no text may hold."""
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
