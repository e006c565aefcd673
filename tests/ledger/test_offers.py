"""The customer is asked by link: what is held meanwhile, what each answer does, and who wins when two things meet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Malformed, NotFound, OfferAnswered, OfferExpired
from ledger import verdicts
from ledger.bopis import steps
from ledger.reads.approvals import approval_detail
from ledger.reads.cases import case_detail
from tests.ledger.support.books import accounts
from tests.ledger.support.offers import OOLONG, Asked, asked, line, with_substitute
from tests.ledger.support.orders import decide, failed_order, pick, step
from tests.ledger.test_shipping import failed, warehouse
from tests.shop import ADA, MAX, TEA, Shop


class TestAsking:
    async def test_the_substitute_is_held_while_the_customer_thinks(self, shop: Shop) -> None:
        order = await asked(shop)
        held = await order.situation()
        assert (held.state, held.case_id, held.offer_id) == ("substituting", None, await order.value("id"))
        assert [due.name for due in held.dues] == ["offer"]
        assert await shop.value("SELECT available || '/' || reserved FROM stock WHERE sku = :s", s=OOLONG) == "7/3"
        assert await order.units() == {TEA: (8, 5)}
        assert await order.mails() == ["offer_made"]
        assert await shop.value("SELECT sum(quantity) FROM waiting_demand WHERE ended_at IS NULL") == 3

    async def test_it_is_asked_once_however_often_the_step_is_taken(self, shop: Shop) -> None:
        order = await asked(shop)
        await order.look_for_a_way("1")
        await order.look_for_a_way("2")
        assert await shop.value("SELECT count(*) FROM offer") == 1

    @pytest.mark.parametrize(
        "more",
        [
            {"lines": [line(8, substitution="never")]},
            {"customer": {"name": "Kim Lee"}},
        ],
        ids=["not allowed", "no address"],
    )
    async def test_otherwise_somebody_has_to_choose(self, shop: Shop, more: dict[str, Any]) -> None:
        order = await asked(shop, **more)
        held = await order.situation()
        assert (held.state, held.offer_id) == ("reservation_failed", None)
        assert held.case_id is not None

    async def test_one_line_that_must_not_be_replaced_keeps_the_question_from_all(self, shop: Shop) -> None:
        both = [line(6), line(6, "2", substitution="never")]
        order = await asked(shop, 12, lines=both)
        assert (await order.situation()).case_id is not None

    async def test_allowed_beforehand_is_replaced_at_once_and_told(self, shop: Shop) -> None:
        order = await asked(shop, lines=[line(8, substitution="auto")], price_minor=1_400)
        assert (await order.situation()).state == "reserved"
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}
        assert await order.mails() == ["order_substituted"]
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 300

    async def test_allowed_beforehand_but_too_dear_is_asked_all_the_same(self, shop: Shop) -> None:
        order = await asked(shop, lines=[line(8, substitution="auto")], price_minor=1_900)
        assert (await order.situation()).state == "substituting"

    async def test_a_person_may_have_the_customer_asked(self, shop: Shop) -> None:
        journey, number = await _at_two_stores(shop)
        answer = await decide(shop, number, "offer:other_store:S2")
        told = await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        assert (told.state, told.case_id) == ("awaiting_customer", None)
        assert told.offer_id is not None
        assert await shop.value("SELECT state FROM case_file WHERE id = :id", id=number) == "resolved"
        assert await shop.value("SELECT reserved FROM stock WHERE location = 'S2' AND sku = :s", s=TEA) == 4
        assert await shop.value("SELECT asked_by FROM offer") == "ana"


async def _at_two_stores(shop: Shop) -> tuple[str, int]:
    """Four packs ordered where two are left, and five at the other store."""
    await shop.put("S1", 2)
    return await failed_order(shop, 4)


class TestAnswers:
    async def test_a_yes_makes_the_held_units_the_orders_own(self, shop: Shop) -> None:
        order = await asked(shop)
        done = await order.answer("accept")
        assert done.state == "applied"
        held = await order.situation()
        assert (held.state, held.offer_id) == ("reserved", None)
        assert "offer" not in [due.name for due in held.dues]
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}
        assert await shop.value("SELECT available || '/' || reserved FROM stock WHERE sku = :s", s=OOLONG) == "7/3"
        assert await order.mails() == ["offer_made", "order_substituted"]
        assert await shop.value("SELECT count(*) FROM waiting_demand WHERE ended_at IS NULL") == 0

    async def test_a_cheaper_one_pays_the_difference_back(self, shop: Shop) -> None:
        order = await asked(shop, price_minor=1_400)
        await order.answer("accept")
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 300

    async def test_a_dearer_one_within_the_limit_is_ours(self, shop: Shop) -> None:
        order = await asked(shop, price_minor=1_600)
        assert (await order.answer("accept")).state == "applied"
        assert await shop.value("SELECT count(*) FROM approval") == 0
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 0

    async def test_something_else_offers_the_next_and_then_asks_a_person(self, shop: Shop) -> None:
        await with_substitute(shop, sku="MATE", rank=2)
        order = await asked(shop)
        assert (await order.answer("other")).state == "declined"
        assert (await order.situation()).state == "reservation_failed"
        held = await order.look_for_a_way("2")
        assert held.case_id is not None
        async with shop.database.read() as conn:
            found = await case_detail(conn, ADA, held.case_id)
        ways = {option.id: option for option in found.options}
        assert not ways["offer:substitute"].allowed
        assert ways["substitute"].allowed
        (before,) = found.facts["customer_was_asked"]
        assert (before["offered"], before["answer"]) == ("Substitute: Oolong", "something else")
        assert await shop.value("SELECT available FROM stock WHERE sku = :s", s=OOLONG) == 10

    async def test_leaving_it_out_refunds_it_and_keeps_the_rest(self, shop: Shop) -> None:
        order = await asked(shop)
        await order.answer("leave_out")
        assert (await order.situation()).state == "reserved"
        assert await order.units() == {TEA: (5, 5)}
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 4_500
        assert await shop.value("SELECT available FROM stock WHERE sku = :s", s=OOLONG) == 10
        assert await order.mails() == ["offer_made", "line_refunded"]

    async def test_leaving_out_all_there_is_cancels_the_order(self, shop: Shop) -> None:
        await shop.put("S1", 0)
        order = await asked(shop, 3)
        await order.answer("leave_out")
        assert (await order.situation()).state == "cancelled"
        assert await order.mails() == ["offer_made", "order_cancelled"]

    async def test_cancelling_gives_everything_back(self, shop: Shop) -> None:
        order = await asked(shop)
        await order.answer("cancel")
        assert (await order.situation()).state == "cancelled"
        assert await order.value("answer") == "cancel"
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 12_000
        assert await shop.value("SELECT sum(reserved) FROM stock") == 0

    async def test_another_store_moves_the_order_there(self, shop: Shop) -> None:
        journey, number = await _at_two_stores(shop)
        answer = await decide(shop, number, "offer:other_store:S2")
        await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        order = Asked(shop, journey)
        await order.answer("accept")
        assert (await order.situation()).state == "reserved"
        assert await shop.value("SELECT location FROM journey") == "S2"
        seen = await shop.value("SELECT array_agg(available || '/' || reserved ORDER BY location) FROM stock")
        assert seen == ["2/0", "1/4"]
        assert (await order.mails())[-1] == "order_moved"

    async def test_waiting_is_agreed_by_link_too(self, shop: Shop) -> None:
        journey, number = await _at_two_stores(shop)
        answer = await decide(shop, number, "offer:wait")
        await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        order = Asked(shop, journey)
        await order.answer("accept")
        held = await order.situation()
        assert (held.state, [due.name for due in held.dues]) == ("reservation_failed", ["wait"])
        assert await shop.value("SELECT sum(quantity) FROM waiting_demand WHERE ended_at IS NULL") == 2

    @pytest.mark.parametrize("words", ["", "yes", "applied"])
    async def test_a_word_that_is_no_answer_changes_nothing(self, shop: Shop, words: str) -> None:
        order = await asked(shop)
        with pytest.raises(Malformed):
            await order.answer(words)
        assert await order.value("state") == "open"

    async def test_an_offer_that_never_was_is_not_known(self, shop: Shop) -> None:
        order = await asked(shop)
        with pytest.raises(NotFound):
            await order.answer("accept", offer_id=999_999)

    async def test_the_second_answer_is_told_of_the_first(self, shop: Shop) -> None:
        order = await asked(shop)
        await order.answer("accept")
        with pytest.raises(OfferAnswered, match="answered already"):
            await order.answer("cancel")
        assert (await order.situation()).state == "reserved"


class TestSilence:
    async def test_what_is_missing_is_refunded(self, shop: Shop) -> None:
        order = await asked(shop)
        assert (await order.silence()).state == "reserved"
        assert await order.value("state") == "expired"
        assert await order.units() == {TEA: (5, 5)}
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 4_500
        assert await shop.value("SELECT available FROM stock WHERE sku = :s", s=OOLONG) == 10

    async def test_or_the_whole_order_where_it_says_so(self, shop: Shop) -> None:
        order = await asked(shop, lines=[line(8, fallback="cancel_order")])
        assert (await order.silence()).state == "cancelled"
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 12_000

    async def test_an_answer_that_was_recorded_first_beats_the_timer(self, shop: Shop) -> None:
        order = await asked(shop)
        await order.answer("accept")
        assert (await order.silence()).state == "reserved"
        assert await order.value("state") == "applied"
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}

    async def test_an_answer_after_the_time_is_refused_by_name(self, shop: Shop) -> None:
        order = await asked(shop)
        await shop.change("UPDATE journey SET clock_offset_s = 10800")
        with pytest.raises(OfferExpired, match="ended"):
            await order.answer("accept")
        await order.silence()
        with pytest.raises(OfferExpired):
            await order.answer("accept")

    async def test_the_time_ends_before_the_promise_and_never_at_once(self, shop: Shop) -> None:
        soon = datetime.now(UTC) + timedelta(hours=1, minutes=30)
        order = await asked(shop, promised_at=soon.isoformat())
        left = await order.value("due_at") - await order.value("at")
        assert timedelta(minutes=59) < left <= timedelta(hours=1)
        broken = Asked(shop, await shop.order(3, lines=[line(3)], promised_at=datetime.now(UTC).isoformat()))
        await broken.look_for_a_way("1")
        assert await broken.value("due_at") - await broken.value("at") == timedelta(minutes=30)


class TestTooDear:
    async def _accepted(self, shop: Shop) -> tuple[Asked, int]:
        """Three packs at 4.00 more each: 12.00, above the limit of 10.00."""
        order = await asked(shop, price_minor=1_900)
        done = await order.answer("accept")
        assert done.state == "accepted"
        held = await order.situation()
        assert held.approval_id is not None
        assert held.state == "substituting"
        return order, held.approval_id

    async def test_it_waits_for_an_approval_while_the_goods_are_held(self, shop: Shop) -> None:
        order, number = await self._accepted(shop)
        assert (
            await shop.value("SELECT kind || amount_minor FROM approval WHERE id = :n", n=number) == "appeasement1200"
        )
        assert await shop.value("SELECT reserved FROM stock WHERE sku = :s", s=OOLONG) == 3
        assert (await order.situation()).dues == ()

    async def test_the_approver_reads_what_the_customer_accepted_and_what_a_no_means(self, shop: Shop) -> None:
        _, number = await self._accepted(shop)
        async with shop.database.read() as conn:
            asked_for = await approval_detail(conn, MAX, number)
        assert asked_for.requester_name == "Endcap, by policy"
        assert asked_for.option is not None
        assert asked_for.option.label == "Substitute: Oolong"
        assert asked_for.may_decide

    async def test_approved_it_is_applied(self, shop: Shop) -> None:
        order, number = await self._accepted(shop)
        await verdicts.record_verdict(shop.database, number, MAX, verdict="approve", note="", via="link")
        assert (await order.verdict()).state == "reserved"
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}
        assert await order.value("state") == "applied"

    async def test_rejected_the_line_is_refunded(self, shop: Shop) -> None:
        order, number = await self._accepted(shop)
        await verdicts.record_verdict(shop.database, number, MAX, verdict="reject", note="Too dear.", via="link")
        told = await order.verdict()
        assert (told.state, told.verdict, told.approval_id) == ("reserved", None, None)
        assert await order.value("state") == "rejected"
        assert await shop.value("SELECT sum(refund_requested_minor) FROM payment") == 4_500
        assert await shop.value("SELECT available FROM stock WHERE sku = :s", s=OOLONG) == 10

    async def test_cancelled_meanwhile_the_approval_is_superseded(self, shop: Shop) -> None:
        order, number = await self._accepted(shop)
        await shop.report("bopis.cancelled", journey_id=order.journey)
        assert await shop.value("SELECT state FROM approval WHERE id = :n", n=number) == "superseded"
        assert (await order.situation()).state == "cancelled"

    async def test_what_turns_up_after_the_yes_is_for_others(self, shop: Shop) -> None:
        order, number = await self._accepted(shop)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
        await verdicts.record_verdict(shop.database, number, MAX, verdict="approve", note="", via="link")
        await order.verdict()
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :s", s=TEA) == 3


class TestBooks:
    async def test_a_dear_substitute_that_was_handed_over_is_earned_in_full(self, shop: Shop) -> None:
        order = await asked(shop, price_minor=1_600)
        await order.answer("accept")
        for number, quantity in (("1", 5), (f"1~{OOLONG}", 3)):
            assert (await pick(shop, order.journey, quantity, line=number)).outcome == "accepted"
        assert (await shop.report("bopis.handed_over", journey_id=order.journey, actor="p1")).outcome == "accepted"
        books = await accounts(shop.database)
        assert -books["revenue"] == 5 * 1_500 + 3 * 1_600
        assert books["appeasement"] == 300
        assert "promotional_discounts" not in books
        assert "customer_deposits" not in books

    async def test_the_customers_own_discount_stays_a_discount(self, shop: Shop) -> None:
        """Eight at 15.00 less 1.00 each; the three that lack come dearer by 1.00 each."""
        lines = [line(8, discount_minor=800)]
        paid = [{"reference": "card-1", "tender": "card", "amount_minor": 11_200, "state": "captured"}]
        order = await asked(shop, price_minor=1_600, lines=lines, payments=paid)
        await order.answer("accept")
        await pick(shop, order.journey, 5)
        await pick(shop, order.journey, 3, line=f"1~{OOLONG}")
        await shop.report("bopis.handed_over", journey_id=order.journey, actor="p1")
        books = await accounts(shop.database)
        assert (books["promotional_discounts"], books["appeasement"]) == (800, 300)
        assert books["payment_clearing"] == 11_200


async def test_a_decision_about_a_way_that_is_gone_gives_the_case_back(shop: Shop) -> None:
    journey, number = await _at_two_stores(shop)
    answer = await decide(shop, number, "offer:other_store:S2")
    await shop.put("S2", 1)
    told = await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
    assert (told.state, told.case_id, told.offer_id) == ("reservation_failed", number, None)
    assert await shop.value("SELECT state FROM case_decision") == "refused"


async def test_sent_home_from_the_warehouse_with_the_customers_yes(shop: Shop) -> None:
    await warehouse(shop)
    journey, number = await failed(shop)
    answer = await decide(shop, number, "offer:ship_to_home:DC")
    told = await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
    assert told.state == "awaiting_customer"
    assert await shop.value("SELECT reserved FROM stock WHERE location = 'DC'") == 8
    order = Asked(shop, journey)
    await order.answer("accept")
    assert (await order.situation()).state == "to_be_shipped"
    assert await shop.value("SELECT sum(reserved) FROM stock WHERE location = 'DC'") == 8
    assert await shop.value("SELECT sum(reserved) FROM stock WHERE location = 'S1'") == 0
