"""Facts, verdicts and answers that meet where nobody expected them to: nothing is posted twice, nothing stays held."""

import pytest

from domain.errors import OfferWithdrawn
from tests.ledger.support.counting import Count, shelf
from tests.ledger.support.offers import OOLONG, asked
from tests.ledger.support.till import TEA
from tests.ledger.test_adjustments import ask, tea, verdict
from tests.shop import ADA, FIN, MAX, Shop


class TestAdjustmentThatACountOvertakes:
    """A verdict may take days; meanwhile the shelf is counted."""

    async def counted(self, shop: Shop, units: int, *, post: bool = True) -> Count:
        """Counted twice by different people, and approved as far as the band asks for it."""
        count = await Count.open(shop)
        state = "scheduled"
        for crew in ("max", "ana"):
            await count.enter((TEA, units), counter=crew)
            state = await count.compare()
            if state != "recount":
                break
        if state != "approved":
            given = await count.decide("post_second", FIN, root_cause="misplaced")
            if given.state == "pending_approval":
                await count.verdict(ADA, "approve")
        if post:
            assert await count.post() == "posted"
        return count

    async def test_units_found_that_the_count_has_seen_are_posted_once(self, shop: Shop) -> None:
        _, made = await ask(shop, "A-1", (TEA, 30, "receipt_not_booked"))
        await self.counted(shop, 35)
        assert await tea(shop) == (35, 0)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (35, 0)

    async def test_approved_between_counting_and_posting_they_are_posted_once(self, shop: Shop) -> None:
        _, made = await ask(shop, "A-1", (TEA, 30, "receipt_not_booked"))
        count = await self.counted(shop, 35, post=False)
        await verdict(shop, made, MAX, "approve")
        await count.post()
        assert await tea(shop) == (35, 0)

    async def test_a_loss_beyond_the_shelf_that_the_count_has_seen_is_posted_once(self, shop: Shop) -> None:
        _, made = await ask(shop, "A-1", (TEA, -9, "missing"))
        await self.counted(shop, 0)
        assert await tea(shop) == (0, 0)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (0, 0)

    async def test_a_loss_that_the_count_did_not_see_stays_on_the_shelf(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -12, "missing"))
        await self.counted(shop, 20)
        assert await tea(shop) == (20, 0)
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (20, 0)

    async def test_rejected_after_the_count_nothing_comes_back_twice(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        _, made = await ask(shop, "A-1", (TEA, -12, "missing"))
        await self.counted(shop, 8)
        await verdict(shop, made, MAX, "reject")
        assert await tea(shop) == (8, 0)

    async def test_units_said_to_be_lost_after_the_count_are_lost(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        await self.counted(shop, 20)
        _, made = await ask(shop, "A-1", (TEA, -12, "missing"))
        await verdict(shop, made, MAX, "approve")
        assert await tea(shop) == (8, 0)


class TestOfferThatTheWorldOvertakes:
    async def test_a_yes_after_the_substitute_was_recalled_changes_nothing(self, shop: Shop) -> None:
        order = await asked(shop)
        outcome = await shop.report("item.stop_sale", sku=OOLONG, locations="all", reason="recall")
        assert outcome.outcome == "accepted"
        with pytest.raises(OfferWithdrawn, match="may not be sold any more"):
            await order.answer("accept")
        assert (await order.units())[TEA] == (8, 5)
        assert await shelf(shop, OOLONG) == {"quarantined": 10}

    async def test_a_yes_after_the_store_has_closed_stands_and_nothing_is_lost(self, shop: Shop) -> None:
        order = await asked(shop)
        outcome = await shop.report("location.status", location="S1", status="closed", reason="fire")
        assert outcome.outcome == "accepted"
        said = await order.answer("accept")
        assert said.state == "applied"
        assert await order.units() == {TEA: (5, 5), OOLONG: (3, 3)}

    async def test_handed_over_while_the_question_waits_the_rest_is_still_asked_about(self, shop: Shop) -> None:
        order = await asked(shop)
        lines = [{"line_id": "1", "quantity": 5}]
        outcome = await shop.report("bopis.handed_over", journey_id=order.journey, lines=lines, actor="crew-7")
        assert outcome.outcome == "accepted"
        assert (await order.answer("accept")).state == "applied"
        assert await order.units() == {TEA: (0, 0), OOLONG: (3, 3)}
        assert (await shelf(shop), await shelf(shop, OOLONG)) == ({}, {"available": 7, "reserved": 3})

    async def test_picked_short_twice_no_unit_is_made_or_lost(self, shop: Shop) -> None:
        order = await shop.order(2)
        short = [{"line_id": "1", "quantity": 1, "reason": "not_in_stock"}]
        for _ in range(2):
            outcome = await shop.report("bopis.picked", journey_id=order, picker="p1", lines=short)
            assert outcome.outcome == "accepted"
        assert (await shelf(shop))["staged"] == 2
        assert sum((await shelf(shop)).values()) == 5

    async def test_a_receipt_of_a_cancelled_order_is_a_sale_that_is_looked_at(self, shop: Shop) -> None:
        order = await shop.order(2)
        assert (await shop.report("bopis.cancelled", journey_id=order, reason="customer_request")).outcome == "accepted"
        key = await shop.value("SELECT key FROM journey WHERE id = :id", id=order)
        line = {"line": "1", "sku": TEA, "quantity": 2, "unit_price_minor": 1_500, "order_id": key, "line_id": "1"}
        outcome = await shop.report("pos.sale", location="S1", receipt="R-1", lines=[line])
        assert outcome.outcome == "accepted"
        assert await shelf(shop) == {"available": 3}
        assert await shop.value("SELECT array_agg(kind) FROM case_file") == ["fact_after_close"]
