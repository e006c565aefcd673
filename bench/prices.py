"""The prices of a promotion, published to channels, read back, and taken back: how many a second, and that none is left
behind when channels fail.

The channels are in this process, behind the adapter that a shop uses. Pauses between runs pass on the promotion's clock
at once, so six hours without a channel take no six hours.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select, text
from temporalio.testing import ActivityEnvironment

from activities.publishing import PublishingActivities
from bench import place
from bench.channel import Channel
from bench.rows import Row, row
from domain.messages import Step
from domain.promotion import PRICES_DUE, ShelfPrice
from domain.promotions import NewPromotion
from ledger.engine import Database
from ledger.people import Caller
from ledger.promotion import dues, intake
from ledger.promotion.telling import CHUNK
from ledger.tables import journey
from ports.price import PriceAt, PriceToShow

CHANNELS = ("app", "kiosk", "pos", "web")
PLACES, ITEMS = 50, 500  # for each of the four channels: 100,000 prices
PIM = Caller("bench", "bench", frozenset({"promotions:write"}), frozenset(), None, frozenset())
BEGINS, LASTS = timedelta(days=2), timedelta(days=7)
_STORES = """
    INSERT INTO location (code, name, kind, region, entity, time_zone)
    SELECT 'P' || lpad(g::text, 4, '0'), 'Store ' || g, 'store', 'R1', 'E1', 'UTC' FROM generate_series(1, :places) g
    ON CONFLICT DO NOTHING
