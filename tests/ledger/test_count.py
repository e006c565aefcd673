"""A count in the ledger: every row of its table, what late reports do to it, and who may do what."""

from datetime import timedelta

import pytest

from domain.counts import NewCount
from domain.errors import (
    AlreadyDecided,
    CountedElsewhere,
    CountPendingLeft,
    Malformed,
    OwnRequest,
    SameCounter,
    StateConflict,
    UnknownLine,
    UnknownLocation,
    UnknownSku,
)
from ledger import case, facts
from ledger.count import requests, steps
from tests.ledger.books import accounts
from tests.ledger.counting import STORE, Count, now, shelf
from tests.ledger.till import COFFEE, MILK, send
from tests.ledger.till import sale as receipt
from tests.shop import ANA, FIN, MAX, TEA, WEB, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def sell(shop: Shop, sku: str, quantity: int, *, ago: timedelta = timedelta(), at: str = "S1") -> None:
    """A receipt of so long ago."""
    one = receipt(f"s-{sku}-{quantity}-{ago.total_seconds():g}-{now().timestamp()}", (sku, quantity), at=at)
    one["occurred_at"] = (now() - ago).isoformat()
    (outcome,) = await send(shop, one)
    assert outcome.outcome == "accepted"


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
        await case.decide(shop.database, case_id, ANA, option_id="count_again", parameters={}, via="test")
        with pytest.raises(AlreadyDecided):
            await case.decide(shop.database, case_id, ANA, option_id="search", parameters={}, via="test")


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


