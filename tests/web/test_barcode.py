"""Code 128: what a scanner would read is what was meant."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.barcode import START_B, START_C, STOP, WIDTHS, code128, values

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


def scanned(svg: str) -> str:
    """Read the bars as a scanner does: from their edges alone."""
    bars = [(int(x), int(width)) for x, width in re.findall(r"M(\d+) 0h(\d+)v", svg)]
    ends = [edge for x, width in bars for edge in (x, x + width)]
    widths = [after - before for before, after in pairwise(ends)]
    symbols = ["".join(map(str, widths[at : at + 6])) for at in range(0, len(widths) - 7, 6)]
    assert "".join(map(str, widths[-7:])) == WIDTHS[STOP]
    start, *rest = (WIDTHS.index(symbol) for symbol in symbols)
    *meant, check = rest
    assert (start + sum(place * value for place, value in enumerate(meant, start=1))) % 103 == check
    if start == START_C:
        return "".join(f"{value:02d}" for value in meant)
    assert start == START_B
    return "".join(chr(value + 32) for value in meant)


class TestTable:
    def test_every_symbol_is_eleven_modules_of_three_bars_with_even_sum_and_stands_once(self) -> None:
        assert len(WIDTHS) == 107
        assert len(set(WIDTHS)) == 107
        for width in WIDTHS[:STOP]:
            assert sum(map(int, width)) == 11
            assert sum(map(int, width[::2])) % 2 == 0
        assert sum(map(int, WIDTHS[STOP])) == 13

    @pytest.mark.parametrize(
        ("text", "encoded"),
        [
            # the standard's own arithmetic: start + sum of place × value, modulo 103
            ("PJJ123C", [104, 48, 42, 42, 17, 18, 19, 35, 55, 106]),
            ("123456", [105, 12, 34, 56, 44, 106]),
            ("12345", [104, 17, 18, 19, 20, 21, 90, 106]),
        ],
    )
    def test_known_texts_have_their_known_values(self, text: str, encoded: list[int]) -> None:
        assert values(text) == encoded


class TestBars:
    @given(text=PRINTABLE)
    def test_what_is_scanned_is_what_was_meant(self, text: str) -> None:
        assert scanned(str(code128(text))) == text

    @given(text=st.integers(0, 10**13).map(lambda number: f"{number:014d}"))
    def test_a_gtin_is_scanned_in_pairs(self, text: str) -> None:
        assert scanned(str(code128(text))) == text

    @pytest.mark.parametrize("text", ["", "Käse", "a\tb", "日本"])
    def test_what_no_bars_can_say_is_written(self, text: str) -> None:
        assert values(text) is None
        assert code128(text) == f'<span class="barcode">{text}</span>'

    def test_a_text_is_escaped(self) -> None:
        assert "<script>" not in code128("<script>")
