"""How keys, amounts and instants are said to people."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Malformed
from domain.words import (
    closing,
    local,
    moment,
    money,
    nth,
    read_local,
    read_money,
    span,
    subject_words,
    units,
    until,
    words,
)


class TestAbout:
    @pytest.mark.parametrize(
        ("subject", "said"),
        [
            ("bopis:web:W-1001", "Order W-1001"),
            ("bopis:web:W:1", "Order W:1"),
            ("bopis:web:W-1|event:web:cancel-7", "Order W-1"),
            ("pos|unknown_sku|SKU 7 is not in the master data.", "SKU 7 is not in the master data. (from pos)"),
            ("pos|malformed|/sku: pattern '^[^|]+$'", "/sku: pattern '^[^|]+$' (from pos)"),
            ("S1|APPLE", "S1, APPLE"),
            ("case:7:1", "case:7:1"),
            ("bopis:", "bopis:"),
        ],
    )
    def test_a_key_is_never_shown_as_it_is_built(self, subject: str, said: str) -> None:
        assert subject_words(subject) == said


class TestFigures:
    def test_one_unit_is_not_units(self) -> None:
        assert [units(count) for count in (0, 1, 2)] == ["0 units", "1 unit", "2 units"]

    @pytest.mark.parametrize(
        ("amount", "currency", "said"),
        [(1290, "USD", "12.90 USD"), (-5, "EUR", "−0.05 EUR"), (1290, "JPY", "1,290 JPY"), (1290, "KWD", "1.290 KWD")],
    )
    def test_money_has_the_currencys_digits(self, amount: int, currency: str, said: str) -> None:
        assert money(amount, currency) == said


class TestInstants:
    def test_the_zone_is_always_written(self) -> None:
        noon = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        assert (local(noon), local(noon, "America/New_York")) == ("Sat 21 Nov, 12:00 UTC", "Sat 21 Nov, 07:00 EST")

    @pytest.mark.parametrize(
        ("at", "said"),
        [
            ("2026-11-28T05:00:00+00:00", "the end of Fri 27 Nov, EST"),
            ("2026-11-28T05:00:01+00:00", "the end of Fri 27 Nov, EST"),
            ("2026-11-28T05:01:00+00:00", "Sat 28 Nov, 00:01 EST"),
            ("2026-11-28T02:00:00+00:00", "Fri 27 Nov, 21:00 EST"),
            ("2026-11-02T05:00:00+00:00", "the end of Sun 1 Nov, EST"),
        ],
    )
    def test_a_time_that_ends_at_midnight_ends_with_the_day_before(self, at: str, said: str) -> None:
        assert closing(datetime.fromisoformat(at), "America/New_York") == said

    def test_what_is_left_and_what_is_over(self) -> None:
        noon = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
        assert until(noon + timedelta(minutes=42), noon) == "42 min left"
        assert until(noon - timedelta(hours=1, minutes=10), noon) == "1 h 10 min over"
        assert span(timedelta(days=2, hours=3)) == "2 d 3 h"

    def test_what_comes_how_manieth(self) -> None:
        wanted = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 11: "11th", 12: "12th", 13: "13th", 21: "21st", 111: "111th"}
        assert {number: nth(number) for number in wanted} == wanted

    def test_words_of_codes(self) -> None:
        assert (words("ship_to_store"), words("cogs")) == ("Ship to store", "COGS")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (20, "20 s"), (60, "1 min"), (90, "1 min 30 s"), (120, "2 min"), (3600, "60 min")]
)
def test_a_short_while_is_said_to_the_second(seconds: int, said: str) -> None:
    assert moment(seconds) == said


class TestReadMoney:
    @pytest.mark.parametrize(
        ("typed", "currency", "minor"),
        [("12.90", "USD", 1290), ("12,9", "USD", 1290), (" 0 ", "EUR", 0), ("1234", "JPY", 1234),
         ("1.005", "KWD", 1005), ("7", "KWD", 7000)],
    )  # fmt: skip
    def test_what_people_write_is_read_to_the_minor_unit(self, typed: str, currency: str, minor: int) -> None:
        assert read_money(typed, currency) == minor

    @pytest.mark.parametrize(
        ("typed", "currency"),
        [("", "USD"), ("-1", "USD"), ("1.999", "USD"), ("1.0", "JPY"), ("1.", "USD"), (".5", "USD"),
         ("1,234.50", "USD"), ("\N{SUPERSCRIPT TWO}", "USD"), ("9" * 13, "USD"), ("1e3", "USD")],
    )  # fmt: skip
    def test_anything_else_is_refused_with_an_example(self, typed: str, currency: str) -> None:
        with pytest.raises(Malformed, match=f"Write an amount of {currency} such as "):
            read_money(typed, currency)

    def test_what_is_written_is_read_back(self) -> None:
        for currency in ("USD", "JPY", "KWD"):
            assert read_money(money(123_456, currency).split()[0].replace(",", ""), currency) == 123_456


class TestReadLocal:
    @pytest.mark.parametrize(
        ("typed", "hour"), [("2026-11-21T16:30", 21), ("2026-07-21T16:30", 20), ("2026-11-21T16:30+02:00", 14)]
    )
    def test_a_time_is_that_of_its_zone_unless_it_names_another(self, typed: str, hour: int) -> None:
        found = read_local(typed, "America/New_York")
        assert (found.hour, found.minute, found.tzinfo) == (hour, 30, UTC)

    @pytest.mark.parametrize("typed", ["", "tomorrow", "2026-02-30T10:00", "0001-01-01T00:00+14:00"])
    def test_anything_else_is_refused(self, typed: str) -> None:
        with pytest.raises(Malformed, match="as a date and a time"):
            read_local(typed, "America/New_York")
