"""What reports that come late, and the feed of a till, do to a count."""

from datetime import timedelta

import pytest

from domain.errors import (
    Malformed,
)
from ledger import facts
from tests.ledger.support.books import accounts
from tests.ledger.support.counting import Count, now, sell, shelf
from tests.ledger.support.till import COFFEE, send
from tests.shop import FIN, TEA, WEB, Shop

pytestmark = pytest.mark.usefixtures("assortment")


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
