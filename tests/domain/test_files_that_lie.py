"""Files of promotions, agreements and vendors' answers that nobody meant to write: each is a refusal by name."""

import pytest

from domain import funding_csv, promotion_file
from domain.errors import Malformed

ODD_NUMBERS = [
    "9" * 5_000, "9" * 19, "--5", "-", "+5", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT TWO}", "1_0", "1e3", "0x10",
    "NaN", "1 000", "\x00", "=1+1", "1.0",
]  # fmt: skip
PROMOTION = "promotion_id,name,offer,value,sku,forecast_units,channels,locations,starts_at,ends_at"
TIME = "2098-11-24T05:00:00Z,2098-12-01T05:00:00Z"
AGREEMENT = "number,entity,vendor,signed_on,document,starts_at,ends_at,currency,kind,rate_minor,claim_every_days,tiers"
BROKEN = [
    "PK\x03\x04\x14\x00\x08\x00", '"' * 1_001, "\x00" * 50, "x" * 300_000, f'{PROMOTION}\n"{"x" * 200_000}"',
    f"{AGREEMENT}\n{'x' * 200_000}", "," * 5_000, "\ufeff\ufeff", "\r\r\r",
    "line_id,accepted_minor\n" + "1,1\n" * 6_000,
    "line_id,accepted_minor\x00\n1,1", 'line_id,accepted_minor\n"1,1', "line_id,line_id,accepted_minor\n1,2,3",
]  # fmt: skip


@pytest.mark.parametrize("number", ODD_NUMBERS, ids=lambda one: repr(one)[:12])
def test_a_number_that_is_none(number: str) -> None:
    for value, units in ((number, "4"), (f"{number}+1", "4"), ("200", number)):
        offer = "buy_get" if "+1" in value else "percent"
        found, refused = promotion_file.read(f"{PROMOTION}\nP-1,Week,{offer},{value},100,{units},web,S1,{TIME}\n")
        assert (found, [one.line for one in refused]) == ([], [2])
    for rate, days, tiers in (
        (number, "7", ""),
        ("50", number, ""),
        ("50", "7", f"{number}:60"),
        ("50", "7", f"11:{number}"),
    ):
        row = f"A-1,US01,V,2098-01-01,doc,{TIME},USD,scan_back,{rate},{days},{tiers}"
        [(_, taken)] = funding_csv.agreements(f"{AGREEMENT}\n{row}\n")
        assert isinstance(taken, Malformed)
    with pytest.raises(Malformed):
        funding_csv.answers(f"line_id,accepted_minor\n1,{number}\n")


@pytest.mark.parametrize("text", BROKEN, ids=lambda one: repr(one)[:24])
def test_a_text_that_is_no_file_of_ours(text: str) -> None:
    with pytest.raises(promotion_file.FileBroken):
        promotion_file.read(text)
    for read in (funding_csv.agreements, funding_csv.answers, funding_csv.claims_of):
        with pytest.raises(Malformed):
            read(text)


@pytest.mark.parametrize("sign", ["\x00", "\x07", "\x1b", "\x7f"])
def test_a_sign_that_is_no_text_is_refused_with_its_row(sign: str) -> None:
    found, refused = promotion_file.read(f"{PROMOTION}\nP-1,We{sign}ek,percent,200,100,4,web,S1,{TIME}\n")
    assert (found, [one.line for one in refused]) == ([], [2])
    [(_, taken)] = funding_csv.agreements(f"{AGREEMENT}\nA-1,US01,V,2098-01-01,do{sign}c,{TIME},USD,scan_back,50,7,\n")
    assert isinstance(taken, Malformed)
    with pytest.raises(Malformed):
        funding_csv.answers(f"line_id,accepted_minor,reason\n1,1,no{sign}\n")
