"""A claim against a vendor, from what was frozen to the last cent of it."""

from datetime import timedelta
from typing import Any

import pytest

from ledger import decisions
from ledger.claim import preparing
from tests.ledger.support.claims import FREELY, Claimed, now, prepare
from tests.ledger.support.funding import ENDS, ERP, STARTS, accruals, agree, balance, promoted, sell
from tests.ledger.support.returning import Back
from tests.shop import ANA, FIN, WEB, Shop

BIG = {"kind": "scan_back", "rate_minor": 30_000}  # a unit pays 300.00


async def policy(shop: Shop, values: str) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('p', '2020-01-01', CAST(:b AS jsonb))",
        b=values,
    )


async def sent(shop: Shop, *quantities: int, **more: Any) -> Claimed:
    """An agreement whose claim has gone to the vendor with a line for each promotion, so many units of each."""
    promotions = [f"P{number}" for number in range(1, len(quantities) + 1)]
    await agree(shop, promotions=promotions, **more)
    receipts = zip(promotions, quantities, strict=True)
    await sell(shop, *(promoted(units, promotion_id=name) for name, units in receipts), caller=WEB)
    it = await Claimed.prepared(shop)
    assert await it.state() == "sent"
    return it


class TestPreparing:
    async def test_what_has_accrued_is_frozen_and_sent(self, shop: Shop) -> None:
        it = await sent(shop, 3, 2)
        assert await it.head() == {"amount": 250}
        assert (await balance(shop, "vendor_claims"), await balance(shop, "vendor_funding")) == (250, 0)
        assert await it.mails() == ["claim_sent"]
        assert set((await it.row())["dues"]) == {"answer"}
        assert await shop.value("SELECT count(*) FROM claim_line") == 2

    async def test_nothing_is_claimed_before_its_time_nor_twice(self, shop: Shop) -> None:
        await agree(shop)
        await sell(shop, promoted(2))
        assert await prepare(shop, ENDS + timedelta(days=29)) == []
        assert len(await prepare(shop)) == 1
        assert await prepare(shop) == []

    async def test_an_agreement_claims_at_each_interval_and_at_the_end(self, shop: Shop) -> None:
        await agree(shop, claim_every_days=7)
        made = []
        for week in range(1, 4):
            await sell(shop, promoted(week, day=week * 7 - 2))
            made += await prepare(shop, STARTS + timedelta(days=week * 7, hours=1))
        await sell(shop, promoted(1, day=30))
        made += await prepare(shop)  # the weeks between had nothing to claim
        made += await prepare(shop)
        assert made == [f"claim:erp:A-17-{number}" for number in range(1, 5)]
        kinds = "SELECT string_agg(kind || ' ' || amount_minor, ', ' ORDER BY journey_id) FROM claim"
        assert await shop.value(kinds) == "periodic 50, periodic 100, periodic 150, periodic 50"
        # The last interval that was missed is claimed first; at the end of the window nothing was left.
        assert await shop.value("SELECT final_claim_at IS NOT NULL AND next_claim_at IS NULL FROM funding_agreement")

    async def test_an_agreement_that_has_accrued_nothing_has_no_claim(self, shop: Shop) -> None:
        await agree(shop)
        assert await prepare(shop) == []
        assert await shop.value("SELECT final_claim_at IS NOT NULL FROM funding_agreement")

    async def test_a_person_may_ask_for_one_before(self, shop: Shop) -> None:
        key = await agree(shop)
        await sell(shop, promoted(2))
        made = await preparing.prepare_now(shop.database, key, ERP, at=now(), via="test")
        assert await Claimed(shop, made).head() == {"amount": 100}

    async def test_a_large_one_needs_agreement_by_somebody_else(self, shop: Shop) -> None:
        await agree(shop, terms=BIG)
        await sell(shop, promoted(4))
        it = await Claimed.prepared(shop)
        assert await it.state() == "prepared"
        assert await balance(shop, "vendor_claims") == 0
        assert await it.agree() == "sent"
        assert await balance(shop, "vendor_claims") == 120_000

    async def test_what_a_rejected_one_claims_belongs_to_the_next(self, shop: Shop) -> None:
        key = await agree(shop, terms=BIG)
        await sell(shop, promoted(4))
        it = await Claimed.prepared(shop)
        assert await it.agree("reject") == "cancelled"
        again = await preparing.prepare_now(shop.database, key, ERP, at=now(), via="test")
        assert again == "claim:erp:A-17-2"
        assert await Claimed(shop, again).head() == {"amount": 120_000}

    async def test_a_vendor_without_an_address_is_handed_it(self, shop: Shop) -> None:
        await agree(shop, claims_email="")
        await sell(shop, promoted(2))
        it = await Claimed.prepared(shop)
        assert (await it.state(), await it.mails()) == ("approved", [])
        assert (await it.report("answered", settlement="cash")).outcome == "refused"
        assert await it.due("unsent") == "approved"
        assert await it.cases() == ["claim_overdue"]
        assert (await it.report("sent")).outcome == "accepted"
        assert (await it.state(), await it.cases()) == ("sent", [])
        assert (await it.report("sent")).problem["code"] == "state_conflict"  # type: ignore[index]

    async def test_one_that_nobody_hands_over_can_be_withdrawn(self, shop: Shop) -> None:
        await agree(shop, claims_email="")
        await sell(shop, promoted(2))
        it = await Claimed.prepared(shop)
        await it.due("unsent")
        assert await it.decide("withdraw") == "cancelled"
        assert await balance(shop, "vendor_funding") == 100

    async def test_the_rest_of_a_lump_sum_comes_with_the_last_claim(self, shop: Shop) -> None:
        await agree(shop, terms={"kind": "lump_sum", "amount_minor": 1_000, "expected_units": 3})
        await sell(shop, promoted(1), promoted(1, event_id="back"), caller=WEB)
        assert await balance(shop, "vendor_funding") == 666
        it = await Claimed.prepared(shop)
        assert await it.head() == {"amount": 1_000}
        back = await Back.open(shop, quantity=1, method="mail", receipt={"number": "R-back", "tender": "card"})
        await back.receive()
        await sell(shop, promoted(2))
        assert await balance(shop, "vendor_funding") == 0  # a sum that is due whole changes no more


