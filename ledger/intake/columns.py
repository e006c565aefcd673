"""Many rows as parameters of one statement: a column each, most of them as one text.

The driver needs half a microsecond for each value of an array, and a fifteenth of it for a text that PostgreSQL takes
apart. Texts are joined by a control character that no checked text holds; numbers are an array's text. Instants stay
arrays: PostgreSQL is slow at reading them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# A column's kind: "text" and "text or null", any PostgreSQL type of numbers, or "timestamptz".
type Shape = Mapping[str, str]
type Row = tuple[Any, ...]

SEPARATOR, NOTHING = "\x1f", "\x1e"
_NUMBERS = frozenset({"int", "bigint", "boolean"})


class UnspeakableText(ValueError):
    """A text holds the character that parts texts; checked input never does."""


def array(kind: str, number: int) -> str:
    """SQL for parameter `number` as an array."""
    if kind == "timestamptz":
        return f"${number}::timestamptz[]"
    if kind in _NUMBERS:
        return f"${number}::text::{kind}[]"
    # Each text ends with the separator, so that one empty text is a row; no row at all is NULL.
    return f"trim_array(string_to_array(${number}::text, chr(31), chr(30)), 1)"


def given(shape: Shape, first: int) -> str:
    """`unnest` of a shape's columns, which are the parameters from number `first` on."""
    arrays = ", ".join(array(kind, number) for number, kind in enumerate(shape.values(), first))
    return f"unnest({arrays}) AS given({', '.join(shape)})"


def packed(shape: Shape, rows: Sequence[Row]) -> list[Any]:
    """The parameters for rows of a shape. Raises `UnspeakableText`."""
    if not rows:
        return [[] if kind == "timestamptz" else "{}" if kind in _NUMBERS else None for kind in shape.values()]
    columns = zip(*rows, strict=True)
    return [_packed(kind, column) for kind, column in zip(shape.values(), columns, strict=True)]


def _packed(kind: str, column: Row) -> Any:
    if kind == "timestamptz":
        return column
    if kind in _NUMBERS:
        return "{" + ",".join(map(str, column)) + "}"
    if kind == "text or null":
        column = tuple([NOTHING if value is None else value for value in column])
    joined = SEPARATOR.join(column) + SEPARATOR
    if joined.count(SEPARATOR) != len(column):
        raise UnspeakableText("A text holds the control character U+001F, which cannot be recorded; leave it out.")
    return joined
