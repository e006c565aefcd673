"""A claim on paper: the document that a vendor gets (PDF), its lines and its proof as files for its own systems (CSV).

The same claim gives the same bytes, whenever and wherever it is written. pydyf writes the PDF: it is one small module
without anything beneath it, and a claim is a heading and a table.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import pydyf

from domain.cells import defused
from domain.claims import ClaimView, Proof
from domain.words import money, words

PAGE = (595, 842)  # A4, in points
MARGIN, LEADING = 50, 14
ROWS_ON_FIRST, ROWS_ON_NEXT = 36, 50
LOST = "A question mark stands for a letter that cannot be printed here; the lines that came along as CSV have it."


def lines_csv(claim: ClaimView, names: Mapping[str, str]) -> bytes:
    """The lines as a vendor answers them: `accepted_minor` and `reason` are its columns."""
    head = ("claim", "line_id", "promotion", "sku", "item", "units", "claimed_minor", "currency", "accepted_minor",
            "reason")  # fmt: skip
    return _csv(
        head,
        (
            (
                claim.claim_id, line.line_id, line.promotion_id, line.sku or "", names.get(line.sku or "", ""),
                line.units, line.amount_minor, claim.currency,
                "" if line.accepted_minor is None else line.accepted_minor, line.reason,
            )
            for line in claim.lines
        ),
    )  # fmt: skip


def proof_csv(claim: ClaimView, proofs: Iterable[Proof]) -> bytes:
    """What the lines were frozen from, receipt by receipt."""
    head = ("claim", "line_id", "at", "location", "receipt", "sku", "kind", "units", "amount_minor", "currency")
    return _csv(
        head,
        (
            (claim.claim_id, one.line_id, one.at.isoformat(), *one[2:], claim.currency)
            for one in proofs
        ),
    )  # fmt: skip


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(head)
    writer.writerows([defused(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return out.getvalue().encode()


# ---------------------------------------------------------------------------------------------------- PDF
def document_pdf(claim: ClaimView, names: Mapping[str, str], *, sender: str) -> bytes:
    """The claim as a document: who claims what by which agreement, and every line of it."""
    rows = [
        (
            line.line_id, line.promotion_id, line.sku or "", names.get(line.sku or "", "lump sum"), str(line.units),
            money(line.amount_minor, claim.currency),
        )
        for line in claim.lines
    ]  # fmt: skip
    first, rest = rows[:ROWS_ON_FIRST], rows[ROWS_ON_FIRST:]
    parts = [first, *(rest[at : at + ROWS_ON_NEXT] for at in range(0, len(rest), ROWS_ON_NEXT))]
    pdf = pydyf.PDF()
    pdf.info["Title"] = pydyf.String(f"Claim {claim.claim_id}")
    fonts = pydyf.Dictionary({name: _font(pdf, face) for name, face in _FACES.items()})
    lost = False
    for number, part in enumerate(parts, start=1):
        page = _Page()
        if number == 1:
            _heading(page, claim, sender)
        _table(page, part)
        if number == len(parts):
            page.line("", 0)
            page.line(f"{'Total':>66}{money(claim.amount_minor, claim.currency):>18}", 9, "mono-bold")
        lost = lost or page.lost
        if number == len(parts) and lost:
            page.line(LOST, 8)
        page.foot(f"Claim {claim.claim_id}, page {number} of {len(parts)}")
        _add(pdf, page, fonts)
    out = io.BytesIO()
    pdf.write(out)
    return out.getvalue()


_FACES = {"text": "Helvetica", "bold": "Helvetica-Bold", "mono": "Courier", "mono-bold": "Courier-Bold"}


def _font(pdf: pydyf.PDF, face: str) -> bytes:
    font = pydyf.Dictionary(
        {"Type": "/Font", "Subtype": "/Type1", "BaseFont": f"/{face}", "Encoding": "/WinAnsiEncoding"}
    )
    pdf.add_object(font)
    return bytes(font.reference)


class _Page:
    """Lines of text from the top of a page downwards."""

    def __init__(self) -> None:
        self.stream = pydyf.Stream()
        self.lost = False  # whether a letter of it could not be written
        self._y = PAGE[1] - MARGIN

    def line(self, text: str, size: int = 10, face: str = "text") -> None:
        if text:
            self._write(text, MARGIN, self._y, size, face)
        self._y -= max(LEADING, size + 4)

    def foot(self, text: str) -> None:
        self._write(text, MARGIN, MARGIN // 2, 8, "text")

    def _write(self, text: str, x: int, y: int, size: int, face: str) -> None:
        self.stream.begin_text()
        self.stream.set_font_size(face, size)
        self.stream.set_text_matrix(1, 0, 0, 1, x, y)
        written, lost = _western(text)
        self.lost = self.lost or lost
        self.stream.stream.append(_literal(written) + b" Tj")
        self.stream.end_text()


def _western(text: str) -> tuple[bytes, bool]:
    """The text in the letters that the fonts of every reader know, and whether one was lost. A letter with a mark that
    they do not know loses its mark (č is c); what is no western letter at all becomes a question mark.
    """
    parts = []
    for letter in unicodedata.normalize("NFC", text):
        try:
            parts.append(letter.encode("cp1252"))
        except UnicodeEncodeError:
            plain = _PLAIN.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
            parts.append(plain.encode() or b"?")
    written = b"".join(parts)
    return written, written.count(b"?") > text.count("?")


# Letters that are no letter with a mark, as their languages write them without.
_PLAIN = dict(zip("łŁđĐħĦŋŊŧŦ\N{LATIN SMALL LETTER DOTLESS I}", "lLdDhHnNtTi", strict=True))


def _literal(text: bytes) -> bytes:
    for mark in (b"\\", b"(", b")"):
        text = text.replace(mark, b"\\" + mark)
    return b"(" + text.replace(b"\r", b" ").replace(b"\n", b" ") + b")"


def _heading(page: _Page, claim: ClaimView, sender: str) -> None:
    page.line(f"{'Credit note' if claim.amount_minor < 0 else 'Claim'} {claim.claim_id}", 18, "bold")
    page.line("")
    for name, value in (
        ("From", sender),
        ("To", f"{claim.vendor_name or claim.vendor} ({claim.vendor})"),
        ("Agreement", f"{claim.agreement_number}, {claim.agreement_document}"),
        ("Frozen", f"{claim.frozen_at:%Y-%m-%d %H:%M} UTC"),
        ("Kind", words(claim.kind)),
        ("Amount", money(claim.amount_minor, claim.currency)),
    ):
        page.line(f"{name}: {value}")
    page.line("")


def _table(page: _Page, rows: Sequence[tuple[str, str, str, str, str, str]]) -> None:
    page.line(_row(("Line", "Promotion", "Item", "", "Units", "Amount")), 9, "mono-bold")
    for row in rows:
        page.line(_row(row), 9, "mono")


def _row(cells: tuple[str, str, str, str, str, str]) -> str:
    line, promotion, sku, name, units, amount = cells
    return f"{line[:5]:<5} {promotion[:16]:<16} {sku[:14]:<14} {name[:19]:<19} {units:>8}{amount:>18}"


def _add(pdf: pydyf.PDF, page: _Page, fonts: pydyf.Dictionary) -> None:
    pdf.add_object(page.stream)
    pdf.add_page(
        pydyf.Dictionary(
            {
                "Type": "/Page",
                "Parent": pdf.pages.reference,
                "MediaBox": pydyf.Array([0, 0, *PAGE]),
                "Contents": page.stream.reference,
                "Resources": pydyf.Dictionary({"Font": fonts}),
            }
        )
    )
