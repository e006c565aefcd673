"""Several promotions of one shelf: what is shown is right at every instant, however they come and end."""

from datetime import timedelta

import pytest

from domain.errors import AlreadyPublished
from ledger.promotion import requests
from tests.ledger.support.promoting import DAY, Promoted, channels
from tests.shop import TEA, Shop

HOUR = timedelta(hours=1)
HALF = {"kind": "percent", "off_permille": 500}
TENTH = {"kind": "percent", "off_permille": 100}


class TestTogether:
    async def test_the_end_of_one_brings_the_other_not_the_regular_price(self, shop: Shop) -> None:
        among = channels()
        half = await Promoted.open(shop, offer=HALF, stacking="best", lasts=2 * DAY, among=among)
        fifth = await Promoted.open(shop, stacking="best", lasts=9 * DAY, among=among)
        await half.begin()
        await fifth.begin()
        assert half.shown(TEA, await half.instant("starts_at") + HOUR) == {750}
        await half.due("end")
        assert await half.tell() == "ended"
        assert half.shown(TEA, await half.instant("ends_at")) == {1_200}
        await fifth.due("end")
        assert await fifth.tell() == "ended"
        assert fifth.shown(TEA, await fifth.instant("ends_at")) == {1_500}

    async def test_those_that_stack_are_both_taken_off(self, shop: Shop) -> None:
        among = channels()
        first = await Promoted.open(shop, stacking="stack", among=among)
        second = await Promoted.open(shop, offer=TENTH, stacking="stack", begins=3 * DAY, lasts=DAY, among=among)
        await first.begin()
        await second.begin()
        starts_at, ends_at = await second.instant("starts_at"), await second.instant("ends_at")
        assert first.shown(TEA, starts_at - HOUR) == {1_200}
        assert first.shown(TEA, starts_at) == {1_080}
        await second.due("end")
        assert await second.tell() == "ended"
        assert first.shown(TEA, ends_at) == {1_200}

    async def test_one_that_comes_late_corrects_what_has_gone_out_to_begin_within_it(self, shop: Shop) -> None:
        """The prices of the first are out, to begin in twenty hours, when the second is defined to begin before it."""
        among = channels()
        first = await Promoted.open(shop, begins=20 * HOUR, stacking="stack", among=among)
        await first.publish()
        second = await Promoted.open(shop, offer=TENTH, begins=HOUR, lasts=5 * DAY, stacking="stack", among=among)
        assert await second.publish() == "publishing"
        assert await second.prices() == {"publish right": 8}  # from its own start, and anew from the other's
        assert second.shown(TEA, await second.instant("starts_at")) == {1_350}
        assert second.shown(TEA, await first.instant("starts_at")) == {1_080}

    async def test_called_off_it_takes_back_what_others_counted_on(self, shop: Shop) -> None:
        among = channels()
        half = await Promoted.open(shop, offer=HALF, stacking="best", begins=HOUR, among=among)
        await half.publish()
        fifth = await Promoted.open(shop, stacking="best", begins=5 * HOUR, among=among)
        await fifth.publish()
        starts_at = await fifth.instant("starts_at")
        assert fifth.shown(TEA, starts_at) == {750}
        await requests.cancel(shop.database, half.id, reason="x", actor="ada", via="test")
        assert await half.tell() == "cancelled"
        assert half.shown(TEA, await half.instant("starts_at")) == {1_500}
        assert half.shown(TEA, starts_at) == {1_200}

    async def test_an_early_end_reaches_what_has_gone_out_to_begin_after_it(self, shop: Shop) -> None:
        among = channels()
        half = await Promoted.open(shop, offer=HALF, stacking="best", begins=HOUR, among=among)
        await half.begin()
        fifth = await Promoted.open(shop, stacking="best", begins=9 * HOUR, among=among)
        await fifth.publish()
        earlier = await half.instant("starts_at") + HOUR
        await requests.end(shop.database, half.id, at=earlier, reason="sold_out", actor="ada", via="test")
        assert await half.due("end") == "reverting"
        assert await half.tell() == "ended"
        assert half.shown(TEA, earlier) == {1_500}
        assert half.shown(TEA, await fifth.instant("starts_at")) == {1_200}

    async def test_one_is_not_extended_over_what_has_gone_out_to_begin_then(self, shop: Shop) -> None:
        first = await Promoted.open(shop, begins=HOUR, lasts=10 * HOUR, stacking="best")
        await first.begin()
        second = await Promoted.open(shop, begins=12 * HOUR, stacking="best", promotion_id="P-next")
        await second.publish()
        with pytest.raises(AlreadyPublished, match="P-next"):
            await requests.extend(
                shop.database,
                first.id,
                ends_at=await first.instant("ends_at") + DAY,
                reason="",
                actor="ada",
                via="test",
            )

    async def test_a_price_that_changes_while_the_channel_is_told_is_sent_again(self, shop: Shop) -> None:
        """Another promotion is agreed to between the channel's yes and the record of what it showed."""
        it = await Promoted.open(shop, stacking="stack", begins=2 * HOUR)
        await it.due("publish")
        channel = it.channels["web"]
        await shop.change("UPDATE item SET price_minor = 1500 WHERE sku = :sku", sku=TEA)
        channel.meanwhile = lambda: shop.change("UPDATE item SET price_minor = 1000 WHERE sku = :sku", sku=TEA)
        await it.talk("web")
        assert await it.prices() == {"publish pending": 2}
        why = "SELECT DISTINCT error FROM price_publication WHERE state = 'pending' AND attempts > 0"
        assert await shop.value(why) == "another price is wanted meanwhile"
        await it.talk("web")
        assert channel.shows("S1", TEA, await it.instant("starts_at")).price_minor == 800
