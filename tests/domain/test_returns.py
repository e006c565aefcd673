"""Returns without a database: states, what the policy says, what an inspection does, and that nothing skips it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import return_postings, returns
from domain.errors import StateConflict
from domain.fraud import Evidence, FraudPolicy, band_of, terms_of
from domain.policy import Policy, merge
from domain.return_rules import Claimed, Fee, RefundAt, ReturnPolicy, Season, Window, refund_moment, rule_on
from domain.returns import DISPOSITIONS, EFFECTS, FINAL, TRANSITIONS, Progress, ReturnState, check_transition, state_of
from domain.stock import BUCKETS, LEGAL_MOVES, check_move

AT = datetime(2026, 6, 30, 12, tzinfo=UTC)
S = ReturnState


def claimed(**more: object) -> Claimed:
    line = Claimed("TEA-1", "tea", "changed_mind", "store", 1_500, AT - timedelta(days=10))
    return line._replace(**more)  # type: ignore[arg-type]


class TestStates:
    def test_every_state_has_its_ways_and_an_end_is_left_by_goods_or_by_somebody_who_takes_it_back_after_all(
        self,
    ) -> None:
        assert set(TRANSITIONS) == set(S)
        for end in FINAL:
            assert S.RECEIVED in TRANSITIONS[end]
            assert not TRANSITIONS[end] & {S.REQUESTED, S.IN_TRANSIT, S.CANCELLED}
            assert (S.AUTHORIZED in TRANSITIONS[end]) is (end is S.DECLINED)

    def test_a_way_that_is_not_there_is_refused_in_words(self) -> None:
        with pytest.raises(StateConflict, match="The return is not received; it cannot become authorized"):
            check_transition("not_received", "authorized")
        check_transition("received", "received")

    @pytest.mark.parametrize(
        ("progress", "state"),
        [
            (Progress(0, 0, 0, is_owed=True, is_asking=False), S.IN_TRANSIT),
            (Progress(2, 0, 0, is_owed=True, is_asking=False), S.RECEIVED),
            (Progress(2, 0, 1, is_owed=False, is_asking=False), S.INSPECTING),
            (Progress(2, 1, 1, is_owed=False, is_asking=False), S.INSPECTING),
            (Progress(2, 2, 2, is_owed=True, is_asking=False), S.REFUND_PENDING),
            (Progress(2, 2, 2, is_owed=True, is_asking=True), S.DISPOSITIONED),
            (Progress(2, 2, 2, is_owed=False, is_asking=True), S.REFUNDED),
            (Progress(2, 2, 2, is_owed=False, is_asking=False), S.CLOSED),
        ],
    )
    def test_the_state_follows_goods_then_money(self, progress: Progress, state: ReturnState) -> None:
        assert state_of(S.IN_TRANSIT, progress) == state


class TestNothingIsSoldBeforeItsDisposition:
    def test_only_a_disposition_takes_a_unit_out_of_customer_returned(self) -> None:
        leaving = {kind for kind, pairs in LEGAL_MOVES.items() for source, _ in pairs if source == "customer_returned"}
        assert leaving == {"disposed"}

    def test_what_came_back_can_only_come_to_customer_returned(self) -> None:
        assert LEGAL_MOVES["returned"] == {("customer", "customer_returned")}

    def test_every_disposition_is_a_legal_movement_and_only_restock_makes_a_unit_available(self) -> None:
        for name, effect in EFFECTS.items():
            if effect.target is not None:
                check_move("disposed", "customer_returned", effect.target)
            assert (effect.target == "available") == (name == "restock")
            assert effect.words
        targets = {effect.target for effect in EFFECTS.values() if effect.target is not None}
        assert {pair[1] for pair in LEGAL_MOVES["disposed"]} == targets

    @pytest.mark.parametrize("bucket", [bucket for bucket in BUCKETS if bucket != "customer_returned"])
    def test_no_other_bucket_is_filled_from_the_customer_by_a_return(self, bucket: str) -> None:
        assert ("customer", bucket) not in LEGAL_MOVES["returned"]


class TestProposal:
    @pytest.mark.parametrize(
        ("condition", "reason", "wanted"),
        [
            ("new", "changed_mind", "restock"),
            ("new", "defective", "restock"),  # found to be as new: nothing is wrong with it
            ("opened", "changed_mind", "restock_open_box"),
            ("used", "changed_mind", "liquidate"),
            ("damaged", "damaged_in_shipping", "destroy"),
            ("opened", "defective", "return_to_vendor"),
            ("unsafe", "changed_mind", "quarantine"),
        ],
    )
    def test_by_condition(self, condition: str, reason: str, wanted: str) -> None:
        assert returns.proposed(condition, reason, ReturnPolicy().by_condition) == wanted

    def test_a_condition_that_policy_does_not_know_is_kept_apart(self) -> None:
        assert returns.proposed("used", "changed_mind", {}) == "quarantine"


class TestPolicy:
    def test_within_the_window(self) -> None:
        ruling = rule_on(ReturnPolicy(), claimed(), AT)
        assert (ruling.refused, ruling.until, ruling.fee_permille) == ("", date(2026, 7, 20), 0)
        assert ruling.because == "It may come back within 30 d, 20 Jul 2026."

    def test_the_last_day_counts_and_the_next_does_not(self) -> None:
        bought = AT - timedelta(days=30)
        assert rule_on(ReturnPolicy(), claimed(bought_at=bought), AT).refused == ""
        late = rule_on(ReturnPolicy(), claimed(bought_at=bought - timedelta(days=1)), AT)
        assert late.refused == "window_expired"
        assert "29 Jun 2026" in late.because

    def test_days_are_those_of_the_place(self) -> None:
        """Bought at ten to midnight in New York, which is the next day in UTC."""
        there = ZoneInfo("America/New_York")
        bought = datetime(2026, 6, 1, 23, 50, tzinfo=there)
        asked = datetime(2026, 7, 1, 23, 55, tzinfo=there)
        assert rule_on(ReturnPolicy(), claimed(bought_at=bought.astimezone(UTC)), asked).until == date(2026, 7, 1)
        assert rule_on(ReturnPolicy(), claimed(bought_at=bought), asked).refused == ""

    def test_the_first_window_that_fits_decides(self) -> None:
        policy = ReturnPolicy(
            windows=(Window(days=3, category="tea"), Window(days=90, tender="gift_card"), Window(days=14))
        )
        assert rule_on(policy, claimed(), AT).refused == "window_expired"
        assert rule_on(policy, claimed(category="pans"), AT).until == date(2026, 7, 4)
        assert rule_on(policy, claimed(category="pans", tender="gift_card"), AT).until == date(2026, 9, 18)

    def test_no_window_at_all_is_none(self) -> None:
        assert rule_on(ReturnPolicy(windows=()), claimed(), AT).refused == "window_expired"

    def test_a_season_lengthens_and_never_shortens(self) -> None:
        season = Season(bought_from=date(2026, 6, 1), bought_until=date(2026, 6, 25), until=date(2026, 8, 31))
        assert rule_on(ReturnPolicy(seasons=(season,)), claimed(), AT).until == date(2026, 8, 31)
        short = season.model_copy(update={"until": date(2026, 6, 26)})
        assert rule_on(ReturnPolicy(seasons=(short,)), claimed(), AT).until == date(2026, 7, 20)

    def test_final_sale_is_refused_unless_it_is_faulty(self) -> None:
        for policy in (ReturnPolicy(final_sale_skus=("TEA-1",)), ReturnPolicy(final_sale_categories=("tea",))):
            assert rule_on(policy, claimed(), AT).refused == "final_sale"
            assert rule_on(policy, claimed(reason="defective"), AT).refused == ""

    def test_a_fee_is_never_taken_for_what_is_our_fault(self) -> None:
        policy = ReturnPolicy(fees=(Fee(permille=150, method="mail"),))
        assert rule_on(policy, claimed(), AT).fee_permille == 0
        by_mail = rule_on(policy, claimed(method="mail"), AT)
        assert by_mail.fee_permille == 150
        assert "15 % are kept as a fee" in by_mail.because
        assert rule_on(policy, claimed(method="mail", reason="wrong_item"), AT).fee_permille == 0

    def test_what_is_faulty_has_the_longer_window(self) -> None:
        old = AT - timedelta(days=200)
        assert rule_on(ReturnPolicy(), claimed(bought_at=old), AT).refused == "window_expired"
        assert rule_on(ReturnPolicy(), claimed(bought_at=old, reason="defective"), AT).refused == ""

    @pytest.mark.parametrize(
        ("rule", "value", "refused", "asks", "method"),
        [
            ("refuse", 100, "no_receipt", False, "store_credit"),
            ("store_credit", 4_999, "", False, "store_credit"),
            ("store_credit", 5_000, "", True, "store_credit"),
            ("gift_card", 100, "", False, "gift_card"),
        ],
    )
    def test_without_a_receipt(self, rule: str, value: int, refused: str, asks: bool, method: str) -> None:
        policy = ReturnPolicy.model_validate({"no_receipt": rule})
        ruling = rule_on(policy, claimed(bought_at=None, value_minor=value), AT)
        assert (ruling.refused, ruling.asks, ruling.method) == (refused, asks, method)

    def test_a_gift_goes_to_who_brings_it_and_not_to_who_paid(self) -> None:
        assert rule_on(ReturnPolicy(), claimed(reason="gift"), AT).method == "gift_card"

    def test_what_is_our_fault_and_worth_little_is_kept(self) -> None:
        policy = ReturnPolicy(keep_below_minor=2_000)
        assert rule_on(policy, claimed(reason="defective"), AT).keeps
        assert not rule_on(policy, claimed(reason="defective", value_minor=2_000), AT).keeps
        assert not rule_on(policy, claimed(), AT).keeps

    def test_when_the_refund_is_paid(self) -> None:
        policy = ReturnPolicy()

        def moment(**more: object) -> str:
            known: dict[str, object] = {
                "method": "store", "reason": "changed_mind", "value_minor": 1_000, "band": "low"
            }  # fmt: skip
            return refund_moment(policy, **(known | more))  # type: ignore[arg-type]

        assert moment() == "receipt"
        assert moment(method="mail") == "inspection"
        assert moment(band="high") == "inspection"
        policy = ReturnPolicy(
            refund_at=(
                RefundAt(at="scan", method="mail", below_minor=2_000),
                RefundAt(at="request", reason="arrived_late"),
            )
        )
        assert moment(method="mail", value_minor=1_999) == "scan"
        assert moment(method="mail", value_minor=2_000) == "inspection"
        assert moment(reason="arrived_late") == "request"

    def test_documents_lay_their_rows_over_the_shipped_ones(self) -> None:
        merged = merge([("v2", {"returns": {"windows": [{"days": 14}], "fraud": {"high": 90}}})]).returns
        assert [window.days for window in merged.windows] == [14]
        assert (merged.fraud.high, merged.fraud.elevated) == (90, FraudPolicy().elevated)
        assert Policy().returns.windows[0].days == 30

    @pytest.mark.parametrize(
        "document",
        [
            {"windows": [{"days": -1}]},
            {"fees": [{"permille": 1_001}]},
            {"refund_at": [{"at": "never"}]},
            {"no_receipt": "cash"},
            {"fraud": {"high": 1}},
            {"no_such_rule": []},
        ],
    )
    def test_a_document_that_no_policy_has_is_refused(self, document: dict[str, object]) -> None:
        with pytest.raises(ValidationError):
            merge([("v2", {"returns": document})])


class TestFraud:
    def test_terms_add_up_with_their_evidence(self) -> None:
        found = terms_of(Evidence(has_receipt=False, value_minor=40_000, bought=10, returned=5), FraudPolicy())
        assert {term.term: term.points for term in found} == {"no_receipt": 25, "return_rate": 20, "value": 15}
        assert "brought back 5 of 10 units" in found[1].why
        assert band_of(found, FraudPolicy()) == "elevated"

    def test_nothing_known_is_low(self) -> None:
        assert terms_of(Evidence(has_receipt=True, value_minor=100), FraudPolicy()) == ()
        assert band_of((), FraudPolicy()) == "low"

    def test_few_units_say_nothing_about_a_rate(self) -> None:
        assert terms_of(Evidence(has_receipt=True, value_minor=1, bought=4, returned=4), FraudPolicy()) == ()

    def test_a_strange_serial_alone_asks_for_a_look_and_a_matching_one_is_nothing(self) -> None:
        policy = FraudPolicy()
        strange = Evidence(has_receipt=True, value_minor=1, serials_expected=("A", "B"), serials_claimed=("C",))
        assert band_of(terms_of(strange, policy), policy) == "elevated"
        assert terms_of(strange._replace(serials_claimed=("B",)), policy) == ()
        assert terms_of(strange._replace(serials_expected=()), policy) == ()  # nobody recorded what was sold

    @given(days=st.integers(-5, 40))
    def test_only_the_end_of_a_window_is_a_term(self, days: int) -> None:
        found = terms_of(Evidence(has_receipt=True, value_minor=1, days_left=days), FraudPolicy())
        assert bool(found) == (days in (0, 1))

    def test_a_policy_that_gives_no_points_has_no_terms(self) -> None:
        quiet = FraudPolicy(no_receipt=0)
        assert terms_of(Evidence(has_receipt=False, value_minor=0), quiet) == ()


@given(disposition=st.sampled_from(DISPOSITIONS), cost=st.integers(0, 10**9), market=st.integers(0, 1000))
def test_every_disposition_clears_returns_pending_or_posts_nothing(disposition: str, cost: int, market: int) -> None:
    lines = return_postings.disposed(disposition, cost, market, location="S1", sku="TEA-1")
    assert sum(line.debit_minor - line.credit_minor for line in lines) == 0
    pending = sum(line.debit_minor - line.credit_minor for line in lines if line.account == "returns_pending")
    assert pending == (0 if EFFECTS[disposition].target is None else -cost)


@given(paid=st.integers(0, 10**9), tax=st.integers(0, 1000), fee=st.integers(0, 1000), clawed=st.integers(-1000, 1000))
def test_what_is_accepted_balances(paid: int, tax: int, fee: int, clawed: int) -> None:
    lines = return_postings.accepted(paid, tax, fee_minor=fee, clawed_minor=clawed, location="S1", sku="TEA-1")
    assert sum(line.debit_minor - line.credit_minor for line in lines) == 0


@pytest.mark.parametrize(
    ("tender", "account"),
    [
        ("card", "payment_clearing"),
        ("cash", "payment_clearing"),
        ("store_credit", "store_credit"),
        ("gift_card", "gift_cards"),
    ],
)
def test_what_is_paid_comes_from_its_tenders_account(tender: str, account: str) -> None:
    lines = return_postings.paid(100, tender)
    assert [(line.account, line.debit_minor, line.credit_minor) for line in lines] == [
        ("refund_liability", 100, 0),
        (account, 0, 100),
    ]