class TestAnswer:
    async def test_all_of_it_by_deduction_settles_it(self, shop: Shop) -> None:
        it = await sent(shop, 3, 2)
        assert await it.answered(settlement="deduction") == "settled"
        assert await it.head() == {"amount": 250, "accepted": 250, "settled": 250}
        assert await balance(shop, "accounts_payable") == 250
        assert (await it.row())["closed_at"] is not None

    async def test_all_of_it_by_cash_waits_for_the_money(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        assert await it.answered() == "matched"
        assert await it.paid(100) == "partially_settled"
        assert await it.paid(50) == "settled"
        assert await balance(shop, "payment_clearing") == 3 * 1_200 + 150
        assert (await it.row())["dues"] == {}

    async def test_money_that_comes_before_any_answer_counts(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        assert await it.paid(150) == "settled"

    async def test_what_is_too_little_to_ask_about_is_written_off(self, shop: Shop) -> None:
        it = await sent(shop, 200)
        assert await it.answered(9_950) == "matched"
        assert (await it.cases(), await it.head()) == ([], {"amount": 10_000, "accepted": 9_950, "written_off": 50})
        assert await it.paid(9_950) == "settled"
        assert await balance(shop, "funding_written_off") == 50

    async def test_less_than_was_claimed_is_a_case(self, shop: Shop) -> None:
        it = await sent(shop, 3, 2)
        assert await it.answered(150, 20, settlement="deduction", reason="over_cap") == "partially_settled"
        assert await it.cases() == ["claim_short_paid"]
        facts = await shop.value("SELECT facts FROM case_file WHERE kind = 'claim_short_paid'")
        assert facts["short_minor"] == 80
        assert [line["reason"] for line in facts["lines"]] == ["over_cap"]

    async def test_nothing_of_it_is_a_case_of_its_own(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        await it.answered(0)
        assert await it.cases() == ["claim_rejected"]

    @pytest.mark.parametrize(
        ("lines", "says"),
        [
            ([{"line_id": "1", "accepted_minor": 150}], "Lines 2 have no answer"),
            ([{"line_id": "9", "accepted_minor": 1}], "has no line 9"),
            ([{"line_id": "1", "accepted_minor": 151}, {"line_id": "2", "accepted_minor": 0}], "1.50"),
            ([{"line_id": "1", "accepted_minor": -1}, {"line_id": "2", "accepted_minor": 0}], "1.50"),
            ([{"line_id": "1", "accepted_minor": 1}] * 2, "same line_id"),
            ([], "at least 1"),
        ],
    )
    async def test_an_answer_that_does_not_fit_is_refused_by_name(
        self, shop: Shop, lines: list[dict[str, Any]], says: str
    ) -> None:
        it = await sent(shop, 3, 2)
        outcome = await it.report("answered", lines=lines, settlement="cash")
        assert outcome.outcome == "refused"
        assert says in str(outcome.problem)
        assert await it.state() == "sent"

    async def test_more_money_than_is_open_is_set_aside(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        outcome = await it.report("settled", amount_minor=151, settlement="cash")
        assert outcome.outcome == "quarantined"
        assert "1.50" in str(outcome.problem)
        assert await it.head() == {"amount": 150}

    async def test_what_was_paid_cannot_be_taken_back_by_an_answer(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        await it.paid(100)
        assert (await it.report("answered", lines=[{"line_id": "1", "accepted_minor": 50}], settlement="cash")
                ).outcome == "refused"  # fmt: skip

    async def test_the_same_answer_again_changes_nothing(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        answer = {"settlement": "deduction", "lines": None}
        assert (await it.report("answered", "E-1", **answer)).outcome == "accepted"
        assert (await it.report("answered", "E-1", **answer)).outcome == "duplicate"
        refused = await it.report("answered", "E-2", **answer)
        assert (refused.outcome, refused.problem["code"]) == ("refused", "state_conflict")  # type: ignore[index]
        assert await balance(shop, "accounts_payable") == 150

    async def test_who_pays_more_than_it_accepted_has_accepted_it(self, shop: Shop) -> None:
        it = await sent(shop, 3, 2)
        await it.answered(150, 0)
        assert await it.paid(250) == "settled"
        assert (await it.cases(), await it.head()) == ([], {"amount": 250, "accepted": 250, "settled": 250})


class TestDecision:
    async def short(self, shop: Shop) -> Claimed:
        it = await sent(shop, 3, 2)
        await it.answered(150, 20, settlement="deduction")
        return it

    async def test_the_vendor_is_right(self, shop: Shop) -> None:
        before = await balance(shop, "cogs")
        it = await self.short(shop)
        assert await it.decide("accept") == "settled"
        assert await it.head() == {"amount": 250, "accepted": 170, "settled": 170, "released": 80}
        assert await balance(shop, "cogs") - before == 5 * 600 - 170

    async def test_it_is_written_off(self, shop: Shop) -> None:
        it = await self.short(shop)
        assert await it.decide("write_off") == "settled"
        assert await balance(shop, "funding_written_off") == 80
        assert await balance(shop, "vendor_claims") == 0

    async def test_a_large_write_off_needs_somebody_else(self, shop: Shop) -> None:
        await policy(shop, '{"bands": {"write_off_minor": 80}}')
        it = await self.short(shop)
        await it.decide("write_off")
        assert await balance(shop, "funding_written_off") == 0
        assert await it.verdict("reject") == "partially_settled"
        assert await it.cases() == ["claim_short_paid"]
        offered = await shop.value("SELECT options FROM case_file WHERE kind = 'claim_short_paid'")
        assert {one["id"]: one["allowed"] for one in offered}["write_off"] is False
        await it.decide("accept")
        assert await it.verdict() == "settled"
        assert await balance(shop, "funding_written_off") == 0

    async def test_it_is_claimed_again_with_the_next_claim(self, shop: Shop) -> None:
        it = await self.short(shop)
        assert await it.decide("reclaim") == "settled"
        assert (await balance(shop, "vendor_claims"), await balance(shop, "vendor_funding")) == (0, 80)
        again = await preparing.prepare_now(shop.database, "erp:A-17", ERP, at=now(), via="test")
        assert await Claimed(shop, again).head() == {"amount": 80}
        assert await Claimed(shop, again).answered(settlement="deduction") == "settled"

    async def test_a_dispute_is_answered_again(self, shop: Shop) -> None:
        it = await self.short(shop)
        assert await it.decide("dispute", ground="over_cap") == "disputed"
        assert (await it.cases(), await it.mails()) == ([], ["claim_sent", "claim_disputed"])
        assert await it.answered(150, 100, settlement="deduction") == "settled"
        assert await it.head() == {"amount": 250, "accepted": 250, "settled": 250}

    async def test_a_vendor_is_disputed_with_so_often_and_no_more(self, shop: Shop) -> None:
        it = await self.short(shop)
        for _ in range(2):
            await it.decide("dispute", ground="no_proof")
            await it.answered(150, 20)
        offered = await shop.value(
            "SELECT options FROM case_file WHERE closed_at IS NULL AND kind = 'claim_short_paid'"
        )
        assert {one["id"]: one["allowed"] for one in offered}["dispute"] is False

    async def test_silence_to_a_dispute_asks_again(self, shop: Shop) -> None:
        it = await self.short(shop)
        await it.decide("dispute", ground="wrong_period")
        await it.due("answer")
        assert await it.cases() == ["claim_short_paid"]

    async def test_an_answer_that_comes_first_heals_the_case(self, shop: Shop) -> None:
        it = await self.short(shop)
        assert await it.answered(150, 100, settlement="deduction") == "settled"
        assert await it.cases() == []
        assert await shop.value("SELECT state FROM case_file WHERE kind = 'claim_short_paid'") == "cancelled"


class TestSilence:
    async def test_a_vendor_that_says_nothing_is_reminded(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        await it.due("answer")
        assert await it.cases() == ["claim_overdue"]
        assert await it.decide("chase") == "sent"
        assert await it.mails() == ["claim_sent", "claim_reminder"]
        assert set((await it.row())["dues"]) == {"answer"}

    async def test_what_it_owes_is_taken_off_what_it_is_owed_when_finance_agrees(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        await it.due("answer")
        await it.decide("deduct")
        assert await balance(shop, "accounts_payable") == 0
        assert await it.verdict() == "settled"
        assert await balance(shop, "accounts_payable") == 150

    async def test_accepted_and_not_paid_is_written_off_whole(self, shop: Shop) -> None:
        it = await sent(shop, 3, 2)
        await it.answered()
        await it.paid(170)
        await it.due("payment")
        assert await it.cases() == ["claim_overdue"]
        assert await it.decide("write_off") == "settled"
        assert await it.head() == {"amount": 250, "accepted": 170, "settled": 170, "written_off": 80}

    async def test_a_payment_that_comes_first_heals_the_case(self, shop: Shop) -> None:
        it = await sent(shop, 3)
        await it.due("answer")
        assert await it.paid(150) == "settled"
        assert await it.cases() == []

    async def test_one_question_at_a_time(self, shop: Shop) -> None:
        it = await sent(shop, 3, 2)
        await it.answered(150, 0)
        await it.due("payment")
        assert await it.cases() == ["claim_short_paid"]
        await it.decide("accept")
        assert "payment" in (await it.row())["dues"]
        await it.due("payment")
        assert await it.cases() == ["claim_overdue"]


class TestLate:
    async def test_late_sales_wait_for_a_claim_of_their_own(self, shop: Shop) -> None:
        await sent(shop, 3)
        await sell(shop, promoted(20, promotion_id="P1"))
        assert await prepare(shop, now() + timedelta(days=29)) == []
        (late,) = await prepare(shop, now() + timedelta(days=31))
        assert await Claimed(shop, late).head() == {"amount": 1_000}
        assert await shop.value("SELECT kind FROM claim WHERE journey_id = :id", id=late) == "late"

    async def test_a_late_return_gives_the_vendor_its_money_back(self, shop: Shop) -> None:
        await agree(shop, terms={"kind": "scan_back", "rate_minor": 700}, promotions=["P1"])
        await sell(shop, promoted(3, promotion_id="P1", event_id="one"), caller=WEB)
        first = await Claimed.prepared(shop)
        await first.answered(settlement="deduction")
        back = await Back.open(shop, quantity=1, method="mail", receipt={"number": "R-one", "tender": "card"})
        await back.receive()
        (late,) = await prepare(shop, now() + timedelta(days=31))
        it = Claimed(shop, late)
        assert (await it.state(), await it.head()) == (
            "settled", {"amount": -700, "accepted": -700, "settled": -700}
        )  # fmt: skip
        assert await balance(shop, "accounts_payable") == 2 * 700

    async def test_what_is_too_little_to_claim_is_released(self, shop: Shop) -> None:
        await sent(shop, 3)
        await sell(shop, promoted(1, promotion_id="P1"))
        (late,) = await prepare(shop, now() + timedelta(days=31))
        it = Claimed(shop, late)
        assert (await it.state(), await it.head()) == ("written_off", {"amount": 50, "released": 50})
        assert await balance(shop, "vendor_funding") == 0


class TestAbandoned:
    async def test_one_that_has_not_gone_out_can_be_ended(self, shop: Shop) -> None:
        from ledger.claim import steps

        await agree(shop, terms=BIG)
        await sell(shop, promoted(4))
        it = await Claimed.prepared(shop)
        await it.take(steps.suspend, reason="RuntimeError")
        number = await shop.value("SELECT id FROM case_file WHERE kind = 'journey_stuck'")
        await decisions.decide(shop.database, number, FIN, option_id="abandon", parameters={}, note="x", via="test")
        assert await it.state() == "cancelled"
        assert [row[3] for row in await accruals(shop)] == [120_000]
        assert (FREELY, ANA)[1].id == "ana"
