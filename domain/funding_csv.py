"""Funding agreements and vendors' answers as files: a row each, read into the same shapes as JSON brings.

A column that is not known is refused by name; so is a row, with its number in the file (the heading is row 1).
"""

import csv
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from domain.claims import AnsweredLine
from domain.errors import Malformed
from domain.funding import NewAgreement
from domain.texts import as_kept

MAX_ROWS = 5_000
_WHOLE = re.compile(r"-?[0-9]{1,18}")  # which a database holds
_PLAIN = (
    "number", "entity", "office", "vendor", "vendor_name", "claims_email", "signed_on", "document", "starts_at",
    "ends_at", "currency", "claim_every_days", "claim_window_days",
)  # fmt: skip
_LISTS = ("skus", "promotions")  # codes with a space between them
_TERMS = ("kind", "rate_minor", "permille", "base", "cap_minor", "amount_minor", "expected_units", "tiers")
_NUMBERS = frozenset(
    {"claim_every_days", "claim_window_days", "rate_minor", "permille", "cap_minor", "amount_minor", "expected_units",
     "accepted_minor"}
)  # fmt: skip
COLUMNS = (*_PLAIN, *_LISTS, *_TERMS)
# What a claim's own file has beside what the vendor fills in; a vendor sends it back as it is.
ANSWER_COLUMNS = (
    "claim", "line_id", "promotion", "sku", "item", "units", "claimed_minor", "currency", "accepted_minor", "reason",
)  # fmt: skip


def _rows(text: str, known: tuple[str, ...], needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Raises `Malformed` for a heading, or a number of rows, that does not fit."""
    reader = csv.DictReader(as_kept(text.lstrip("\ufeff")).splitlines(), strict=True)
    try:
        heading = [name.strip() for name in reader.fieldnames or ()]
        unknown = [name for name in heading if name not in known]
        if unknown:
            raise Malformed(
                f"There is no column {unknown[0][:40] or '(without a name)'}; known are {', '.join(known)}.",
                pointer="/csv",
            )
        if twice := next((name for name in heading if heading.count(name) > 1), None):
            raise Malformed(f"The column {twice} stands twice.", pointer="/csv")
        lacking = [name for name in needed if name not in heading]
        if lacking:
            raise Malformed(f"The column {lacking[0]} is missing.", pointer="/csv")
        rows = []
        for number, row in enumerate(reader, start=2):
            if None in row or None in row.values():
                raise Malformed(f"Row {number} has not as many cells as the heading.", pointer=f"/csv/{number}")
            rows.append({name.strip(): cell.strip().removeprefix("'") for name, cell in row.items()})
    except csv.Error as error:
        raise Malformed(f"The file is no CSV: {error}.", pointer="/csv") from error
    if not rows or len(rows) > MAX_ROWS:
        raise Malformed(f"A file has 1 to {MAX_ROWS} rows; this one has {len(rows)}.", pointer="/csv")
    return rows


def _number(row: Mapping[str, str], name: str, at: int) -> int | None:
    cell = row.get(name, "")
    if not cell:
        return None
    if not _WHOLE.fullmatch(cell):
        raise Malformed(f"Row {at}: {name} is a whole number, not {cell[:40]}.", pointer=f"/csv/{at}/{name}")
    return int(cell)


def agreements(text: str) -> list[tuple[int, NewAgreement | Malformed]]:
    """(row number, the agreement or what is wrong with it). `tiers` is written `11:60 21:75`: from unit 11 on 60."""
    found: list[tuple[int, NewAgreement | Malformed]] = []
    for number, row in enumerate(_rows(text, COLUMNS, ("number", "kind")), start=2):
        try:
            found.append((number, _agreement(row, number)))
        except Malformed as refusal:
            found.append((number, refusal))
    return found


def _agreement(row: Mapping[str, str], number: int) -> NewAgreement:
    values: dict[str, Any] = {}
    for name in (*_PLAIN, *_TERMS):
        value: Any = _number(row, name, number) if name in _NUMBERS else row.get(name) or None
        if value is not None and name != "tiers":
            values[name] = value
    terms = {name: values.pop(name) for name in _TERMS if name in values}
    rate = "permille" if terms.get("kind") == "percent" else "rate_minor"
    if row.get("tiers"):
        terms["tiers"] = [_tier(part, rate, number) for part in row["tiers"].split()]
    values |= {name: row[name].split() for name in _LISTS if row.get(name)}
    try:
        return NewAgreement.model_validate(values | {"terms": terms})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "row"
        raise Malformed(f"Row {number}: {where}: {first['msg']}.", pointer=f"/csv/{number}") from error


def _tier(text: str, rate: str, number: int) -> dict[str, int]:
    start, _, value = text.partition(":")
    if not (_WHOLE.fullmatch(start) and _WHOLE.fullmatch(value)):
        raise Malformed(
            f"Row {number}: a tier is written from-unit:amount, as 11:60, not {text[:40]}.",
            pointer=f"/csv/{number}/tiers",
        )
    return {"from_units": int(start), rate: int(value)}


def claims_of(text: str) -> set[str]:
    """The claims that the rows of an answer name, where they name any. Raises `Malformed`."""
    rows = _rows(text, ANSWER_COLUMNS, ("line_id", "accepted_minor"))
    return {row["claim"] for row in rows if row.get("claim")}


def answers(text: str) -> list[AnsweredLine]:
    """The lines of a vendor's answer; one without `accepted_minor` has no answer. Raises `Malformed`."""
    lines = []
    for number, row in enumerate(_rows(text, ANSWER_COLUMNS, ("line_id", "accepted_minor")), start=2):
        accepted = _number(row, "accepted_minor", number)
        if accepted is None:
            continue
        try:
            lines.append(AnsweredLine(line_id=row["line_id"], accepted_minor=accepted, reason=row.get("reason", "")))
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise Malformed(f"Row {number}: {said}.", pointer=f"/csv/{number}") from error
    if not lines:
        raise Malformed("No row has an accepted_minor; fill in what is accepted, 0 for nothing.", pointer="/csv")
    return lines
