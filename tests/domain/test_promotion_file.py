"""Promotions in a CSV file: read, and refused by line and name."""

import pytest

from domain.promotion_file import FileBroken, read

HEADER = "promotion_id,name,offer,value,sku,category,forecast_units,channels,locations,starts_at,ends_at,stacking"
TIME = "2098-11-24T05:00:00Z,2098-12-01T05:00:00Z"


def file(*rows: str, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def test_rows_of_one_id_are_one_promotion() -> None:
    text = file(
        f"P-1,Coffee week,percent,200,100,,400,web;pos,S1; S2,{TIME},best",
        "P-1,,,,,Coffee,900,,,,,",
        f'P-2,"Two, for one",buy_get,2+1,200,,50,web,all,{TIME},',
        "",
    )
    found, refused = read("\ufeff" + text)
    assert refused == []
    first, second = (one.promotion for one in found)
    assert [(line.sku, line.category, line.forecast_units) for line in first.lines] == [
        ("100", None, 400), (None, "Coffee", 900),
    ]  # fmt: skip
    assert (first.channels, first.locations, first.stacking) == (("web", "pos"), ("S1", "S2"), "best")
    assert second.offer.model_dump() == {"kind": "buy_get", "buy": 2, "get": 1}
    assert (second.name, second.locations, second.stacking) == ("Two, for one", "all", "exclusive")
    assert [one.line for one in found] == [2, 4]


@pytest.mark.parametrize(
    ("row", "because"),
    [
        (f"P-1,Week,percent,20%,100,,400,web,S1,{TIME},", "offer.percent.off_permille"),
        (f"P-1,Week,half,1,100,,400,web,S1,{TIME},", "offer"),
        (f"P-1,Week,price,199,100,,many,web,S1,{TIME},", "lines.0.forecast_units"),
        (f"P-1,Week,price,199,,,4,web,S1,{TIME},", "sku or a category"),
        ("P-1,Week,price,199,100,,4,web,S1,tomorrow,later,", "starts_at"),
        (f"P-1,,price,199,100,,4,web,S1,{TIME},", "name"),
        (f",Week,price,199,100,,4,web,S1,{TIME},", "promotion_id is empty"),
        (f"P-1,A, B,price,199,100,,4,web,S1,{TIME},", "13 cells under 12 columns"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(row: str, because: str) -> None:
    found, refused = read(file(row))
    assert found == []
    ((line, _, reason),) = refused
    assert line == 2
    assert because in reason


def test_one_that_lost_a_line_is_not_taken_without_it() -> None:
    found, refused = read(file(f"P-1,Week,price,199,100,,4,web,S1,{TIME},", "P-1,,,,200"))
    assert found == []
    assert [one.line for one in refused] == [3]


def test_rows_that_contradict_each_other_are_refused() -> None:
    text = file(f"P-1,Week,price,199,100,,4,web,S1,{TIME},", "P-1,,price,189,200,,4,,,,,")
    found, refused = read(text)
    assert found == []
    assert "line 3 says another value" in refused[0].reason


@pytest.mark.parametrize(
    ("header", "because"),
    [
        (HEADER.replace("channels", "shops"), "column channels is missing"),
        (f"{HEADER},colour", "no column colour"),
        (f"{HEADER},name", "name stands twice"),
        ("", "promotion_id is missing"),
    ],
)
def test_a_file_of_something_else_is_refused_whole(header: str, because: str) -> None:
    with pytest.raises(FileBroken, match=because):
        read(file(header=header))
