"""Shares of a line, shares of a refund, and posting rules that balance whatever they are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import postings
from domain.errors import SumsDisagree
from domain.payments import Refundable, part_of, share_refund
from domain.postings import Line, Sale

AMOUNT = st.integers(0, 10**9)


class TestShares:
    @given(total=st.integers(-(10**9), 10**9), cuts=st.lists(st.integers(1, 50), min_size=1, max_size=12))
    def test_parts_in_any_sizes_sum_to_the_whole(self, total: int, cuts: list[int]) -> None:
        whole, before, shares = sum(cuts), 0, []
        for quantity in cuts:
            shares.append(part_of(total, whole, before, quantity))
            before += quantity
        assert sum(shares) == total

    def test_the_last_unit_takes_the_rounding_rest(self) -> None:
        assert [part_of(100, 3, before, 1) for before in range(3)] == [33, 33, 34]


class TestRefund:
    def test_each_tender_goes_back_in_the_order_it_was_paid(self) -> None:
        payments = [Refundable("card", 500), Refundable("gift", 300)]
        assert share_refund(700, payments) == [("card", 500), ("gift", 200)]

    def test_nothing_goes_to_a_tender_with_nothing_left(self) -> None:
        assert share_refund(100, [Refundable("card", 0), Refundable("gift", 300)]) == [("gift", 100)]

    def test_more_than_was_paid_is_refused(self) -> None:
        with pytest.raises(SumsDisagree):
            share_refund(900, [Refundable("card", 500), Refundable("gift", 300)])


def balance(lines: list[Line]) -> int:
    assert all((line.debit_minor == 0) != (line.credit_minor == 0) for line in lines)
    return sum(line.debit_minor - line.credit_minor for line in lines)


class TestRules:
    @given(amount=AMOUNT)
    def test_money_rules_balance_and_nothing_posts_nothing(self, amount: int) -> None:
        for rule in (postings.deposit, postings.refund_owed, postings.refund_paid, postings.appeasement):
            lines = rule(amount)
            assert balance(lines) == 0
            assert bool(lines) == bool(amount)

    @given(gross=AMOUNT, discount=AMOUNT, coupon=AMOUNT, tax=AMOUNT, cost=AMOUNT, included=st.booleans())
    def test_a_sale_balances_with_tax_inside_or_beside(
        self, gross: int, discount: int, coupon: int, tax: int, cost: int, included: bool
    ) -> None:
        sale = Sale(gross, discount, coupon, tax, included, cost)
        assert balance(postings.sale(sale, paid_from="customer_deposits", location="S1", sku="A")) == 0

    @given(cost=st.integers(-(10**9), 10**9), reason=st.sampled_from(["found", "damaged", "lost", "anything"]))
    def test_goods_rules_balance(self, cost: int, reason: str) -> None:
        assert balance(postings.adjustment(cost, reason, location="S1", sku="A")) == 0
        assert balance(postings.receipt(abs(cost), location="S1", sku="A")) == 0
        assert balance(postings.damage(abs(cost), location="S1", sku="A")) == 0
        assert balance(postings.relocation(abs(cost), source="S1", target="S2", sku="A")) == 0

    def test_every_account_that_a_rule_names_is_known(self) -> None:
        lines = [
            *postings.sale(
                Sale(100, 10, 5, 8, tax_included=False, cost_minor=40),
                paid_from="payment_clearing",
                location="S1",
                sku="A",
            ),
            *postings.receipt(5, location="S1", sku="A", opening=True),
            *(
                line
                for reason in postings.ADJUSTMENT_ACCOUNTS
                for line in postings.adjustment(1, reason, location="S", sku="A")
            ),
        ]
        assert {line.account for line in lines} <= set(postings.ACCOUNTS)

    def test_a_customer_who_paid_with_tax_inside_pays_no_tax_on_top(self) -> None:
        assert Sale(1000, 100, 0, 80, tax_included=True, cost_minor=0).paid_minor == 900
        assert Sale(1000, 100, 0, 80, tax_included=False, cost_minor=0).paid_minor == 980
