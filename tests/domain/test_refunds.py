"""Refunds: shares that sum to what was paid, fees, claw-backs, and the tenders they go to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import AlreadyReturned
from domain.refunds import (
    Bought,
    Kept,
    LineRefund,
    Payout,
    Share,
    Tender,
    Terms,
    clawed,
    fee_of,
    pay_out,
    share_of,
    total_of,
)


class TestShare:
    def test_the_last_unit_takes_the_rounding_rest(self) -> None:
        bought = Bought(3, paid_minor=1_000, tax_minor=160)
        shares = []
        for _ in range(3):
            share = share_of(bought, 1)
            shares.append(share)
            bought = bought._replace(
                refunded=bought.refunded + 1,
                refunded_minor=bought.refunded_minor + share.paid_minor,
                refunded_tax_minor=bought.refunded_tax_minor + share.tax_minor,
            )
        assert shares == [Share(333, 53), Share(333, 53), Share(334, 54)]

    def test_a_unit_is_refunded_once(self) -> None:
        with pytest.raises(AlreadyReturned, match="1 of 3 are left"):
            share_of(Bought(3, 900, 0, refunded=2, refunded_minor=600), 2)

    @given(
        cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8),
        paid=st.integers(0, 10**8),
        tax_permille=st.integers(0, 300),
    )
    def test_returned_in_any_parts_it_is_exactly_what_was_paid(
        self, cuts: list[int], paid: int, tax_permille: int
    ) -> None:
        bought = Bought(sum(cuts), paid, paid * tax_permille // 1300)
        for units in cuts:
            share = share_of(bought, units)
            assert 0 <= share.tax_minor <= share.paid_minor
            bought = bought._replace(
                refunded=bought.refunded + units,
                refunded_minor=bought.refunded_minor + share.paid_minor,
                refunded_tax_minor=bought.refunded_tax_minor + share.tax_minor,
            )
            assert bought.refunded_minor <= bought.paid_minor
        assert (bought.refunded_minor, bought.refunded_tax_minor) == (bought.paid_minor, bought.tax_minor)

    @given(first=st.integers(1, 5), later=st.integers(1, 5), one=st.integers(0, 10**6), two=st.integers(0, 10**6))
    def test_a_line_that_was_handed_over_in_parts_is_never_refunded_beyond_what_was_paid(
        self, first: int, later: int, one: int, two: int
    ) -> None:
        bought = Bought(first, one, 0)
        share = share_of(bought, first)
        grown = Bought(first + later, one + two, 0, refunded=first, refunded_minor=share.paid_minor)
        assert share.paid_minor + share_of(grown, later).paid_minor == one + two


class TestFee:
    @given(share=st.integers(0, 10**9), permille=st.integers(0, 1000))
    def test_a_fee_is_part_of_the_refund(self, share: int, permille: int) -> None:
        assert 0 <= fee_of(share, permille) <= share

    def test_it_is_rounded_down_for_the_customer(self) -> None:
        assert fee_of(999, 150) == 149


def lines(**units: int) -> dict[str, Kept]:
    """Lines at 10.00 a unit with 3.00 off."""
    return {key: Kept(kept, kept * 1_000, kept * 300) for key, kept in units.items()}


class TestClawBack:
    def test_what_is_kept_still_earns_it(self) -> None:
        assert clawed(lines(a=2, b=1), Terms(least_units=3), 10_000).change_minor == 0

    def test_too_few_are_kept(self) -> None:
        found = clawed(lines(a=1, b=1), Terms(least_units=3), 10_000)
        assert found.change_minor == 600
        assert found.targets == {"a": 300, "b": 300}

    def test_too_little_is_kept_by_value(self) -> None:
        assert clawed(lines(a=1), Terms(least_minor=1_001), 10_000).change_minor == 300
        assert clawed(lines(a=1), Terms(least_minor=1_000), 10_000).change_minor == 0

    def test_it_is_never_more_than_the_refund(self) -> None:
        found = clawed(lines(a=1, b=1), Terms(least_units=3), 450)
        assert found.change_minor == 450
        assert sum(found.targets.values()) == 450

    def test_the_last_return_gives_back_what_was_clawed(self) -> None:
        kept = {"a": Kept(0, 0, 0, clawed_minor=300)}
        assert clawed(kept, Terms(least_units=3), 10_000) == (-300, {"a": 0})

    @given(st.lists(st.sampled_from("abc"), min_size=6, max_size=6), st.integers(0, 7), st.integers(0, 7_000))
    def test_all_returned_in_any_order_it_comes_to_what_was_paid(
        self, order: list[str], least: int, minor: int
    ) -> None:
        """Two units of each of three lines at 10.00 with 3.00 off, one unit after the other."""
        left = dict.fromkeys("abc", 2)
        standing: dict[str, int] = {}
        paid_back = 0
        sequence = [one for one in order if order.count(one) <= 2] + list("aabbcc")
        for key in sequence:
            if not left[key]:
                continue
            left[key] -= 1
            kept = {one: Kept(units, units * 1_000, units * 300, standing.get(one, 0)) for one, units in left.items()}
            found = clawed(kept, Terms(least, minor), 700)
            standing = found.targets
            assert found.change_minor <= 700
            paid_back += 700 - found.change_minor
        assert paid_back == 6 * 700
        assert not any(standing.values())


class TestPayOut:
    TENDERS = (Tender("p1", "gift_card", 400), Tender("p2", "card", 1_000))

    def test_original_tenders_in_the_order_in_which_they_were_used(self) -> None:
        assert pay_out(700, self.TENDERS, method="original_tender") == [
            Payout("p1", "gift_card", 400),
            Payout("p2", "card", 300),
        ]

    def test_what_they_cannot_take_is_a_credit(self) -> None:
        assert pay_out(1_500, self.TENDERS, method="original_tender")[-1] == Payout(None, "store_credit", 100)

    def test_a_credit_goes_to_no_tender_that_was_used(self) -> None:
        assert pay_out(700, self.TENDERS, method="gift_card") == [Payout(None, "gift_card", 700)]

    def test_cash_is_not_sent_by_mail(self) -> None:
        cash = [Tender("p1", "cash", 500)]
        assert pay_out(300, cash, method="original_tender") == [Payout("p1", "cash", 300)]
        assert pay_out(300, cash, method="original_tender", by_mail=True) == [Payout(None, "store_credit", 300)]

    def test_nothing_is_paid_out_as_nothing(self) -> None:
        assert pay_out(0, self.TENDERS, method="store_credit") == []

    @given(
        amount=st.integers(0, 10**6),
        opens=st.lists(st.integers(0, 10**6), max_size=4),
        method=st.sampled_from(["original_tender", "store_credit", "gift_card"]),
    )
    def test_the_parts_are_the_whole_and_no_tender_takes_more_than_it_gave(
        self, amount: int, opens: list[int], method: str
    ) -> None:
        tenders = [Tender(f"p{number}", "card", minor) for number, minor in enumerate(opens)]
        payouts = pay_out(amount, tenders, method=method)
        assert sum(one.amount_minor for one in payouts) == amount
        room = {one.payment_id: one.open_minor for one in tenders}
        assert all(one.amount_minor <= room[one.payment_id] for one in payouts if one.payment_id is not None)


def test_the_total_of_lines_is_what_is_left_after_fee_and_claw_back() -> None:
    assert total_of([LineRefund(1, Share(1_000, 160), 100), LineRefund(2, Share(500, 0), 0)], 50) == 1_350
