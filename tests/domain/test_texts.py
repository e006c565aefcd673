"""Texts as they are kept, wherever they come from; of forms and bodies see tests/web/test_hygiene.py."""

import re

import pytest

from domain import funding_csv, promotion_file
from domain.masterdata import ItemRow
from domain.texts import MAX_COMBINING_RUN, UNSEEN, as_kept, is_settled, settled

HEADER = "promotion_id,name,offer,value,sku,category,forecast_units,channels,locations,starts_at,ends_at,stacking"
ROW = "P-1,Caf{},percent,200,100,,400,web,S1,2098-11-24T05:00:00Z,2098-12-01T05:00:00Z,best"
BROKEN = ["a\0b", "\ud800", "a" + "\u0301" * (MAX_COMBINING_RUN + 1)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("caf\u00e9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("pays \u202e00.1\u202c", "pays 00.1"),
        ("a" + "\u0301" * MAX_COMBINING_RUN, "\u00e1" + "\u0301" * (MAX_COMBINING_RUN - 1)),
        ("\u0646\u200c\u06cc", "\u0646\u200c\u06cc"),  # a sign that the script needs
    ],
)
def test_one_text_is_kept_in_one_way(text: str, kept: str) -> None:
    assert settled(text) == kept
    assert is_settled(kept)
    assert is_settled(text) == (text == kept)


@pytest.mark.parametrize("text", BROKEN)
def test_what_no_text_may_hold_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"U\+0000|surrogate|combining"):
        settled(text)


def test_what_nobody_sees_is_what_no_number_holds() -> None:
    unseen = re.compile(f"[{UNSEEN}]")
    assert all(unseen.match(one) for one in "\u200b\u200d\u202e\u2060\ufeff\u00ad\u3164\u2028")
    assert not any(unseen.match(one) for one in "-_.:#\u00e9\u5354\u20ac\U0001f600")


class TestFiles:
    def test_master_data(self) -> None:
        row = {"sku": "A-1", "name": "Cafe\u0301 \u202erabs", "category": "x", "cost_minor": "1", "price_minor": "2"}
        assert ItemRow.model_validate(row).name == "Caf\u00e9 rabs"

    def test_promotions(self) -> None:
        (found,), refused = promotion_file.read(f"{HEADER}\n{ROW.format('e' + chr(0x301))}\n")
        assert (found.promotion.name, refused) == ("Caf\u00e9", [])

    def test_answers_of_vendors(self) -> None:
        (line,) = funding_csv.answers("line_id,accepted_minor,reason\n1,1,cafe\u0301\n")
        assert line.reason == "caf\u00e9"

    @pytest.mark.parametrize("text", BROKEN)
    def test_one_that_is_broken_is_left_to_whoever_names_its_line(self, text: str) -> None:
        assert as_kept(text) == text
