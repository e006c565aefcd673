"""What was right is read back later: a price of before that a worker told on its way out is found, and mended."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.checking import check_due
from activities.publishing import PublishingActivities
from domain.messages import Step
from domain.promotion import ShelfPrice
from ledger.promotion import checking, requests
from ports.price import PriceAt, PricePort, PriceToShow
from tests.ledger.support.promoting import DAY, MIA, Promoted, hire
from tests.shop import TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")
CHECKS = "SELECT string_agg(checks::text, ',' ORDER BY id) FROM publication WHERE journey_id = :id AND phase = :phase"


@dataclass
class DiesAfterTelling:
    """A worker's way to a channel: it stands still before it tells anything; let go, it tells, and nothing comes after
    that.
    """

    port: PricePort
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def publish(self, prices: Sequence[PriceToShow]) -> Mapping[PriceAt, str]:
        self.reached.set()
        await self.let_go.wait()
        await self.port.publish(prices)
        self.told.set()
        return await asyncio.Future()  # never

    async def shown(self, prices: Sequence[PriceAt]) -> Mapping[PriceAt, ShelfPrice]:
        return await self.port.shown(prices)

    async def aclose(self) -> None:
        await self.port.aclose()


@dataclass
class Late:
    """A worker that stands still with the promotion's prices for the web shop in its hand."""

    way: DiesAfterTelling
    talking: asyncio.Future[Any]

    @classmethod
    async def hung(cls, it: Promoted) -> Late:
        way = DiesAfterTelling(it.channels["web"].port())
        at = datetime.fromisoformat((await it.row())["dues"]["prices:web"])
        step = Step(subject=it.id, occurrence=uuid.uuid4().hex, at=at, due="prices:web")
        work = PublishingActivities(it.shop.database, {"web": way}).publish
        talking = asyncio.ensure_future(ActivityEnvironment().run(work, step))
        await way.reached.wait()
        return cls(way, talking)

    async def tells_and_dies(self) -> None:
        self.way.let_go.set()
        await self.way.told.wait()
        self.talking.cancel()
        with suppress(asyncio.CancelledError):
            await self.talking


async def read_back(it: Promoted, *, after: timedelta = timedelta(minutes=16)) -> int:
    """The sweep of a worker, so long after now; returns how many prices are told again."""
    at: datetime = await it.shop.value("SELECT now()")
    return await check_due(it.shop.database, {name: one.port() for name, one in it.channels.items()}, at + after)


async def called_off_with_a_late_price(shop: Shop) -> Promoted:
    """Cancelled, every price taken back; then the web shop is told the promoted price of the first worker."""
    it = await Promoted.open(shop)
    it.channels["web"].minds_numbers = False
    await it.due("publish")
    late = await Late.hung(it)
    await requests.cancel(shop.database, it.id, reason="a mistake", actor="mia", via="test")
    assert await it.tell() == "cancelled"
    starts_at = await it.instant("starts_at")
    assert it.shown(TEA, starts_at) == {1_500}
    await late.tells_and_dies()
    assert it.shown(TEA, starts_at) == {1_200, 1_500}
    return it


