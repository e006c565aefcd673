"""A promotion, loaded under its journey's lock: its journey's row and its own, changed together and saved together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, override

from sqlalchemy import Table, select, text

from domain import promotion as rules
from domain.promotion import PromotionState
from domain.words import local
from ledger.changes import Row
from ledger.document import Document, Rules
from ledger.idempotency import LOCK_KEYS
from ledger.tables import promotion, promotion_item, promotion_place
from ledger.transaction import Rank, Transaction

_LOCK = text(LOCK_KEYS.replace("$1::text[]", "CAST(:names AS text[])"))


async def lock_ground(tx: Transaction, entity: str) -> None:
    """Hold back whoever else would define or move a promotion of this entity, until this transaction ends."""
    tx.enter(Rank.KEYS)
    await tx.conn.execute(_LOCK, {"names": [f"promotions of {entity}"]})


@dataclass(kw_only=True)
class Promotion(Document):
    """The whole promotion. `head` is its own row; `place` is the first of its places. Its items, places and prices may
    be a million rows: they are read where they are needed.
    """

    head: Row = field(default_factory=dict)

    rules: ClassVar[Rules] = rules

    @classmethod
    @override
    async def load(cls, tx: Transaction, row: Mapping[Any, Any]) -> "Promotion":
        it = await cls.begin(tx, row)
        (it.head,) = await it.read(promotion)
        return it

    @override
    def rows(self) -> Iterable[tuple[Table, Iterable[Row]]]:
        return [(promotion, [self.head])]

    @override
    def about(self, kind: str) -> dict[str, Any]:
        return {"promotion": self.row["key"]}

    @property
    def state(self) -> PromotionState:
        return PromotionState(self.row["state"])

    @override
    def go(self, state: str) -> None:
        super().go(state)
        self.head["state"] = self.row["state"]

    async def items(self) -> list[str]:
        rows = await self.tx.conn.execute(
            select(promotion_item.c.sku).where(promotion_item.c.journey_id == self.id).order_by(promotion_item.c.sku)
        )
        return list(rows.scalars())

    async def places(self) -> list[tuple[str, str]]:
        """(channel, location), sorted."""
        own = promotion_place.c
        rows = await self.tx.conn.execute(
            select(own.channel, own.location).where(own.journey_id == self.id).order_by(own.channel, own.location)
        )
        return [(row.channel, row.location) for row in rows]

    def local(self, instant: datetime) -> str:
        """An instant in the time of its first place, as people read it."""
        return local(instant, self.place.hours.time_zone)

    def bar(self, people: Iterable[str]) -> None:
        """These people have asked for it or agreed to it already: they approve nothing more about it."""
        self.row["detail"]["barred"] = sorted({*self.row["detail"].get("barred", ()), *people})
