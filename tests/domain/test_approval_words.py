"""What an approver reads is true of whoever asked, and says once what there is to say."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from domain import approval_words as said
from domain.case import CaseOption, Consequence, MoneyEffect

AT = datetime(2026, 3, 3, 13, 2, tzinfo=UTC)


def approval(**changed: Any) -> Any:
    usual: dict[str, Any] = {
        "kind": "refund", "subject": "Cancel and refund: order W-1", "case_id": 7, "requester": "sam",
        "requester_name": "Sam Okafor", "quorum": 1, "agreed": 0, "next_role": None, "deadline_at": AT,
        "expires_at": AT, "paused_at": None, "option": None, "facts": {}, "amount_minor": 3_120, "currency": "EUR",
    }  # fmt: skip
    return SimpleNamespace(**(usual | changed))


def option(*money: MoneyEffect, reversible: bool = False, customer: str = "") -> CaseOption:
    consequence = Consequence(money=money, customer=customer)
    return CaseOption(id="x", label="Cancel and refund", consequence=consequence, reversible=reversible)


class TestWhoAsked:
    @pytest.mark.parametrize(
        ("requester", "words"),
        [
            ("key:oms", "the system oms"),
            ("customer:c1", "the customer"),
            ("endcap", "Endcap, by policy"),
            ("sam", "sam"),
        ],
    )
    def test_nobody_is_shown_by_the_name_of_their_key(self, requester: str, words: str) -> None:
        assert said.requester_words(requester) == words

    @pytest.mark.parametrize("requester", ["key:oms", "customer:c1", "endcap"])
    def test_only_people_read_reasons_and_answer_questions(self, requester: str) -> None:
        asked = approval(kind="promotion", requester=requester, requester_name="the system oms")
        assert "reads your reason" not in said.if_rejected(asked)
        assert said.whom_to_ask(asked) == "regional operations"
        assert said.whom_to_ask(approval()) == "Sam Okafor"


class TestWhatIsAsked:
    def test_a_kind_is_not_said_twice(self) -> None:
        assert said.asked_for(approval(kind="transfer", subject="Transfer T-1: A to B")) == "Transfer T-1: A to B"
        back = approval(kind="return_override", subject="Return RT-1: take back what was refused")
        assert said.asked_for(back) == "Return RT-1: take back what was refused"
        assert said.asked_for(approval()) == "Refund: Cancel and refund: order W-1"

    @pytest.mark.parametrize(
        ("kind", "subject", "words"),
        [
            ("transfer", "Transfer T-1: A to B", "T-1: A to B"),
            ("refund", "Refund of return RT-1", "of return RT-1"),
            ("refund", "Cancel and refund: order W-1", "Cancel and refund: order W-1"),
        ],
    )
    def test_nor_beside_its_amount(self, kind: str, subject: str, words: str) -> None:
        assert said.in_short(approval(kind=kind, subject=subject)) == words

    def test_it_is_named_with_its_amount(self) -> None:
        assert said.headline(approval()) == "Refund of 31.20 EUR"
        assert said.headline(approval(), begins=False) == "refund of 31.20 EUR"
        assert said.amount_name(approval()) == "Amount"
        assert said.amount_name(approval(kind="promotion")) == "Given at forecast"

    def test_what_is_about_no_money_names_none(self) -> None:
        change = approval(kind="policy_change", amount_minor=0)
        assert said.amount_words(change) == ""
        assert said.headline(change) == "Policy change"
        assert said.headline(change, begins=False) == "policy change"

    @pytest.mark.parametrize(
        ("label", "amount_minor", "words"),
        [
            ("refund", -3_120, "Refund: 31.20 EUR"),
            ("Refund", 3_120, "Refund: 31.20 EUR"),
            ("Goods at selling price", -3_120, "Goods at selling price: −31.20 EUR"),
        ],
    )
    def test_a_refund_needs_no_sign(self, label: str, amount_minor: int, words: str) -> None:
        assert said.effect_words(MoneyEffect(label=label, amount_minor=amount_minor, currency="EUR")) == words

    def test_effects_are_sentences(self) -> None:
        money = MoneyEffect(label="refund", amount_minor=-3_120, currency="EUR")
        assert list(said.effects(option(money, customer="gets the money."))) == [
            "Refund: 31.20 EUR.",
            "The customer: Gets the money.",
        ]
        assert said.effects(None) == ()


class TestVerdicts:
    def test_the_last_word_that_is_needed_carries_it_out(self) -> None:
        assert said.if_approved(approval(option=option())) == "“Cancel and refund” is carried out at once."
        waits = said.if_approved(approval(option=option(), quorum=3, agreed=0))
        assert waits == "Your word is recorded. Once 2 more have agreed, “Cancel and refund” is carried out."

    @pytest.mark.parametrize(
        "kind",
        [
            "adjustment",
            "claim",
            "count",
            "policy_change",
            "promotion",
            "refund",
            "return_override",
            "transfer",
            "write_off",
        ],
    )
    def test_each_kind_that_asks_by_itself_says_what_follows(self, kind: str) -> None:
        asked = approval(kind=kind, case_id=None)
        assert "the request is carried out" not in said.if_approved(asked).lower()
        assert not said.if_rejected(asked).startswith("Nothing happens")

    def test_a_kind_without_words_of_its_own_has_general_ones(self) -> None:
        asked = approval(kind="something new", case_id=None)
        assert said.if_approved(asked) == "The request is carried out at once."
        assert said.if_rejected(asked) == "Nothing happens; Sam Okafor reads your reason."
        assert said.expired(asked) == ""

    def test_what_belongs_to_a_case_goes_back_to_its_owner(self) -> None:
        assert "goes back to its owner" in said.if_rejected(approval())
        assert said.expired(approval()) == "the case goes back to its owner"

    def test_a_way_out_that_can_be_taken_back_says_so(self) -> None:
        assert said.lasting(approval(option=option(reversible=True))) == "Nothing: this can be taken back."
        assert "Money that has gone back" in said.lasting(approval(option=option()))


class TestSilence:
    def test_it_climbs_then_expires_and_never_approves(self) -> None:
        climbs = said.if_silent(approval(next_role="head_office"))
        assert (climbs.at, climbs.after) == (AT, f" it goes to head office as well. {said.NEVER_BY_SILENCE}")
        ends = said.if_silent(approval(kind="claim", case_id=None))
        assert ends.after == f" it expires and what it claims belongs to the next claim. {said.NEVER_BY_SILENCE}"

    def test_a_clock_that_stands_waits_for_somebody_who_can_answer(self) -> None:
        assert "until Sam Okafor has answered" in said.if_silent(approval(paused_at=AT)).after
        by_system = approval(paused_at=AT, requester="key:oms", requester_name="the system oms")
        assert "until somebody has answered" in said.if_silent(by_system).after
