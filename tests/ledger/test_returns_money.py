"""The money of returns in the ledger: what goes back when, to whom, after whose word, and each unit once."""

import pytest

from ledger import decisions
from ledger.returns import requests
from tests.ledger.support.books import accounts
from tests.ledger.support.returning import Back, ask, asked, collected, receipt, shelf
from tests.shop import ANA, FIN, PRICE_MINOR, TEA, WEB, Shop


class TestRefund:
    async def test_the_share_that_was_paid_with_its_tax_and_the_last_unit_takes_the_rest(self, shop: Shop) -> None:
        lines = [
            {
                "line_id": "1",
                "sku": TEA,
                "quantity": 3,
                "unit_price_minor": 1_000,
                "discount_minor": 500,
                "tax_minor": 475,
            }
        ]
        pays = [{"reference": "c", "tender": "card", "amount_minor": 2_975, "state": "captured"}]
        order = await collected(shop, 3, lines=lines, payments=pays, prices_include_tax=False)
        amounts = []
        for _ in range(3):
            back = await Back.open(shop, order)
            await back.receive()
            amounts.append((await back.refunds())[0][1])
            assert (await back.line())["tax_minor"] in (158, 159)
            await back.provider_says()
        assert sum(amounts) == 2_975
        assert max(amounts) - min(amounts) <= 1
        books = await accounts(shop.database)
        assert books["sales_returns"] == 2_500
        assert "tax_payable" not in books

    async def test_split_tenders_go_back_where_they_came_from(self, shop: Shop) -> None:
        pays = [
            {"reference": "a-gift", "tender": "gift_card", "amount_minor": 1_000, "state": "captured"},
            {"reference": "b-card", "tender": "card", "amount_minor": 2_000, "state": "captured"},
        ]
        back = await Back.open(shop, await collected(shop, 2, payments=pays), 2)
        await back.receive(2)
        assert sorted(await back.refunds()) == [("card", 2_000, "requested"), ("gift_card", 1_000, "requested")]
        await back.provider_says()
        assert (await accounts(shop.database))["gift_cards"] == -1_000

    async def test_a_gift_is_a_gift_card_for_who_brings_it(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), line={"reason": "gift"})
        await back.receive()
        assert await back.refunds() == [("gift_card", PRICE_MINOR, "requested")]

    async def test_a_declined_refund_is_a_case_and_the_return_stays_open_until_it_is_paid(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.provider_says("declined", "card expired")
        await back.inspect()
        assert (await back.state(), await back.cases()) == ("refund_pending", ["refund_failed"])
        await decisions.decide(
            shop.database, await back.case_id("refund_failed"), FIN, option_id="retry", parameters={}, via="test"
        )
        await back.provider_says()
        assert (await back.state(), await back.refunds()) == (
            "closed", [("card", PRICE_MINOR, "declined"), ("card", PRICE_MINOR, "succeeded")],
        )  # fmt: skip

    async def test_paid_out_by_hand(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.inspect()
        await back.provider_says("declined", "card expired")
        await decisions.decide(
            shop.database, await back.case_id("refund_failed"), FIN, option_id="manual_payout",
            parameters={"paid_out": True}, via="test",
        )  # fmt: skip
        assert await back.state() == "closed"

    async def test_no_answer_is_asked_again_under_the_same_key_and_paid_once(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        before = await back.operations()
        await back.provider_says("unknown", "time-out")
        assert await back.operations() == before
        await back.provider_says()
        assert await shop.value("SELECT count(*) FROM journal WHERE event = 'returns.refund'") == 1

    async def test_where_policy_says_so_a_large_refund_is_a_case_before_anybody_is_asked_to_approve(
        self, shop: Shop
    ) -> None:
        await shop.put("S1", 20)
        order = await collected(shop, 14)
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('case', '2020-01-02',"
            ' \'{"returns": {"large_refund": "case"}}\')'
        )
        back = await Back.open(shop, order, 14)  # 210.00
        await back.receive(14)
        assert (await back.cases(), await back.refunds()) == (["return_review"], [])
        await back.inspect(14)
        assert await back.state() == "dispositioned"
        await back.decide("pay")
        assert await back.refunds() == []
        assert await back.verdict() == "refund_pending"
        assert await back.refunds() == [("card", 14 * PRICE_MINOR, "requested")]

    async def test_a_score_asks_for_a_look_and_refuses_nothing(self, shop: Shop) -> None:
        back = await Back.open(
            shop, await collected(shop), customer_history={"bought": 10, "returned": 8},
            line={"serial": "X"},
        )  # fmt: skip
        fraud = (await back.row())["detail"]["fraud"]
        assert (fraud["score"], fraud["band"]) == (20, "low")
        await back.receive()
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]

    async def test_a_high_score_is_refunded_only_after_the_inspection_and_a_look(self, shop: Shop) -> None:
        back = await Back.open(shop, line={"unit_price_minor": 1_000}, customer_history={"bought": 10, "returned": 8})
        await back.receive()
        assert await back.refunds() == []
        assert await back.cases() == ["return_review"]
        await back.decide("pay")
        assert await back.refunds() == [("store_credit", 1_000, "requested")]


class TestWithoutReceipt:
    async def test_little_is_taken_back_as_a_credit_at_the_lowest_price(self, shop: Shop) -> None:
        back = await Back.open(shop, line={"unit_price_minor": 99_999})
        await back.receive()
        assert await back.refunds() == [("store_credit", PRICE_MINOR, "requested")]
        await back.provider_says()
        await back.inspect()
        assert await back.state() == "closed"
        books = await accounts(shop.database)
        assert (books["store_credit"], books["sales_returns"]) == (-PRICE_MINOR, PRICE_MINOR)

    async def test_much_is_decided_by_a_person(self, shop: Shop) -> None:
        back = await Back.open(shop, quantity=4)
        assert (await back.state(), await back.cases()) == ("requested", ["return_no_receipt"])
        await back.receive(4)
        assert await back.refunds() == []
        await back.decide("accept")
        assert await back.refunds() == [("store_credit", 4 * PRICE_MINOR, "requested")]

    async def test_declined_before_anything_came(self, shop: Shop) -> None:
        back = await Back.open(shop, quantity=4)
        assert await back.decide("decline") == "declined"
        assert (await back.row())["closed_at"] is not None

    async def test_a_receipt_of_the_till_is_a_proof_and_goes_back_to_its_tender(self, shop: Shop) -> None:
        await receipt(shop, 2)
        back = await Back.open(shop, receipt={"number": "T-1", "tender": "cash"})
        await back.receive()
        assert await back.refunds() == [("cash", PRICE_MINOR + 50, "requested")]

    async def test_a_receipt_that_nobody_knows_proves_nothing(self, shop: Shop) -> None:
        answer = await ask(shop, asked(receipt={"number": "T-404", "tender": "cash"}))
        assert "Without a receipt" in answer.lines[0].because


class TestKeepIt:
    @pytest.fixture
    async def shop(self, shop: Shop) -> Shop:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('keep', '2020-01-01',"
            " CAST(:body AS jsonb))",
            body='{"returns": {"keep_below_minor": 2000}}',
        )
        return shop

    async def test_what_is_our_fault_and_worth_little_is_refunded_without_coming_back(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), line={"reason": "defective"})
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        await back.provider_says()
        assert await back.state() == "closed"
        assert await shelf(shop) == {"available": 3}


class TestTheTill:
    def rung(self, **more: object) -> dict[str, object]:
        line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR, "tax_minor": 50}
        return {"location": "S1", "receipt": "T-9", "lines": [line], **more}

    async def test_it_is_the_receipt_of_a_return_and_what_it_paid_is_paid(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        paid = [{"tender": "card", "amount_minor": PRICE_MINOR}]
        await back.report("pos.return", **self.rung(refunds=paid))
        assert await back.refunds() == [("card", PRICE_MINOR, "succeeded")]
        assert await shelf(shop) == {"available": 3, "customer_returned": 1}
        await back.inspect()
        assert await back.state() == "closed"

    async def test_the_same_receipt_of_the_till_counts_once(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop), 2)
        await back.report("pos.return", **self.rung())
        outcome = await shop.report("pos.return", return_id=back.id, **self.rung())
        assert outcome.outcome == "duplicate"
        assert (await back.line())["received"] == 1

    async def test_without_a_return_it_begins_one_that_is_received(self, shop: Shop) -> None:
        await receipt(shop)
        paid = [{"tender": "cash", "amount_minor": PRICE_MINOR + 50}]
        outcome = await shop.report("pos.return", **self.rung(original_receipt="T-1", refunds=paid))
        assert outcome.outcome == "accepted"
        back = await Back.newest(shop)
        assert (await back.state(), await back.cases()) == ("received", [])
        assert await back.refunds() == [("cash", PRICE_MINOR + 50, "succeeded")]
        again = await shop.report("pos.return", **self.rung(original_receipt="T-1", refunds=paid))
        assert again.outcome == "duplicate"
        await back.inspect()
        assert await back.state() == "closed"
        assert await shop.value("SELECT returned FROM sale_line") == 1

    async def test_without_a_receipt_that_is_known_somebody_looks(self, shop: Shop) -> None:
        await shop.report("pos.return", **self.rung(refunds=[{"tender": "cash", "amount_minor": 100}]))
        back = await Back.newest(shop)
        assert await back.cases() == ["return_mismatch"]
        assert await back.refunds() == [("cash", 100, "succeeded")]

    async def test_without_a_receipt_and_unpaid_it_is_a_credit_at_no_more_than_it_costs_today(self, shop: Shop) -> None:
        line = {"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 9_900}
        await shop.report("pos.return", **self.rung(lines=[line]))
        assert await (await Back.newest(shop)).refunds() == [("store_credit", PRICE_MINOR, "requested")]

    async def test_without_a_receipt_and_unpaid_much_is_decided_by_a_person(self, shop: Shop) -> None:
        line = {"line": "1", "sku": TEA, "quantity": 4, "unit_price_minor": PRICE_MINOR}
        await shop.report("pos.return", **self.rung(lines=[line]))
        back = await Back.newest(shop)
        assert (await back.cases(), await back.refunds()) == (["return_mismatch", "return_no_receipt"], [])
        await back.decide("accept")
        assert await back.refunds() == [("store_credit", 4 * PRICE_MINOR, "requested")]

    async def test_a_till_that_paid_more_than_was_paid_to_it(self, shop: Shop) -> None:
        await receipt(shop)
        paid = [{"tender": "cash", "amount_minor": 9_999}]
        await shop.report("pos.return", **self.rung(original_receipt="T-1", refunds=paid))
        back = await Back.newest(shop)
        assert await back.cases() == ["return_mismatch"]
        assert (await accounts(shop.database))["sales_returns"] == 9_999 - 50


class TestOnce:
    async def test_two_returns_of_the_same_units_refund_them_once(self, shop: Shop) -> None:
        """The first is called off after its goods were sent, and both parcels come."""
        order = await collected(shop, 1)
        first = await Back.open(shop, order)
        await requests.cancel(shop.database, WEB, first.id, reason="x", actor="a", via="test")
        second = await Back.open(shop, order)
        await second.receive()
        await first.receive()
        assert await second.refunds() == [("card", PRICE_MINOR, "requested")]
        assert await first.refunds() == []
        assert await first.cases() == ["return_mismatch"]

    async def test_the_rest_of_an_order_is_still_cancelled_for_what_it_cost(self, shop: Shop) -> None:
        """Two of three collected, one of them returned, and the last one cancelled."""
        journey = await shop.order(3)
        await shop.report("bopis.picked", journey_id=journey, picker="p", lines=[{"line_id": "1", "quantity": 3}])
        await shop.report("bopis.handed_over", journey_id=journey, lines=[{"line_id": "1", "quantity": 2}], actor="p")
        back = await Back.open(shop, journey)
        await back.receive()
        await shop.report("bopis.cancelled", journey_id=journey, lines=None)
        assert await back.refunds() == [("card", PRICE_MINOR, "requested")]
        assert (
            await shop.value("SELECT refund_requested_minor FROM payment WHERE journey_id = :id", id=journey) == 1_500
        )
        assert await shop.value("SELECT returned_minor FROM payment WHERE journey_id = :id", id=journey) == 1_500

    async def test_nobody_may_approve_what_they_asked_for(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        back = await Back.open(shop, await collected(shop, 14), 14)
        await back.receive(14)
        await back.silence()
        await back.decide("pay", by=FIN)
        with pytest.raises(Exception, match="asked for"):
            await back.verdict(by=FIN)
        with pytest.raises(Exception, match="role"):
            await back.verdict(by=ANA)


class TestWhereTheSourceRefunds:
    @pytest.fixture
    async def shop(self, shop: Shop) -> Shop:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body) VALUES ('source', '2020-01-01',"
            " CAST(:body AS jsonb))",
            body='{"authority": {"refund": "source"}}',
        )
        return shop

    async def test_it_is_asked_and_the_return_ends_with_its_word(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.inspect()
        assert (await back.state(), await back.refunds()) == (
            "refund_pending", [("card", PRICE_MINOR, "with_source")],
        )  # fmt: skip
        assert await back.operations() == []  # no provider is asked
        assert "refund_confirm" in (await back.row())["dues"]
        operation = (await back.rows("SELECT id FROM payment_operation WHERE journey_id = :id"))[0]["id"]
        outcome = await shop.report(
            "refund.confirmed", journey_id=back.id, operation_id=operation, amount_minor=PRICE_MINOR, currency="EUR"
        )
        assert outcome.outcome == "accepted", outcome
        assert (await back.state(), await back.refunds()) == ("closed", [("card", PRICE_MINOR, "succeeded")])

    async def test_silence_is_asked_about(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.fall_due("refund_confirm")
        assert await back.cases() == ["refund_failed"]

    async def test_it_is_asked_once_more(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        await back.receive()
        await back.inspect()
        await back.fall_due("refund_confirm")
        await decisions.decide(
            shop.database, await back.case_id("refund_failed"), FIN, option_id="ask_source_again", parameters={},
            via="test",
        )  # fmt: skip
        row = await back.row()
        assert (row["state"], "refund_confirm" in row["dues"], await back.cases()) == ("refund_pending", True, [])

    async def test_a_fact_about_orders_is_not_for_a_return(self, shop: Shop) -> None:
        back = await Back.open(shop, await collected(shop))
        outcome = await shop.report("bopis.handed_over", journey_id=back.id, lines=None, actor="p")
        assert outcome.outcome == "quarantined"
        assert outcome.problem is not None
        assert "is no order" in outcome.problem["detail"]
