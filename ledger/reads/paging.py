"""Keyset pages: a cursor names the last row seen, so no row is skipped or shown twice when others come or go.

A cursor belongs to one list with one set of filters; anything else is refused as malformed, never guessed at.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy import ColumnElement, or_

from domain.errors import Malformed

DEFAULT_LIMIT = 50
MAX_LIMIT = 500


class Page[T](BaseModel):
    """One page of a list; `next` is the cursor of the following page, None on the last one."""

    items: list[T]
    next: str | None = None


class After(NamedTuple):
    """The sort value (text, number, instant or None) and the id of the last row of the page before."""

    value: str | int | datetime | None
    id: str | int


def fingerprint(name: str, filters: Mapping[str, Any]) -> str:
    """What ties a cursor to its list and filters."""
    text = json.dumps([name, {key: filters[key] for key in sorted(filters)}], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_cursor(mark: str, value: str | int | datetime | None, row_id: str | int) -> str:
    written = ["t", value.isoformat()] if isinstance(value, datetime) else ["v", value]
    text = json.dumps([mark, *written, row_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(
    mark: str, cursor: str | None, *, value_type: type[str | int | datetime], id_type: type[str | int]
) -> After | None:
    """The row after which the page begins. Raises `Malformed` for a cursor of another list, other filters, or none."""
    if cursor is None:
        return None
    refusal = Malformed(
        "The cursor does not belong to this list with these filters. Take `next` from the answer before, "
        "with the same filters, or leave `cursor` out to begin again.",
        pointer="/query/cursor",
    )
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        found_mark, kind, raw, row_id = parts
        value = datetime.fromisoformat(raw) if kind == "t" else raw
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise refusal from error
    fits = value is None or (isinstance(value, value_type) and not isinstance(value, bool))
    if found_mark != mark or not fits or not isinstance(row_id, id_type) or isinstance(row_id, bool):
        raise refusal
    if (isinstance(value, datetime) and value.tzinfo is None) or (isinstance(row_id, int) and abs(row_id) >= 2**63):
        raise refusal
    return After(value, row_id)


def check_limit(limit: int) -> int:
    """Raises `Malformed` unless 1 ≤ limit ≤ 500."""
    if not 1 <= limit <= MAX_LIMIT:
        raise Malformed(f"`limit` must be between 1 and {MAX_LIMIT}.", pointer="/query/limit")
    return limit


def contains(text: str) -> str:
    """A LIKE pattern (escape character `\\`) for rows that contain `text` literally."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def in_states(words: str, state: ColumnElement[str], closed_at: ColumnElement[datetime | None]) -> ColumnElement[bool]:
    """Rows in one of the states named, with commas between; `open` and `closed` stand for all that are not over, or
    are.
    """
    named = [word for word in words.split(",") if word]
    ways = [state.in_(named)]
    if "open" in named:
        ways.append(closed_at.is_(None))
    if "closed" in named:
        ways.append(closed_at.is_not(None))
    return or_(*ways)
