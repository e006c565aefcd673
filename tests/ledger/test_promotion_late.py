"""A worker that was cut off wakes up with prices of before in its hand: what has been told since is not undone."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from temporalio.testing import ActivityEnvironment

from activities.publishing import PublishingActivities
from domain.messages import Situation, Step
from domain.promotion import ShelfPrice
from ledger.promotion import publishing, requests, telling
from ports.price import PriceAt, PricePort, PriceToShow
from tests.ledger.support.promoting import Promoted
from tests.shop import Shop

pytestmark = pytest.mark.usefixtures("assortment")


@dataclass
class CutOff:
    """A worker's way to a channel that stands still, at what it asks first or at what it tells, until it is let go."""

    port: PricePort
    stops_at: str
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def _stand_still(self, where: str) -> None:
        if where == self.stops_at and not self.reached.is_set():
            self.reached.set()
            await self.let_go.wait()

    async def publish(self, prices: Sequence[PriceToShow]) -> Mapping[PriceAt, str]:
        await self._stand_still("telling")
        return await self.port.publish(prices)

    async def shown(self, prices: Sequence[PriceAt]) -> Mapping[PriceAt, ShelfPrice]:
        await self._stand_still("asking")
        return await self.port.shown(prices)

    async def aclose(self) -> None:
        await self.port.aclose()


async def hung(it: Promoted, stops_at: str) -> tuple[CutOff, asyncio.Future[Situation]]:
    """A worker that talks to the web shop about the promotion, and has come to a standstill."""
    way = CutOff(it.channels["web"].port(), stops_at)
    at = datetime.fromisoformat((await it.row())["dues"]["prices:web"])
    step = Step(subject=it.id, occurrence=uuid.uuid4().hex, at=at, due="prices:web")
    work = PublishingActivities(it.shop.database, {"web": way}).publish
    talking = asyncio.ensure_future(ActivityEnvironment().run(work, step))
    await way.reached.wait()
    return way, talking


async def called_off(it: Promoted) -> None:
    """It is called off, and another worker takes back what there is; every channel shows what is right."""
    await requests.cancel(it.shop.database, it.id, reason="a mistake", actor="mia", via="test")
    assert await it.tell() == "cancelled"


@pytest.mark.parametrize("minds_numbers", [True, False], ids=["a channel that minds numbers", "one that does not"])
async def test_what_it_tells_after_the_revert_does_not_stay(shop: Shop, minds_numbers: bool) -> None:
    it = await Promoted.open(shop)
    channel = it.channels["web"]
    channel.minds_numbers = minds_numbers
    await it.due("publish")
    way, talking = await hung(it, "telling")
    await called_off(it)
    starts_at, told = await it.instant("starts_at"), channel.sent
    assert it.shown("TEA-1", starts_at) == {1_500}
    way.let_go.set()
    await talking
    assert channel.sent > told  # it had looked in the ledger before it stood still
    assert it.shown("TEA-1", starts_at) == {1_500}
    assert await it.state() == "cancelled"
    assert await it.prices() == {"publish superseded": 2, "revert right": 4}


async def test_before_it_tells_anything_it_looks_whether_it_was_overtaken(shop: Shop) -> None:
    it = await Promoted.open(shop)
    channel = it.channels["web"]
    channel.minds_numbers = False
    await it.due("publish")
    way, talking = await hung(it, "asking")
    await called_off(it)
    told = channel.sent
    way.let_go.set()
    await talking
    assert channel.sent == told
    assert it.shown("TEA-1", await it.instant("starts_at")) == {1_500}


async def test_what_it_saw_does_not_count_where_another_one_has_taken_over(shop: Shop) -> None:
    it = await Promoted.open(shop)
    channel = it.channels["web"]
    await it.due("publish")
    way, talking = await hung(it, "telling")
    # The shelf price has changed since it looked what is wanted.
    await shop.change("UPDATE item SET price_minor = 1000 WHERE sku = 'TEA-1'")
    assert await it.tell() == "publishing"
    assert await it.prices() == {"publish right": 4}
    way.let_go.set()
    await talking
    assert channel.shows("S1", "TEA-1", await it.instant("starts_at")).price_minor == 800
    assert await it.prices() == {"publish right": 4}
    assert await shop.value("SELECT count(*) FROM price_publication WHERE seen_minor <> 800") == 0


async def test_a_channel_that_cannot_be_told_again_is_said_aloud(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    it = await Promoted.open(shop)
    channel = it.channels["web"]
    channel.minds_numbers = False
    await it.due("publish")
    way, talking = await hung(it, "telling")
    await called_off(it)

    async def goes_deaf() -> None:
        channel.lies = lambda _cell: True

    channel.meanwhile = goes_deaf
    way.let_go.set()
    await talking
    assert "were told late, and are not shown right" in caplog.text


class TestNumbers:
    async def test_they_rise_with_every_conversation_also_when_the_clock_went_back(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.due("publish")
        task = await publishing.task_of(shop.database, it.id, "web")
        assert task is not None
        while await publishing.make_rows(shop.database, task):
            pass
        first, second = [(await telling.take(shop.database, task)).number for _ in range(2)]
        assert second > first >= datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1_000_000
        ahead = second + 10**15
        await shop.change("UPDATE price_channel SET number = :ahead WHERE channel = 'web'", ahead=ahead)
        assert (await telling.take(shop.database, task)).number == ahead + 1

    async def test_a_hundred_at_once_draw_a_hundred(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.due("publish")
        task = await publishing.task_of(shop.database, it.id, "web")
        assert task is not None
        drawn = await asyncio.gather(*(telling.take_right(shop.database, task, []) for _ in range(100)))
        assert len({one.number for one in drawn}) == 100

    async def test_a_publication_that_is_over_has_nothing_left_to_tell(self, shop: Shop) -> None:
        it = await Promoted.open(shop)
        await it.publish()
        number = await shop.value("SELECT id FROM publication WHERE channel = 'web'")
        task = publishing.Task(number, it.id, "DE01", "EUR", "web", "publish", 2)
        assert (await telling.take(shop.database, task)).prices == []
        assert not await telling.is_newest(shop.database, task, 2**60)