"""
_LEFT = text(
    "SELECT p.state, count(*) FROM price_publication p JOIN publication u ON u.id = p.publication_id"
    " WHERE u.journey_id = :id GROUP BY p.state"
)
_CASES = text("SELECT count(*), count(*) FILTER (WHERE closed_at IS NULL) FROM case_file WHERE journey_id = :id")


@dataclass
class Campaign:
    """One promotion at so many places, driven as its workflow drives it."""

    database: Database
    channels: dict[str, Channel]
    places: list[str]
    items: list[str]
    id: str = ""
    sent_at: dict[str, datetime] = field(default_factory=dict)

    @property
    def prices(self) -> int:
        return len(self.channels) * len(self.places) * len(self.items)

    @classmethod
    async def open(
        cls, database: Database, *, places: int, items: int, channels: Sequence[str] = CHANNELS
    ) -> "Campaign":
        async with database.engine.begin() as conn:
            await conn.execute(text(_STORES), {"places": places})
        skus = [place.sku(number) for number in range(items)]
        codes = [f"P{number:04d}" for number in range(1, places + 1)]
        regular = dict.fromkeys(skus, place.PRICE_MINOR)
        made = cls(database, {name: Channel(name, regular) for name in channels}, codes, skus)
        starts_at = place.now() + BEGINS
        wanted = NewPromotion.model_validate(
            {
                "promotion_id": f"P-{uuid.uuid4().hex[:8]}",
                "name": "Bench",
                "offer": {"kind": "percent", "off_permille": 200},
                "lines": [{"sku": sku, "forecast_units": 1000} for sku in skus],
                "channels": list(channels),
                "locations": codes,
                "starts_at": starts_at,
                "ends_at": starts_at + LASTS,
                "stacking": "best",
                "margin_floor_permille": -1000,
            }
        )
        answer = (await intake.define(database, PIM, wanted, channels=channels, via="bench"))[1]
        made.id = answer.journey_id
        return made

    async def dues(self) -> dict[str, datetime]:
        async with self.database.read() as conn:
            found = (await conn.execute(select(journey.c.dues).where(journey.c.id == self.id))).scalar_one()
        return {name: datetime.fromisoformat(at) for name, at in found.items()}

    async def due(self, name: str) -> None:
        """A due instant comes."""
        at = (await self.dues())[name]
        step = Step(subject=self.id, occurrence=uuid.uuid4().hex, at=at, due=name)
        await dues.on_due(self.database, step)

    async def tell(self) -> None:
        """Talk to every channel, run after run, until each shows what it should."""
        await asyncio.gather(*(self._until_right(name) for name in self.channels))

    async def _until_right(self, name: str) -> None:
        channel = self.channels[name]
        activities = PublishingActivities(self.database, {name: channel.port()})
        while at := (await self.dues()).get(PRICES_DUE + name):
            channel.now = at
            step = Step(subject=self.id, occurrence=uuid.uuid4().hex, at=at, due=PRICES_DUE + name)
            await ActivityEnvironment().run(activities.publish, step)

    async def outcome(self) -> tuple[str, dict[str, int], int, int]:
        """(state, prices by state, cases, open cases)."""
        async with self.database.read() as conn:
            now = (await conn.execute(select(journey.c.state).where(journey.c.id == self.id))).scalar_one()
            by_state = {str(state): int(number) for state, number in await conn.execute(_LEFT, {"id": self.id})}
            cases, still = (await conn.execute(_CASES, {"id": self.id})).one()
        return str(now), by_state, int(cases), int(still)

    def wrong(self, at: datetime, minor: int) -> int:
        """How many prices customers see at an instant that are not this one."""
        return sum(
            one.shows(code, sku, at).price_minor != minor
            for one in self.channels.values() for code in self.places for sku in self.items
        )  # fmt: skip


def trouble(campaign: Campaign, begins: datetime) -> None:
    """Two in a hundred prices are refused for ten minutes everywhere, the tills are away for six hours, the kiosks say
    yes for two hours and show what they did.
    """
    number = {sku: place for place, sku in enumerate(campaign.items)}

    def until(channel: Channel, span: timedelta) -> bool:
        return channel.now is not None and channel.now < begins + span

    for channel in campaign.channels.values():
        channel.refuses = lambda cell, channel=channel: (
            number[cell[1]] % 50 == 0
            and until(  # type: ignore[misc]
                channel, timedelta(minutes=10)
            )
        )
    pos, kiosk = campaign.channels["pos"], campaign.channels["kiosk"]
    pos.goes_away = lambda: until(pos, timedelta(hours=6))
    kiosk.lies = lambda cell: number[cell[1]] % 20 == 1 and until(kiosk, timedelta(hours=2))


async def conversations(campaign: Campaign, begins: datetime) -> float:
    """The same prices told and read back by the same adapters with nobody who writes anything down, a second."""
    began = time.perf_counter()

    async def told(name: str) -> None:
        port = Channel(name, campaign.channels[name].regular).port()
        keys = [PriceAt(code, sku, begins) for code in campaign.places for sku in campaign.items]
        for first in range(0, len(keys), CHUNK):
            part = keys[first : first + CHUNK]
            await port.publish([PriceToShow(key, ShelfPrice(1), "EUR", first) for key in part])
            if len(await port.shown(part)) != len(part):
                raise RuntimeError("the channel lost a price")

    await asyncio.gather(*(told(name) for name in campaign.channels))
    return campaign.prices / (time.perf_counter() - began)


async def published(
    server_url: str,
    *,
    seconds: float,  # noqa: ARG001  so many prices take as long as they take
    places: int = PLACES,
    items: int = ITEMS,
) -> list[Row]:
    """Prices a second from none to seen at every channel; then the same with channels in trouble, to its end."""
    async with place.database(server_url, "prices") as database:
        campaign = await Campaign.open(database, places=places, items=items)
        begins = (await campaign.dues())["publish"] + timedelta(days=1)
        await campaign.due("publish")
        began = time.perf_counter()
        await campaign.tell()
        per_s = campaign.prices / (time.perf_counter() - began)
        _check(await campaign.outcome(), "publishing", {"right": campaign.prices}, campaign.wrong(begins, 1_200))
        limit = await conversations(campaign, begins)
        told = await in_trouble(database, places=places, items=items)
    work = f"prices published and read back, {len(CHANNELS)} channels, {places} places, {items} items"
    return [row("P1", work, [per_s], "prices/s", limit, told)]


async def in_trouble(database: Database, *, places: int, items: int) -> str:
    """All end right, and none is left behind after the end. Raises RuntimeError otherwise; returns what happened."""
    campaign = await Campaign.open(database, places=places, items=items)
    out = (await campaign.dues())["publish"]
    begins, ends = out + timedelta(days=1), out + timedelta(days=1) + LASTS
    trouble(campaign, out)
    await campaign.due("publish")
    await campaign.tell()
    prices = campaign.prices
    first = await campaign.outcome()
    _check(first, "publishing", {"right": prices}, campaign.wrong(begins, 1_200))
    await campaign.due("start")
    trouble(campaign, ends)
    await campaign.due("end")
    await campaign.tell()
    last = await campaign.outcome()
    _check(last, "ended", {"right": 2 * prices}, campaign.wrong(ends, place.PRICE_MINOR))
    return (
        f"with 2 % refused, one channel away for six hours and one lying, twice: all {2 * prices:,} right,"
        f" {last[2]} cases that healed, none left behind"
    )


def _check(found: tuple[str, dict[str, int], int, int], state: str, by_state: dict[str, int], wrong: int) -> None:
    if (found[0], found[1], found[3], wrong) != (state, by_state, 0, 0):
        raise RuntimeError(f"{found} and {wrong} wrong prices, not {state} with {by_state}")
