"""What a vendor gets on paper: the same claim gives the same bytes, and no cell is a formula."""

import csv
import io
import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from domain.claims import ClaimView, Proof
from ports.claim_paper import LOST, ROWS_ON_FIRST, ROWS_ON_NEXT, document_pdf, lines_csv, proof_csv

SAMPLE: Any = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "mails.py"), run_name="looking")["claim"]
NAMES = {"TEA-1": "Green tea", "TEA-2": "Thé (noir) \\ Ω"}


def many(lines: int) -> ClaimView:
    first = SAMPLE().lines[0]
    return SAMPLE(lines=[first.model_copy(update={"line_id": str(number)}) for number in range(1, lines + 1)])  # type: ignore[no-any-return]


def test_the_same_claim_gives_the_same_bytes() -> None:
    one, other = (document_pdf(SAMPLE(), NAMES, sender="Shop GmbH") for _ in range(2))
    assert one == other
    assert one.startswith(b"%PDF-1.7")
    assert one.rstrip().endswith(b"%%EOF")


def test_a_document_says_who_what_and_how_much() -> None:
    paper = document_pdf(SAMPLE(), NAMES, sender="Shop GmbH")
    for shown in (b"From: Shop GmbH", b"Agreement: A-17, A-17.pdf", b"Amount: 312.00 EUR", b"Green tea", b"62.00 EUR"):
        assert shown in paper


def test_signs_that_mean_something_in_a_pdf_stand_as_they_are_and_unknown_letters_as_a_question_mark() -> None:
    paper = document_pdf(SAMPLE(), NAMES, sender="A) Tj (B")
    assert b"From: A\\) Tj \\(B" in paper
    assert "Thé \\(noir\\) \\\\ ?".encode("cp1252") in paper
    assert LOST.encode() in paper


def test_letters_of_neighbours_lose_their_mark_and_nothing_is_lost_of_western_ones() -> None:
    paper = document_pdf(SAMPLE(), {"TEA-1": "Čaj žlutý ł", "TEA-2": "Œuf à 5 € ?"}, sender="Łódź Dağ")
    assert b"From: L\xf3dz Dag" in paper  # ó is a western letter, ź is not
    assert "Caj žlutý l".encode("cp1252") in paper
    assert "Œuf à 5 € ?".encode("cp1252") in paper  # a question mark of its own is none of ours
    assert LOST.encode() not in paper


def test_what_was_lost_on_an_early_page_is_said_on_the_last() -> None:
    paper = document_pdf(many(ROWS_ON_FIRST + 1), NAMES, sender="茶行")
    assert b"From: ??" in paper
    assert paper.count(LOST.encode()) == 1


def test_a_claim_that_gives_money_back_is_a_credit_note() -> None:
    paper = document_pdf(SAMPLE(amount_minor=-700), NAMES, sender="Shop")
    assert b"Credit note A-17-2" in paper


def test_many_lines_go_on_on_further_pages_and_none_is_lost() -> None:
    lines = ROWS_ON_FIRST + 2 * ROWS_ON_NEXT + 1
    paper = document_pdf(many(lines), NAMES, sender="Shop")
    assert b"/Count 4" in paper
    assert b"page 4 of 4" in paper
    assert paper.count(b"Green tea") == lines


def test_lines_are_a_table_that_the_vendor_fills_in() -> None:
    rows = list(csv.reader(io.StringIO(lines_csv(SAMPLE(), NAMES).decode(), newline="")))
    assert rows[0][-2:] == ["accepted_minor", "reason"]
    assert rows[2] == ["A-17-2", "2", "TEA-MARCH", "TEA-2", NAMES["TEA-2"], "124", "6200", "EUR", "0", "over_cap"]


def test_no_cell_begins_a_formula() -> None:
    proof = Proof("1", datetime(2026, 3, 3, tzinfo=UTC), "S1", "=HYPERLINK(1)", "+1", "sale", -2, -100)
    rows = list(csv.reader(io.StringIO(proof_csv(SAMPLE(claim_id="@x"), [proof]).decode(), newline="")))
    assert rows[1] == [
        "'@x",
        "1",
        "2026-03-03T00:00:00+00:00",
        "S1",
        "'=HYPERLINK(1)",
        "'+1",
        "sale",
        "-2",
        "-100",
        "EUR",
    ]