class TestAfterItsEnd:
    async def test_a_price_of_before_is_found_and_taken_back(self, shop: Shop) -> None:
        it = await called_off_with_a_late_price(shop)
        assert await read_back(it, after=timedelta(minutes=14)) == 0  # its time has not come
        assert await read_back(it) == 2
        assert await it.state() == "reverting"
        assert (await it.row())["closed_at"] is None
        assert await it.tell("web") == "cancelled"
        assert it.shown(TEA, await it.instant("starts_at")) == {1_500}
        assert await it.prices() == {"publish superseded": 2, "revert right": 4}
        assert await it.case() is None
        # It was read back once; what follows finds nothing.
        assert await read_back(it, after=3 * DAY) == 0
        said = "SELECT detail FROM journey_step WHERE journey_id = :id AND step = 'read_back'"
        assert "2 prices again, which are taken back" in await shop.value(said, id=it.id)

    async def test_one_that_has_run_shows_nothing_of_it_in_the_end(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        channel = it.channels["web"]
        await it.begin()
        await it.due("end")
        assert await it.tell() == "ended"
        ends_at = await it.instant("ends_at")
        # An old worker told what had been wanted a moment before the end, under the instant of the end.
        channel.told["S1", TEA][ends_at] = ShelfPrice(1_200)
        await shop.change("UPDATE journey SET clock_offset_s = clock_offset_s + :s", s=10 * 86_400)
        assert await read_back(it) == 1
        assert await it.state() == "reverting"
        assert await it.tell("web") == "ended"
        assert it.shown(TEA, ends_at + DAY) == {1_500}

    async def test_what_somebody_else_has_set_since_is_left_alone(self, shop: Shop) -> None:
        it = await called_off_with_a_late_price(shop)
        starts_at = await it.instant("starts_at")
        it.channels["web"].told["S1", TEA][starts_at] = ShelfPrice(1_111)
        del it.channels["web"].told["S2", TEA]
        assert await read_back(it) == 0
        assert await it.state() == "cancelled"
        assert it.channels["web"].shows("S1", TEA, starts_at) == ShelfPrice(1_111)

    async def test_one_that_stays_is_asked_about(self, shop: Shop) -> None:
        await hire(shop)
        it = await called_off_with_a_late_price(shop)
        it.channels["web"].lies = lambda _cell: True
        assert await read_back(it) == 2
        for _ in range(3):
            await it.talk("web")
        found = await it.case()
        assert found is not None
        assert (found["kind"], found["facts"]["phase"], found["facts"]["wrong"]) == (
            "promo_price_conflict",
            "revert",
            2,
        )
        await it.decide("waive", MIA, put_right_by_hand=True)
        assert await it.state() == "cancelled"
        assert await it.prices() == {"publish superseded": 2, "revert right": 2, "revert waived": 2}

    async def test_a_settled_one_is_settled_again(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        await it.due("end")
        assert await it.tell() == "ended"
        await shop.database.write(
            lambda tx: requests.settled(tx, it.id, datetime.fromisoformat("2098-01-01T00:00:00+00:00")),
            actor="test",
            via="test",
        )
        it.channels["pos"].told["S2", TEA][await it.instant("ends_at")] = ShelfPrice(1_200)
        assert await read_back(it) == 1
        assert await it.state() == "reverting"
        assert await it.tell("pos") == "settled"


class TestWhileItRuns:
    async def test_a_price_of_before_is_sent_anew(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        channel = it.channels["web"]
        channel.minds_numbers = False
        await it.due("publish")
        late = await Late.hung(it)
        await shop.change("UPDATE item SET price_minor = 1000 WHERE sku = 'TEA-1'")
        assert await it.tell() == "publishing"
        starts_at = await it.instant("starts_at")
        await late.tells_and_dies()
        assert it.shown(TEA, starts_at) == {800, 1_200}
        assert await read_back(it) == 2
        assert await it.state() == "publishing"
        await it.tell("web")
        assert it.shown(TEA, starts_at) == {800}
        assert await it.due("start") == "active"
        assert await it.case() is None

    async def test_what_its_end_takes_back_is_read_back_no_more(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.begin()
        it.channels["web"].lies = lambda _cell: True
        await it.due("end")
        waiting = "SELECT count(*) FROM publication WHERE journey_id = :id AND check_at IS NOT NULL"
        assert await shop.value(waiting, id=it.id) == 0
        assert await read_back(it) == 0
        assert await it.state() == "reverting"


class TestWhenItIsReadBack:
    async def test_three_times_ever_later_and_then_no_more(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.publish()
        asked = {name: one.requests for name, one in it.channels.items()}
        for count, after in (("0,0", 14), ("1,1", 16), ("1,1", 119), ("2,2", 121), ("2,2", 1_439), ("3,3", 1_441)):
            assert await read_back(it, after=timedelta(minutes=after)) == 0
            assert await shop.value(CHECKS, id=it.id, phase="publish") == count
        assert await shop.value("SELECT count(*) FROM publication WHERE check_at IS NOT NULL") == 0
        assert {name: one.requests - asked[name] for name, one in it.channels.items()} == {"web": 3, "pos": 3}
        assert await it.prices() == {"publish right": 4}

    async def test_a_channel_that_is_away_is_asked_later(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        it = await called_off_with_a_late_price(shop)
        it.channels["web"].is_away = True
        assert await read_back(it) == 0
        assert "web could not be read back" in caplog.text
        it.channels["web"].is_away = False
        assert await read_back(it) == 0  # whoever began it may still be at it
        assert await read_back(it, after=timedelta(minutes=27)) == 2

    async def test_one_without_an_adapter_is_named(self, shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
        it = await Promoted.open(shop)
        await it.publish()
        del it.channels["web"]
        assert await read_back(it) == 0
        assert "no adapter is set for it (ENDCAP_PRICE_CHANNELS)" in caplog.text
        assert await shop.value(CHECKS, id=it.id, phase="publish") == "1,0"

    async def test_two_workers_read_it_back_once(self, shop: Shop) -> None:
        it = await called_off_with_a_late_price(shop)
        assert sorted(await asyncio.gather(*(read_back(it) for _ in range(3)))) == [0, 0, 2]

    async def test_what_it_saw_does_not_count_where_somebody_has_begun_to_talk(self, shop: Shop) -> None:
        await called_off_with_a_late_price(shop)
        at: datetime = await shop.value("SELECT now()")
        first = await checking.take(shop.database, at + DAY)
        assert first is not None
        page = await checking.page(shop.database, first, None)
        assert page is not None
        wrong = [checking.Wrong(key, ShelfPrice(1_200)) for key in page.wanted]
        again = await checking.take(shop.database, at + 2 * DAY)
        while again is not None and again.task.number != first.task.number:
            again = await checking.take(shop.database, at + 2 * DAY)
        assert again is not None
        assert await checking.conclude(shop.database, again, wrong) == len(wrong)
        assert await checking.conclude(shop.database, first, wrong) == 0

    async def test_a_price_that_another_promotion_is_bringing_about_is_theirs(self, shop: Shop) -> None:
        it = await Promoted.open(shop, stacking="best")
        await it.begin()
        more = await Promoted.open(
            shop, among=it.channels, stacking="best", offer={"kind": "percent", "off_permille": 400}
        )
        it.channels["web"].lies = lambda _cell: True
        await more.due("publish")
        await more.tell()
        await more.due("start")
        assert await read_back(it, after=3 * DAY) == 0
        assert await it.prices() == {"publish right": 4}
