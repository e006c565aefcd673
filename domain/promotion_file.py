"""Promotions in a CSV file: a row for each item or category; rows of one promotion_id are one promotion.

What a promotion says of itself stands in its first row; in further ones these cells are empty, or say the same. Lists
are parted by semicolons. `value` is thousandths off for the offer *percent*, minor units for *amount* and *price*,
`2+1` for *buy_get*.
"""

import csv
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from domain.promotions import NewPromotion
from domain.texts import as_kept

HEAD = (
    "name", "offer", "value", "channels", "locations", "starts_at", "ends_at", "stacking", "entity",
    "margin_floor_permille", "agreement_id", "requested_by", "submit",
)  # fmt: skip
LINE = ("sku", "category", "forecast_units")
NEEDED = ("promotion_id", "name", "offer", "value", "channels", "locations", "starts_at", "ends_at", "forecast_units")
MAX_DIGITS = 18  # of a number, which a database holds
_VALUES = {"percent": "off_permille", "amount": "off_minor", "price": "price_minor"}


class Refused(NamedTuple):
    """Why a promotion of a file is not taken; `line` counts the lines of the file, the header being 1."""

    line: int
    promotion_id: str
    reason: str


class Read(NamedTuple):
    """A promotion of a file, and the line on which it begins."""

    line: int
    promotion: NewPromotion


class FileBroken(ValueError):
    """The header is not that of promotions, or a line is no CSV; the text names the column or the line."""


def read(text: str) -> tuple[list[Read], list[Refused]]:
    """The promotions of a file, and what was wrong with the others. Raises `FileBroken`."""
    rows = csv.reader(as_kept(text.removeprefix("\ufeff")).splitlines())
    try:
        return _read(rows)
    except csv.Error as error:
        raise FileBroken(f"line {rows.line_num} is no CSV ({error})") from error


def _read(rows: Any) -> tuple[list[Read], list[Refused]]:
    header = [name.strip() for name in next(rows, [])]
    _check_header(header)
    grouped: dict[str, list[tuple[int, dict[str, str]]]] = {}
    refused: list[Refused] = []
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        if len(cells) != len(header):
            reason = f"{len(cells)} cells under {len(header)} columns; quote texts that hold commas"
            refused.append(Refused(rows.line_num, row.get("promotion_id", ""), reason))
        elif not row["promotion_id"]:
            refused.append(Refused(rows.line_num, "", "promotion_id is empty"))
        else:
            grouped.setdefault(row["promotion_id"], []).append((rows.line_num, row))
    broken = {one.promotion_id for one in refused}  # a promotion that lost a line is another one
    found: list[Read] = []
    for promotion_id, some in grouped.items():
        if promotion_id not in broken:
            taken = _promotion(promotion_id, some)
            if isinstance(taken, Refused):
                refused.append(taken)
            else:
                found.append(taken)
    return found, sorted(refused)


def _check_header(header: list[str]) -> None:
    for name in NEEDED:
        if name not in header:
            raise FileBroken(f"the column {name} is missing")
    for name in header:
        if name not in ("promotion_id", *HEAD, *LINE):
            raise FileBroken(f"there is no column {name}")
        if header.count(name) > 1:
            raise FileBroken(f"the column {name} stands twice")


def _promotion(promotion_id: str, rows: list[tuple[int, dict[str, str]]]) -> Read | Refused:
    line = rows[0][0]
    if differs := _differs(rows):
        return Refused(line, promotion_id, differs)
    try:
        return Read(line, NewPromotion.model_validate(_body(promotion_id, rows)))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        return Refused(line, promotion_id, f"{where}: {problem['msg']}" if where else problem["msg"])


def _differs(rows: list[tuple[int, dict[str, str]]]) -> str | None:
    first = rows[0][1]
    for line, row in rows[1:]:
        for name in HEAD:
            if row.get(name) and row[name] != first.get(name, ""):
                return f"line {line} says another {name} than the first one of this promotion"
    return None


def _body(promotion_id: str, rows: list[tuple[int, dict[str, str]]]) -> dict[str, Any]:
    first = rows[0][1]
    body: dict[str, Any] = {"promotion_id": promotion_id, "offer": _offer(first)}
    body["lines"] = [
        {
            **{name: row[name] for name in ("sku", "category") if row.get(name)},
            "forecast_units": _number(row["forecast_units"]),
        }
        for _, row in rows
    ]
    body["channels"] = _parts(first["channels"])
    body["locations"] = "all" if first["locations"] == "all" else _parts(first["locations"])
    for name in ("name", "starts_at", "ends_at", "stacking", "entity", "agreement_id", "requested_by"):
        if first.get(name):
            body[name] = first[name]
    if first.get("margin_floor_permille"):
        body["margin_floor_permille"] = _number(first["margin_floor_permille"])
    if first.get("submit"):
        body["submit"] = first["submit"]
    return body


def _offer(row: Mapping[str, str]) -> dict[str, Any]:
    kind, value = row["offer"], row["value"]
    if kind == "buy_get":
        buy, _, get = value.partition("+")
        return {"kind": kind, "buy": _number(buy), "get": _number(get)}
    return {"kind": kind, _VALUES.get(kind, "value"): _number(value)}


def _number(cell: str) -> int | str:
    """The number; what is none is left for the model to refuse."""
    return int(cell) if cell.isascii() and cell.removeprefix("-").isdecimal() and len(cell) <= MAX_DIGITS else cell


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]
