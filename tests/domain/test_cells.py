"""Texts of others in tables that a spreadsheet opens."""

import csv
import io

import pytest

from domain.cells import defused


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
)
def test_what_would_be_a_formula_stays_a_text(text: str) -> None:
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "12", "tea = green", " =1", "'=1", "a-b"])
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


def test_in_quotes_a_semicolon_begins_no_cell() -> None:
    """Where a comma is the decimal mark, spreadsheets part cells by semicolons."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerow([defused("tea;=1+1"), "x"])
    assert next(csv.reader([out.getvalue()], delimiter=";")) == ['tea;=1+1,"x"']
