"""Promotions that are looked at, in tests of the ledger: their past, their sales, and the looks themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.events import EventOutcome
from ledger.look.looking import Look, look
from tests.ledger.support.promoting import Promoted, define
from tests.ledger.support.till import POS, send
from tests.shop import TEA, Shop

# A Monday, ten in the morning, with eight weeks behind it; nothing here asks what time it is.
START = datetime(2098, 6, 2, 10, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


@dataclass
class Watched:
    """A promotion that has begun, at a clock of its own: it runs from `START` for a week."""

    shop: Shop
    id: str
    key: str
    sales: int = 0
    looks: int = 0
    answers: list[EventOutcome] = field(default_factory=list)

    @classmethod
    async def open(
        cls, shop: Shop, *skus: str, lasts: timedelta = WEEK, past: bool = True, forecast: int = 336, **more: Any
    ) -> Watched:
        """Before it, each place had a receipt for one unit of each item in every hour of eight weeks; the forecast is
        the same again, unless another is given.
        """
        if past:
            for sku in skus or (TEA,):
                await sold_before(shop, sku)
        lines = [{"sku": sku, "forecast_units": forecast} for sku in skus or (TEA,)]
        spans = {"starts_at": START.isoformat(), "ends_at": (START + lasts).isoformat()}
        answer = await define(shop, **{"lines": lines, **spans, **more})
        made = cls(shop, answer.journey_id, answer.promotion_id)
        it = Promoted(shop, answer.journey_id, answer)
        await it.begin()
        return made

    @classmethod
    async def running_now(cls, shop: Shop) -> Watched:
        """One that has begun by the database's own clock: orders are dated by that."""
        answer = await define(shop)
        it = Promoted(shop, answer.journey_id, answer)
        await it.begin()
        values = {"id": answer.journey_id}
        await shop.change("UPDATE promotion SET starts_at = now() - interval '1 hour' WHERE journey_id = :id", **values)
        return cls(shop, answer.journey_id, answer.promotion_id)

    async def sell(self, location: str, receipts: int, *, at: datetime, sku: str = TEA, units: int = 1, price_minor: int
                   = 1_200, **line: Any) -> None:  # fmt: skip
        """So many receipts at an instant, each with a line of so many units."""
        events = []
        for _ in range(receipts):
            self.sales += 1
            sold = {"line": "1", "sku": sku, "quantity": units, "unit_price_minor": price_minor,
                    "promotion_id": self.key, **line}  # fmt: skip
            data = {"location": location, "receipt": f"{self.key}-{self.sales}", "lines": [sold]}
            events.append({"id": f"{self.key}-{self.sales}", "type": "pos.sale", "occurred_at": at.isoformat(),
                           "data": data})  # fmt: skip
        for first in range(0, len(events), 100):
            outcomes = await send(self.shop, *events[first : first + 100], caller=POS)
            assert {one.outcome for one in outcomes} == {"accepted"}, outcomes

    async def sell_together(self, location: str, skus: Sequence[str], *, at: datetime) -> None:
        """One receipt with one unit of each."""
        self.sales += 1
        lines = [{"line": str(number), "sku": sku, "quantity": 1, "unit_price_minor": 160}
                 for number, sku in enumerate(skus, start=1)]  # fmt: skip
        data = {"location": location, "receipt": f"{self.key}-{self.sales}", "lines": lines}
        told = {"id": f"{self.key}-{self.sales}", "type": "pos.sale", "occurred_at": at.isoformat(), "data": data}
        (outcome,) = await send(self.shop, told, caller=POS)
        assert outcome.outcome == "accepted"

    async def look(self, at: datetime, occurrence: str | None = None) -> Look | None:
        self.looks += 1
        return await look(self.shop.database, self.id, occurrence or f"look-{self.looks}", at)

    async def look_now(self) -> Look | None:
        """At the instant that the database's clock has."""
        return await self.look(await self.shop.value("SELECT now() + interval '1 second'"))

    async def hours(self, location: str) -> dict[int, int]:
        """Units sold by the hour since it began, as they are kept."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text(
                    "SELECT extract(epoch FROM hour - CAST(:start AS timestamptz))::int / 3600 AS after, units"
                    " FROM promotion_hour WHERE journey_id = :id AND location = :at AND sku = ''"
                ),
                {"id": self.id, "at": location, "start": START},
            )
            return {row.after: row.units for row in rows}

    async def expected(self) -> list[tuple[str, float]]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT location, forecast_units FROM promotion_expected WHERE journey_id = :id ORDER BY 1"),
                {"id": self.id},
            )
            return [(row.location, row.forecast_units) for row in rows]

    async def proposals(self) -> list[dict[str, Any]]:
        """What was proposed, each with the state of its transfer."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text(
                    "SELECT p.*, j.state FROM promotion_proposal p JOIN journey j ON j.id = p.transfer_id"
                    " WHERE p.journey_id = :id ORDER BY p.id"
                ),
                {"id": self.id},
            )
            return [dict(row) for row in rows.mappings()]

    async def place(self, location: str) -> dict[str, Any]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT * FROM promotion_look_place WHERE journey_id = :id AND location = :at"),
                {"id": self.id, "at": location},
            )
            return dict(rows.mappings().one())


async def sold_before(shop: Shop, sku: str) -> None:
    """A past without the ledger's work: movements of goods that came and went, with nothing left of them."""
    for kind, source, target in (("received", "supplier", "available"), ("sold", "available", "customer")):
        await shop.change(
            "INSERT INTO movement (kind, sku, quantity, from_location, from_account, to_location, to_account, entity,"
            " cause, actor, at, recorded_at) SELECT :kind, :sku, 1, l.code, :source, l.code, :target, 'DE01',"
            " 'event:past:' || l.code || ':' || :sku || ':' || g || ':' || :kind, 'test',"
            " CAST(:start AS timestamptz) - g * interval '1 hour', CAST(:start AS timestamptz) - g * interval '1 hour'"
            " FROM location l, generate_series(1, 8 * 168) g WHERE l.kind = 'store'",
            kind=kind, sku=sku, source=source, target=target, start=START,
        )  # fmt: skip