class TestLateReports:
    async def test_a_sale_while_counting_is_no_difference(self, shop: Shop) -> None:
        count = await Count.open(shop, TEA, COFFEE)
        counted_at = now()
        await count.enter((TEA, 5), counted_at=counted_at, submit=False)
        await sell(shop, TEA, 2)
        await count.enter((COFFEE, 0))
        assert await count.compare() == "approved"
        await count.post()
        assert await shelf(shop) == {"available": 3}

    async def test_a_late_sale_from_before_changes_the_difference_until_it_is_posted(self, shop: Shop) -> None:
        count = await Count.open(shop)
        opened = (await count.row())["opened_at"]
        await count.enter((TEA, 4))
        assert await count.compare() == "recount"
        await sell(shop, TEA, 1, ago=now() - opened + timedelta(seconds=1))
        await count.enter((TEA, 4), counter="crew-2")
        assert await count.compare() == "approved"
        await count.post()
        assert await shelf(shop) == {"available": 4}
        assert "shrinkage" not in await accounts(shop.database)

    async def test_a_late_sale_from_before_that_comes_after_posting_is_taken_back(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        count = await Count.open(shop)
        opened = (await count.row())["opened_at"]
        await count.enter((TEA, 19))
        await count.compare()
        await count.post()
        assert (await accounts(shop.database))["shrinkage"] == 600
        await sell(shop, TEA, 1, ago=now() - opened + timedelta(seconds=1))
        assert await shelf(shop) == {"available": 19}
        books = await accounts(shop.database)
        assert "shrinkage" not in books
        assert books["cogs"] == 600
        await sell(shop, TEA, 1)
        assert await shelf(shop) == {"available": 18}  # what happens after the count is not in it

    async def test_a_late_delivery_from_before_is_taken_back_as_well(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        count = await Count.open(shop)
        opened = (await count.row())["opened_at"]
        await count.enter((TEA, 22))
        await count.compare()
        await count.post()
        data = {"location": "S1", "document": "D1", "lines": [{"sku": TEA, "quantity": 2}]}
        before = (opened - timedelta(seconds=1)).isoformat()
        await send(shop, {"id": "late", "type": "stock.received", "occurred_at": before, "data": data})
        assert await shelf(shop) == {"available": 22}
        books = await accounts(shop.database)
        assert "inventory_found" not in books
        assert books["goods_received_not_invoiced"] == -1_200

    async def test_a_late_pick_from_before_leaves_the_shelf_as_counted(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        order = await shop.order(1)
        picked_at = now()
        count = await Count.open(shop)
        await count.enter((TEA, 19))  # the picked one stands on the hold shelf
        await count.compare()
        await count.post()
        assert await shelf(shop) == {"available": 18, "reserved": 1}
        event = {
            "id": "p", "type": "bopis.picked", "occurred_at": picked_at.isoformat(),
            "data": {"journey_id": order, "picker": "p1", "lines": [{"line_id": "1", "quantity": 1}]},
        }  # fmt: skip
        (outcome,) = await facts.receive(shop.database, WEB, [event], received_at=now())
        assert outcome.outcome == "accepted"
        assert await shelf(shop) == {"available": 19, "staged": 1}
        assert "shrinkage" not in await accounts(shop.database)

    async def test_an_older_count_posts_nothing_over_a_newer_one(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        older, newer = await Count.open(shop), await Count.open(shop)
        await older.enter((TEA, 19))
        await newer.enter((TEA, 19), counter="crew-2")
        await older.compare()
        await newer.compare()
        assert await newer.post() == "posted"
        assert await older.post() == "posted"
        assert await shelf(shop) == {"available": 19}
        assert (await older.lines())[TEA][0] == "superseded"


class TestTheTillsFeed:
    async def test_posting_waits_until_the_till_has_told_what_it_sold(self, shop: Shop) -> None:
        await sell(shop, COFFEE, 1, ago=timedelta(hours=1))
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        await count.compare()
        assert await count.post(till_told=False) == "approved"
        assert await count.post(till_told=False) == "approved"  # once is enough; the next look is due
        assert await count.due("feed", after=timedelta(minutes=6)) == "approved"
        await shop.change("UPDATE feed_mark SET told_until = now()")
        assert await count.due("feed", after=timedelta(minutes=12)) == "posted"
        assert await shop.value("SELECT count(*) FROM case_file") == 0

    async def test_a_silent_till_is_a_case_that_heals_when_it_speaks(self, shop: Shop) -> None:
        await sell(shop, COFFEE, 1, ago=timedelta(hours=1))
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        await count.compare()
        await count.post(till_told=False)
        await count.due("feed", after=timedelta(hours=5))
        assert (await count.case_of("sync_gap"))["state"] == "open"
        await shop.change("UPDATE feed_mark SET told_until = now()")
        assert await count.due("feed", after=timedelta(hours=6)) == "posted"
        assert (await count.case_of("sync_gap"))["resolution"] == "self_healed"

    async def test_somebody_who_knows_posts_without_it(self, shop: Shop) -> None:
        await sell(shop, COFFEE, 1, ago=timedelta(hours=1))
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        await count.compare()
        await count.post(till_told=False)
        await count.due("feed", after=timedelta(hours=5))
        with pytest.raises(Malformed, match="nothing_is_missing"):
            await count.decide("post_anyway", FIN)
        assert (await count.decide("post_anyway", FIN, nothing_is_missing=True)).state == "approved"
        assert await count.post() == "posted"

    async def test_wait_on_looks_again_for_as_long(self, shop: Shop) -> None:
        await sell(shop, COFFEE, 1, ago=timedelta(hours=1))
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        await count.compare()
        await count.post(till_told=False)
        await count.due("feed", after=timedelta(hours=5))
        await count.decide("wait_on", FIN)
        assert "feed" in (await count.row())["dues"]

    async def test_a_place_whose_till_never_spoke_waits_for_nothing(self, shop: Shop) -> None:
        count = await Count.open(shop, at="S2")
        await count.enter((TEA, 5))
        await count.compare()
        assert await count.post() == "posted"


class TestDevices:
    async def test_a_second_device_is_refused_by_name_until_it_takes_over(self, shop: Shop) -> None:
        count = await Count.open(shop, TEA, COFFEE)
        await count.enter((TEA, 5), submit=False)
        with pytest.raises(CountedElsewhere, match="crew-1 counts this on another device since"):
            await count.enter((COFFEE, 0), counter="crew-2")
        await count.enter((COFFEE, 0), counter="crew-2", take_over=True, submit=False)
        with pytest.raises(CountedElsewhere, match="crew-2"):
            await count.enter((TEA, 4))
        assert await shop.value("SELECT count(*) FROM audit WHERE what = 'count.taken_over'") == 1

    async def test_the_same_figure_twice_is_saved_once_with_its_first_instant(self, shop: Shop) -> None:
        count = await Count.open(shop)
        first = await count.enter((TEA, 5), submit=False)
        again = await count.enter((TEA, 5), submit=False)
        assert again.lines == first.lines
        assert await shop.value("SELECT count(*) FROM count_entry") == 1

    async def test_another_figure_corrects_it_and_leaves_a_trace(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 4), submit=False)
        answer = await count.enter((TEA, 5), submit=False)
        assert [line.quantity for line in answer.lines] == [5]
        assert await shop.value("SELECT before->>'quantity' FROM audit WHERE what = 'count.corrected'") == "4"

    async def test_what_comes_after_it_was_handed_in_is_refused_and_changes_nothing(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        with pytest.raises(StateConflict, match="submitted"):
            await count.enter((TEA, 1))
        assert await shop.value("SELECT quantity FROM count_entry") == 5

    async def test_an_event_that_comes_too_late_is_taken_and_told(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        data = {
            "count_id": count.id, "session": "x", "counter": "crew-9",
            "lines": [{"sku": TEA, "quantity": 1, "counted_at": now().isoformat()}],
        }  # fmt: skip
        event = {"id": "late-entry", "type": "count.entered", "occurred_at": now().isoformat(), "data": data}
        (outcome,) = await send(shop, event, caller=STORE)
        assert outcome.outcome == "accepted"
        assert any("submitted already" in told for told in await count.told())
        assert await shop.value("SELECT quantity FROM count_entry") == 5

    async def test_an_event_of_another_device_is_refused_by_name_and_not_quarantined(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5), submit=False)
        data = {
            "count_id": count.id, "session": "x", "counter": "crew-9",
            "lines": [{"sku": TEA, "quantity": 1, "counted_at": now().isoformat()}],
        }  # fmt: skip
        event = {"id": "other", "type": "count.entered", "occurred_at": now().isoformat(), "data": data}
        (outcome,) = await send(shop, event, caller=STORE)
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("refused", "counted_elsewhere")

    async def test_an_instant_before_it_was_asked_or_in_the_future_is_refused(self, shop: Shop) -> None:
        count = await Count.open(shop)
        with pytest.raises(Malformed, match="before this count"):
            await count.enter((TEA, 5), counted_at=now() - timedelta(hours=1))
        with pytest.raises(Malformed, match="future"):
            await count.enter((TEA, 5), counted_at=now() + timedelta(hours=1))
        assert await shop.value("SELECT count(*) FROM count_entry") == 0

    async def test_something_else_on_the_shelf_is_added_to_the_sheet_unless_nobody_knows_it(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((MILK, 1), submit=False)
        assert set(await count.lines()) == {TEA, MILK}
        with pytest.raises(UnknownSku):
            await count.enter(("NO-SUCH", 1), submit=False)

    async def test_an_empty_sheet_is_not_handed_in(self, shop: Shop) -> None:
        count = await Count.open(shop)
        with pytest.raises(StateConflict, match="Nothing was counted"):
            await count.enter()


class TestOpening:
    async def test_everything_at_a_place(self, shop: Shop) -> None:
        wanted = NewCount(count_id="all", location="S2")
        status, answer = await requests.start(shop.database, "store", wanted, actor="a", via="api")
        assert (status, [line.sku for line in answer.lines]) == (201, [TEA])
        status, again = await requests.start(shop.database, "store", wanted, actor="a", via="api")
        assert (status, again) == (200, answer)

    @pytest.mark.parametrize(
        ("wanted", "refusal"),
        [
            ({"location": "NOWHERE"}, UnknownLocation),
            ({"skus": ["NO-SUCH"]}, UnknownSku),
            ({"location": "DC"}, Malformed),
            ({"due_at": "2020-01-01T00:00:00Z"}, Malformed),
        ],
    )
    async def test_what_cannot_be_counted_is_refused(
        self, shop: Shop, wanted: dict[str, object], refusal: type[Exception]
    ) -> None:
        body = NewCount.model_validate({"count_id": "c", "location": "S1", **wanted})
        with pytest.raises(refusal):
            await requests.start(shop.database, "store", body, actor="a", via="api")
        assert await shop.value("SELECT count(*) FROM journey") == 0


class TestCancel:
    async def cancel(self, count: Count) -> None:
        async def find(_tx: object) -> str:
            return count.id

        await requests.cancel(count.shop.database, find, reason="not_needed", actor="key:store", via="api")

    async def test_before_it_is_agreed(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5), submit=False)
        await self.cancel(count)
        row = await count.row()
        assert (row["state"], row["closed_at"] is not None) == ("cancelled", True)
        assert await shelf(shop) == {"available": 5}
        with pytest.raises(StateConflict, match="cancelled"):
            await self.cancel(count)

    async def test_while_units_wait_for_it_it_is_refused(self, shop: Shop) -> None:
        order = await shop.order(2)
        line = {"line_id": "1", "quantity": 0, "reason": "not_in_stock"}
        await shop.report("bopis.picked", journey_id=order, picker="p1", lines=[line])
        count = await Count.newest(shop)
        with pytest.raises(CountPendingLeft, match="5 units"):
            await self.cancel(count)
        assert await count.state() == "scheduled"

    async def test_once_it_is_agreed_it_is_refused(self, shop: Shop) -> None:
        count = await Count.open(shop)
        await count.enter((TEA, 5))
        await count.compare()
        with pytest.raises(StateConflict, match="approved"):
            await self.cancel(count)


class TestOverdue:
    async def test_a_count_that_somebody_wanted_is_a_case_that_heals_when_it_comes(self, shop: Shop) -> None:
        count = await Count.open(shop)
        assert await count.due("count", after=timedelta(hours=25)) == "scheduled"
        assert (await count.case_of("count_overdue"))["state"] == "open"
        await count.enter((TEA, 5))
        assert (await count.case_of("count_overdue"))["resolution"] == "self_healed"

    async def test_a_routine_count_ends_by_itself(self, shop: Shop) -> None:
        count = await Count.open(shop, reason="schedule")
        assert await count.due("count", after=timedelta(hours=25)) == "cancelled"
        assert await shop.value("SELECT count(*) FROM case_file") == 0

    async def test_before_its_time_nothing_happens(self, shop: Shop) -> None:
        count = await Count.open(shop)
        assert await count.due("count", after=timedelta(hours=1)) == "scheduled"
        assert await shop.value("SELECT count(*) FROM case_file") == 0


class TestConfidence:
    async def test_a_count_that_is_off_lowers_it_and_one_that_agrees_raises_it(self, shop: Shop) -> None:
        await shop.put("S1", 20)
        query = "SELECT confidence_permille FROM stock WHERE location = 'S1'"
        count = await Count.open(shop)
        await count.enter((TEA, 19))
        await count.compare()
        await count.post()
        assert await shop.value(query) == 970  # 1000 × 0.4 + 950 × 0.6
        count = await Count.open(shop)
        await count.enter((TEA, 19))
        await count.compare()
        await count.post()
        assert await shop.value(query) == 988

    async def test_an_item_that_is_off_again_and_again_is_said_to_be_chronic(self, shop: Shop) -> None:
        await shop.put("S1", 100)
        counts = [await Count.open(shop) for _ in range(4)]
        for number, count in enumerate(counts):
            await count.enter((TEA, 99 - number))
            await count.compare()
            await count.post()
        assert not any("chronic" in told for told in await counts[1].told())
        assert any("chronic" in told for told in await counts[-1].told())
        assert (await counts[-1].row())["detail"]["chronic"] == {TEA: 3}
