"""Promotions in tests of the ledger: defined, and their steps taken as a worker would take them, channels included."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text
from temporalio.testing import ActivityEnvironment

from activities.publishing import PublishingActivities
from bench.channel import Channel
from domain.messages import Situation, Step
from domain.people import Grant, Person
from domain.promotions import NewPromotion, PromotionAnswer
from ledger import decisions, verdicts
from ledger.engine import Database
from ledger.people import Caller
from ledger.promotion import dues, intake, steps
from ledger.tables import person, person_role
from tests.shop import TEA, Shop

PIM = Caller("key-pim", "pim", frozenset({"promotions:write"}), frozenset(), None, frozenset())
MIA = Person("mia", "Mia Roth", "mia@shop.example", (Grant("merchandiser"),))
CHANNELS = ("web", "pos")
REGULAR = {TEA: 1_500, "COFFEE-1": 200, "MILK-1": 200}
FREE_TO_SELL = {"margin_floor_permille": -1000}
Take = Callable[[Database, Step], Awaitable[Situation]]
DAY = timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


async def hire(shop: Shop, who: Person = MIA) -> None:
    """Somebody who speaks for merchandising."""
    async with shop.database.engine.begin() as conn:
        await conn.execute(insert(person).values(id=who.id, name=who.name, email=who.email))
        for grant in who.grants:
            await conn.execute(insert(person_role).values(person_id=who.id, **grant._asdict()))


def body(*skus: str, begins: timedelta = 2 * DAY, lasts: timedelta = 7 * DAY, **more: Any) -> dict[str, Any]:
    """A fifth off, everywhere."""
    starts_at = now() + begins
    return {
        "promotion_id": f"P-{uuid.uuid4().hex[:8]}",
        "name": "Tea weeks",
        "offer": {"kind": "percent", "off_permille": 200},
        "lines": [{"sku": sku, "forecast_units": 100} for sku in skus or (TEA,)],
        "channels": list(CHANNELS),
        "locations": ["S1", "S2"],
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + lasts).isoformat(),
        **FREE_TO_SELL,
        **more,
    }


async def define(shop: Shop, *skus: str, **more: Any) -> PromotionAnswer:
    """Raises what the ledger refuses it with."""
    wanted = NewPromotion.model_validate(body(*skus, **more))
    return (await intake.define(shop.database, PIM, wanted, channels=CHANNELS, via="api"))[1]


def channels() -> dict[str, Channel]:
    return {name: Channel(name, REGULAR) for name in CHANNELS}


@dataclass
class Promoted:
    """One promotion of a shop, moved on by hand."""

    shop: Shop
    id: str
    answer: PromotionAnswer
    channels: dict[str, Channel] = field(default_factory=channels)

    @classmethod
    async def open(cls, shop: Shop, *skus: str, among: dict[str, Channel] | None = None, **more: Any) -> Promoted:
        answer = await define(shop, *skus, **more)
        return cls(shop, answer.journey_id, answer, among or channels())

    async def take(self, what: Take, **details: Any) -> Situation:
        """One step, as the worker takes it."""
        given: dict[str, Any] = {"occurrence": uuid.uuid4().hex, "at": now()}
        return await what(self.shop.database, Step(subject=self.id, **(given | details)))

    async def due(self, name: str) -> str:
        """A due instant comes; returns the state."""
        at = datetime.fromisoformat((await self.row())["dues"][name])
        return (await self.take(dues.on_due, due=name, at=at)).state

    async def talk(self, channel: str, *, at: datetime | None = None) -> Situation:
        """One conversation with a channel, by the worker's own activity."""
        told = {name: one.port() for name, one in self.channels.items()}
        due = (await self.row())["dues"].get(f"prices:{channel}")
        step = Step(
            subject=self.id,
            occurrence=uuid.uuid4().hex,
            at=at or (datetime.fromisoformat(due) if due else now()),
            due=f"prices:{channel}",
        )
        return await ActivityEnvironment().run(PublishingActivities(self.shop.database, told).publish, step)

    async def tell(self, *names: str) -> str:
        """Every channel is talked to once; returns the state."""
        for name in names or CHANNELS:
            await self.talk(name)
        return await self.state()

    async def publish(self) -> str:
        """Its prices go out; returns the state."""
        await self.due("publish")
        return await self.tell()

    async def begin(self) -> str:
        """Its prices have gone out, and it begins; returns the state."""
        await self.publish()
        return await self.due("start")

    async def agree(self, by: Person, verdict: str = "approve") -> str:
        """A verdict on it, and the step that follows; returns the state."""
        approval_id = (await self.row())["asks"]["approval_id"]
        await verdicts.record_verdict(self.shop.database, approval_id, by, verdict=verdict, note="Because.", via="test")
        return (await self.take(steps.settle_agreement, approval_id=approval_id)).state

    async def case(self) -> dict[str, Any] | None:
        """Its newest open case."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT * FROM case_file WHERE journey_id = :id AND closed_at IS NULL ORDER BY id DESC"),
                {"id": self.id},
            )
            found = rows.mappings().first()
            return dict(found) if found else None

    async def decide(self, option: str, by: Person, /, **parameters: Any) -> None:
        """Decide its newest open case."""
        found = await self.case()
        assert found is not None
        await decisions.decide(self.shop.database, found["id"], by, option_id=option, parameters=parameters, via="test")

    async def row(self) -> dict[str, Any]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(text("SELECT * FROM journey WHERE id = :id"), {"id": self.id})
            return dict(rows.mappings().one())

    async def state(self) -> str:
        return str((await self.row())["state"])

    async def prices(self) -> dict[str, int]:
        """How many prices of all channels and phases are in each state."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text(
                    "SELECT phase || ' ' || p.state AS what, count(*) AS n FROM price_publication p"
                    " JOIN publication u ON u.id = p.publication_id WHERE u.journey_id = :id GROUP BY 1"
                ),
                {"id": self.id},
            )
            return {row.what: row.n for row in rows}

    def shown(self, sku: str, at: datetime) -> set[int]:
        """The prices that customers see of an item at an instant, at any channel and place."""
        return {one.shows(code, sku, at).price_minor for one in self.channels.values() for code in ("S1", "S2")}

    async def instant(self, name: str) -> datetime:
        """`starts_at` or `ends_at`, as it is now."""
        found: datetime = await self.shop.value(f"SELECT {name} FROM promotion WHERE journey_id = :id", id=self.id)  # noqa: S608
        return found
