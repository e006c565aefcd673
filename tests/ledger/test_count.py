"""A count in the ledger: tolerance, the second count, the case and the approval."""

import pytest

from domain.errors import (
    AlreadyDecided,
    Malformed,
    OwnRequest,
    SameCounter,
    UnknownLine,
)
from ledger import decisions
from ledger.count import steps
from tests.ledger.support.books import accounts
from tests.ledger.support.counting import Count, now, sell, shelf
from tests.ledger.support.till import COFFEE, MILK, send
from tests.shop import ANA, FIN, MAX, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


class TestWithinTolerance:
    async def test_nothing_off_is_posted_without_a_movement(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        assert await count.compare() == "approved"
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": 5}
        assert await shop.value("SELECT count(*) FROM movement WHERE kind = 'counted'") == 0
        row = await count.row()
        assert row["closed_at"] is not None
        assert row["dues"] == {}

    async def test_a_small_loss_is_posted_as_shrinkage(self, shop: Shop) -> None:
        await shop.put("S1", 50)
        count = await Count.open(shop)
        await count.enter((TEA, 49))
        assert await count.compare() == "approved"
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": 49}
        books = await accounts(shop.database)
        assert (books["shrinkage"], books["inventory"]) == (600, -600)

    async def test_a_small_gain_is_posted_as_found(self, shop: Shop) -> None:
        await shop.put("S1", 50)
        count = await Count.open(shop)
        await count.enter((TEA, 52))
        await count.compare()
        await count.post()
        assert await shelf(shop) == {"available": 52}
        assert (await accounts(shop.database))["inventory_found"] == -1_200

    async def test_plus_and_minus_have_limits_of_their_own(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        gain, loss = await Count.open(shop), await Count.open(shop)
        await gain.enter((TEA, 22))
        await loss.enter((TEA, 18))
        assert await gain.compare() == "approved"  # 12.00 of 20.00 that a gain may be worth
        assert await loss.compare() == "recount"  # 12.00 of 10.00 that a loss may be worth

    async def test_a_line_without_a_figure_is_not_counted_and_never_zero(self, shop: Shop) -> None:
        count = await Count.open(shop, TEA, COFFEE)
        await count.enter((COFFEE, 0))
        assert await count.compare() == "approved"
        assert (await count.lines())[TEA][0] == "not_counted"
        await count.post()
        assert await shelf(shop) == {"available": 5}

    async def test_damaged_goods_are_counted_when_the_session_names_them(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5), (TEA, 1, "damaged"))
        await count.compare()
        state = await count.state()
        assert state == "recount"  # one where the book has none is beyond any share of it
        await count.enter((TEA, 1, "damaged"), counter="crew-2")
        assert await count.compare() == "approved"
        await count.post()
        assert await shelf(shop) == {"available": 5, "damaged": 1}
        assert "inventory_found" not in await accounts(shop.database)  # damaged goods are worth nothing


class TestRecount:
    async def off(self, shop: Shop, counted: int = 3) -> Count:
        count = await Count.open(shop)
        await count.enter((TEA, counted))
        assert await count.compare() == "recount"
        return count

    async def test_the_first_counter_is_refused_by_name(self, shop: Shop) -> None:
        count = await self.off(shop)
        with pytest.raises(SameCounter, match="crew-1"):
            await count.enter((TEA, 3))
        assert await count.state() == "recount"

    async def test_one_person_under_two_names_is_still_the_first_counter(self, shop: Shop) -> None:
        await shop.change("INSERT INTO person_alias VALUES ('store', 'crew-1', 'max')")
        count = await self.off(shop)
        with pytest.raises(SameCounter):
            await count.enter((TEA, 3), counter="max")

    async def test_two_who_agree_below_the_band_need_nobody_else(self, shop: Shop) -> None:
        count = await self.off(shop)
        await count.enter((TEA, 3), counter="crew-2")
        assert await count.compare() == "approved"
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": 3}

    async def test_only_what_was_off_is_counted_again(self, shop: Shop) -> None:
        count = await Count.open(shop, TEA, COFFEE)
        await count.enter((TEA, 3), (COFFEE, 0))
        await count.compare()
        with pytest.raises(UnknownLine, match=COFFEE):
            await count.enter((COFFEE, 0), counter="crew-2")
        with pytest.raises(UnknownLine, match=MILK):
            await count.enter((MILK, 0), counter="crew-2")

    async def test_two_who_disagree_are_a_case(self, shop: Shop) -> None:
        count = await self.off(shop)
        await count.enter((TEA, 4), counter="crew-2")
        assert await count.compare() == "submitted"
        found = await count.case_of("count_variance")
        assert [option["id"] for option in found["options"]] == ["count_again", "post_second", "post_first", "search"]
        assert (
            found["facts"]["lines"][0] | {"value_minor": 600, "first_count": 3, "counted": 4, "book": 5}
            == (found["facts"]["lines"][0])
        )
        assert found["value_at_risk_minor"] == 600

    async def test_the_book_of_each_counts_own_instant_is_what_they_are_compared_by(self, shop: Shop) -> None:
        """The second counter sees one less because one was sold in between: they agree."""
        count = await self.off(shop)
        await sell(shop, TEA, 1)
        await count.enter((TEA, 2), counter="crew-2")
        assert await count.compare() == "approved"
        await count.post()
        assert await shelf(shop) == {"available": 2}


class TestTheCase:
    async def asked(self, shop: Shop) -> Count:
        count = await Count.open(shop)
        await count.enter((TEA, 3))
        await count.compare()
        await count.enter((TEA, 4), counter="crew-2")
        assert await count.compare() == "submitted"
        return count

    @pytest.mark.parametrize(("option", "left"), [("post_first", 3), ("post_second", 4)])
    async def test_either_count_may_be_posted_with_its_cause(self, shop: Shop, option: str, left: int) -> None:
        count = await self.asked(shop)
        assert (await count.decide(option, root_cause="misplaced")).state == "approved"
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": left}
        found = await count.case_of("count_variance")
        assert (found["state"], found["root_cause"]) == ("resolved", "misplaced")
        assert await shop.value("SELECT root_cause FROM count_line WHERE state = 'posted'") == "misplaced"

    @pytest.mark.parametrize("given", [{}, {"root_cause": "gremlins"}])
    async def test_without_a_cause_it_is_refused(self, shop: Shop, given: dict[str, str]) -> None:
        count = await self.asked(shop)
        with pytest.raises(Malformed, match="root cause"):
            await count.decide("post_second", ANA, **given)
        assert (await count.case_of("count_variance"))["state"] == "open"

    async def test_counted_again_it_needs_a_third_count_by_somebody_else(self, shop: Shop) -> None:
        count = await self.asked(shop)
        assert (await count.decide("count_again")).state == "recount"
        with pytest.raises(SameCounter, match="crew-2"):
            await count.enter((TEA, 4), counter="crew-2")
        await count.enter((TEA, 4), counter="crew-3")
        assert await count.compare() == "approved"
        await count.post()
        assert await shelf(shop) == {"available": 4}

    async def test_a_search_ends_by_comparing_again_and_a_late_report_may_have_explained_it(self, shop: Shop) -> None:
        count = await self.asked(shop)
        row = await count.row()
        assert (await count.decide("search")).state == "submitted"
        assert "search" in (await count.row())["dues"]
        assert await count.compare() == "submitted"  # it waits
        await sell(shop, TEA, 1, ago=now() - row["opened_at"])
        assert await count.due("search") == "submitted"
        again = await count.case_of("count_variance")
        assert (again["state"], again["episode"]) == ("open", 2)
        assert again["facts"]["lines"][0]["difference"] == 0

    async def test_whoever_counted_does_not_decide_what_is_posted(self, shop: Shop) -> None:
        await shop.change("INSERT INTO person_alias VALUES ('store', 'crew-2', 'max')")
        count = await self.asked(shop)
        assert (await count.decide("post_second", MAX, root_cause="misplaced")).state == "submitted"
        found = await count.case_of("count_variance")
        assert found["state"] == "claimed"
        reason = await shop.value("SELECT reason FROM case_decision")
        assert "Whoever counted" in reason

    async def test_two_tabs_decide_and_the_second_is_told(self, shop: Shop) -> None:
        count = await self.asked(shop)
        case_id = (await count.row())["asks"]["case_id"]
        await decisions.decide(shop.database, case_id, ANA, option_id="count_again", parameters={}, via="test")
        with pytest.raises(AlreadyDecided):
            await decisions.decide(shop.database, case_id, ANA, option_id="search", parameters={}, via="test")


class TestApproval:
    async def asked(self, shop: Shop, book: int = 50, counted: int = 30) -> Count:
        """20 packs at 6.00: beyond what two counters may post alone."""
        await shop.put("S1", book)
        count = await Count.open(shop)
        await count.enter((TEA, counted))
        assert await count.compare() == "recount"
        await count.enter((TEA, counted), counter="crew-2")
        assert await count.compare() == "submitted"
        return count

    async def test_approved_it_is_posted(self, shop: Shop) -> None:
        count = await self.asked(shop)
        (option, *_) = (await count.case_of("count_variance"))["options"]
        assert option["needs_approval"]
        assert (await count.decide("post_second", root_cause="theft_suspected")).state == "pending_approval"
        assert (await count.verdict(MAX, "approve")).state == "approved"
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": 30}
        assert (await accounts(shop.database))["shrinkage"] == 12_000

    async def test_rejected_it_is_counted_again(self, shop: Shop) -> None:
        count = await self.asked(shop)
        await count.decide("post_second", root_cause="theft_suspected")
        assert (await count.verdict(MAX, "reject", "I see them here")).state == "rejected"
        assert (await count.case_of("count_variance"))["resolution"] == "counted_again"
        assert (await count.take(steps.count_once_more)).state == "recount"
        await count.enter((TEA, 50), counter="crew-3")
        assert await count.compare() == "submitted"  # it disagrees with the one before
        await count.decide("post_second", root_cause="miscounted")
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": 50}

    async def test_the_counter_never_approves(self, shop: Shop) -> None:
        await shop.change("INSERT INTO person_alias VALUES ('store', 'crew-2', 'max')")
        count = await self.asked(shop)
        await count.decide("post_second", root_cause="theft_suspected")
        with pytest.raises(OwnRequest):
            await count.verdict(MAX, "approve")
        assert await shelf(shop) == {"available": 50}

    async def test_a_large_one_goes_to_finance(self, shop: Shop) -> None:
        count = await self.asked(shop, book=150, counted=50)
        await count.decide("post_second", root_cause="theft_suspected")
        assert await shop.value("SELECT roles FROM approval") == ["finance", "admin"]
        assert (await count.verdict(FIN, "approve")).state == "approved"
        assert await count.post() == "posted"

    async def test_small_ones_add_up_over_thirty_days(self, shop: Shop) -> None:
        await shop.put("S1", 100)
        for left in (99, 98, 97, 96, 95, 94, 93, 92):
            count = await Count.open(shop)
            await count.enter((TEA, left))
            assert await count.compare() == "approved"
            assert await count.post() == "posted"
        count = await Count.open(shop)
        await count.enter((TEA, 91))
        assert await count.compare() == "recount"  # 54.00 by the same unknown counters

    async def test_what_grew_after_it_was_agreed_goes_back(self, shop: Shop) -> None:
        await shop.put("S1", 50)
        count = await Count.open(shop)
        opened = (await count.row())["opened_at"]
        await count.enter((TEA, 49))
        assert await count.compare() == "approved"
        one = {"location": "S1", "document": "D1", "lines": [{"sku": TEA, "quantity": 10}]}
        event = {"id": "late", "type": "stock.received", "occurred_at": opened.isoformat(), "data": one}
        await send(shop, event)
        assert await count.post() == "submitted"
        assert await count.compare() == "recount"
        assert await shelf(shop) == {"available": 60}
