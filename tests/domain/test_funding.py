"""What a vendor pays: the arithmetic of terms, caps, tiers and shares."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.funding import Counter, NewAgreement, Terms, base_of, by_terms, cap_of, is_counted, sell, take_back

TERMS: TypeAdapter[Any] = TypeAdapter(Terms)


def terms(**given_: Any) -> Any:
    return TERMS.validate_python(given_)


SCAN = terms(kind="scan_back", rate_minor=50)
TIERED = terms(
    kind="scan_back",
    rate_minor=50,
    tiers=[{"from_units": 11, "rate_minor": 60}, {"from_units": 21, "rate_minor": 75}],
)
CAPPED = terms(kind="scan_back", rate_minor=50, cap_minor=230)
HALF = terms(kind="percent", permille=500)
LUMP = terms(kind="lump_sum", amount_minor=1_000, expected_units=3)

agreements = st.sampled_from(
    [
        SCAN, TIERED, CAPPED, HALF, LUMP,
        terms(kind="percent", permille=333, base="sales", cap_minor=700),
        terms(kind="percent", permille=250, tiers=[{"from_units": 5, "permille": 400}], cap_minor=900),
        terms(kind="scan_back", rate_minor=7, tiers=[{"from_units": 3, "rate_minor": 9}], cap_minor=150),
    ]
)  # fmt: skip


class TestTerms:
    def test_a_rate_is_paid_for_each_unit(self) -> None:
        assert by_terms(SCAN, before=0, units=3, base_minor=0, of_units=3, taken=0) == (150, 0)

    def test_units_earn_the_tier_in_which_each_of_them_stands(self) -> None:
        assert by_terms(TIERED, before=8, units=15, base_minor=0, of_units=15, taken=0) == (
            2 * 50 + 10 * 60 + 3 * 75,
            0,
        )
        assert by_terms(TIERED, before=10, units=1, base_minor=0, of_units=1, taken=0) == (60, 1)

    def test_a_share_is_rounded_half_up_for_the_whole_line(self) -> None:
        assert by_terms(HALF, before=0, units=3, base_minor=101, of_units=3, taken=0) == (51, 0)

    def test_a_price_that_was_marked_down_is_a_discount(self) -> None:
        line = {"quantity": 2, "unit_price_minor": 80, "regular_price_minor": 100, "discount_minor": 10}
        assert base_of("discount", **line) == 50
        assert base_of("sales", **line) == 150
        assert base_of("regular_price", **line) == 200

    def test_a_price_above_the_regular_one_is_no_discount(self) -> None:
        assert base_of("discount", quantity=2, unit_price_minor=120, regular_price_minor=100, discount_minor=0) == 0

    def test_only_what_depends_on_other_sales_is_counted(self) -> None:
        assert [is_counted(one) for one in (SCAN, HALF, TIERED, CAPPED, LUMP)] == [False, False, True, True, True]

    @pytest.mark.parametrize(
        ("given_", "says"),
        [
            ({"kind": "scan_back"}, "rate_minor"),
            ({"kind": "scan_back", "rate_minor": 0}, "rate_minor"),
            ({"kind": "scan_back", "rate_minor": 5, "permille": 5}, "permille"),
            ({"kind": "percent", "permille": 1001}, "permille"),
            ({"kind": "percent", "permille": 5, "base": "margin"}, "base"),
            ({"kind": "lump_sum", "amount_minor": 5}, "expected_units"),
            ({"kind": "lump_sum", "amount_minor": 5, "expected_units": 5, "cap_minor": 3}, "cap_minor"),
            ({"kind": "gift"}, "gift"),
            (
                {"kind": "scan_back", "rate_minor": 5, "tiers": [{"from_units": 9, "rate_minor": 6}] * 2},
                "rising order",
            ),
        ],
    )
    def test_wrong_terms_are_refused_by_name(self, given_: dict[str, Any], says: str) -> None:
        with pytest.raises(ValidationError) as refused:
            TERMS.validate_python(given_)
        assert says in str(refused.value)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"ends_at": "2026-03-01T00:00:00Z"}, "ends before it starts"),
            ({"skus": ["A", "A"]}, "skus names one twice"),
            ({"promotions": ["P", "P"]}, "promotions names one twice"),
            ({"document": ""}, "document"),
            ({"claims_email": "nobody"}, "claims_email"),
            ({"claim_every_days": 0}, "claim_every_days"),
            ({"signed_on": "yesterday"}, "signed_on"),
            ({"starts_at": "2026-03-01T00:00:00"}, "starts_at"),
        ],
    )
    def test_a_wrong_agreement_is_refused_by_name(self, change: dict[str, Any], says: str) -> None:
        body: dict[str, Any] = {
            "number": "A-1", "entity": "DE01", "vendor": "V", "signed_on": "2026-02-01", "document": "A-1.pdf",
            "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-04-01T00:00:00Z", "currency": "EUR",
            "terms": {"kind": "scan_back", "rate_minor": 5},
        }  # fmt: skip
        NewAgreement.model_validate(body)
        with pytest.raises(ValidationError) as refused:
            NewAgreement.model_validate(body | change)
        assert says in str(refused.value)


class TestParts:
    @given(
        one=agreements,
        base=st.integers(0, 5_000),
        parts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    )
    def test_parts_of_a_line_earn_what_the_whole_does(self, one: Any, base: int, parts: list[int]) -> None:
        whole, counter = sum(parts), Counter()
        at_once = sell(one, counter, units=whole, base_minor=base, of_units=whole, taken=0)
        taken = 0
        for part in parts:
            counter = sell(one, counter, units=part, base_minor=base, of_units=whole, taken=taken).after
            taken += part
        if not (one.kind == "percent" and one.tiers):  # which unit of a line is dearer than another nobody knows
            assert counter == at_once.after

    @given(one=agreements, line=st.integers(1, 9), base=st.integers(0, 5_000), back=st.data())
    def test_what_comes_back_takes_back_what_it_earned(self, one: Any, line: int, base: int, back: Any) -> None:
        start = Counter(units=4, earned_minor=0, accrued_minor=0) if one is not LUMP else Counter()
        sold = sell(one, start, units=line, base_minor=base, of_units=line, taken=0)
        counter, left, earned = sold.after, line, sold.earned_minor
        while left:
            units = back.draw(st.integers(1, left))
            gone = take_back(one, counter, units=units, of_units=left, earned_minor=earned)
            assert gone.earned_minor <= 0
            counter, left, earned = gone.after, left - units, earned + gone.earned_minor
        assert counter == start


class TestCap:
    def test_the_cap_cuts_the_line_that_reaches_it(self) -> None:
        first = sell(CAPPED, Counter(), units=4, base_minor=0, of_units=4, taken=0)
        second = sell(CAPPED, first.after, units=2, base_minor=0, of_units=2, taken=0)
        assert (first.amount_minor, second.amount_minor, second.earned_minor) == (200, 30, 100)

    def test_what_a_return_frees_goes_to_what_was_earned_beyond_the_cap(self) -> None:
        counter = sell(CAPPED, Counter(), units=6, base_minor=0, of_units=6, taken=0).after
        first = take_back(CAPPED, counter, units=1, of_units=6, earned_minor=300)
        second = take_back(CAPPED, first.after, units=1, of_units=5, earned_minor=250)
        assert (counter.accrued_minor, first.amount_minor, second.amount_minor) == (230, 0, -30)

    @given(
        one=agreements.filter(lambda terms_: cap_of(terms_) is not None),
        facts=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 900), st.booleans()), max_size=30),
    )
    def test_the_smaller_of_cap_and_earned_is_accrued_after_every_fact(
        self, one: Any, facts: list[tuple[int, int, bool]]
    ) -> None:
        counter, lines, booked = Counter(), list[tuple[int, int]](), 0
        for units, base, comes_back in facts:
            if comes_back and lines:
                of_units, earned = lines.pop()
                done = take_back(one, counter, units=of_units, of_units=of_units, earned_minor=earned)
            else:
                done = sell(one, counter, units=units, base_minor=base, of_units=units, taken=0)
                lines.append((units, done.earned_minor))
            counter = done.after
            booked += done.amount_minor
            total = sum(earned for _, earned in lines)
            assert booked == counter.accrued_minor == min(cap_of(one) or 0, total)
            assert counter.earned_minor == total
