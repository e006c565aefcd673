"""Counts in tests of the ledger: opened, entered, and their steps taken as a worker would take them."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.counts import EntriesAnswer, NewCount
from domain.events import CountEntered
from domain.messages import Situation, Step
from domain.people import Person
from ledger import decisions, verdicts
from ledger.count import dues, requests, steps
from ledger.engine import Database
from ledger.people import Caller
from tests.ledger.support.till import sale as receipt
from tests.ledger.support.till import send
from tests.shop import ANA, TEA, Shop

STORE = Caller("key-store", "store", frozenset({"events:write"}), frozenset(), None, frozenset())
Take = Callable[[Database, Step], Awaitable[Situation]]


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Count:
    """One count of a shop, moved on by hand."""

    shop: Shop
    id: str

    @classmethod
    async def open(cls, shop: Shop, *skus: str, at: str = "S1", **more: Any) -> Count:
        """Asked for by a system."""
        wanted = NewCount(count_id=f"C-{uuid.uuid4().hex[:8]}", location=at, skus=skus or (TEA,), **more)
        _, answer = await requests.start(shop.database, "store", wanted, actor="key:store", via="api")
        return cls(shop, answer.journey_id)

    @classmethod
    async def newest(cls, shop: Shop) -> Count:
        return cls(
            shop, await shop.value("SELECT id FROM journey WHERE kind = 'count' ORDER BY recorded_at DESC LIMIT 1")
        )

    async def enter(
        self,
        *figures: tuple[str, int] | tuple[str, int, str],
        counter: str = "crew-1",
        session: str = "",
        counted_at: datetime | None = None,
        submit: bool = True,
        take_over: bool = False,
    ) -> EntriesAnswer:
        at = counted_at or now()
        lines = [
            {"sku": sku, "quantity": quantity, "counted_at": at, "bucket": bucket[0] if bucket else None}
            for sku, quantity, *bucket in figures
        ]
        data = CountEntered.model_validate(
            {
                "count_id": self.id,
                "session": session or f"device-of-{counter}",
                "counter": counter,
                "lines": lines,
                "submit": submit,
                "take_over": take_over,
            }
        )

        async def find(_tx: object) -> str:
            return self.id

        return await requests.record(self.shop.database, find, "store", data, actor="key:store", via="api")

    async def take(self, what: Take, **details: Any) -> Situation:
        """One step, as the worker takes it."""
        given: dict[str, Any] = {"occurrence": uuid.uuid4().hex, "at": now()}
        return await what(self.shop.database, Step(subject=self.id, **(given | details)))

    async def compare(self) -> str:
        """Compare; returns the state."""
        return (await self.take(steps.compare_counts)).state

    async def post(self, *, till_told: bool = True) -> str:
        """Post; the till has told what it sold until now, unless a test says otherwise."""
        if till_told:
            await self.shop.change("UPDATE feed_mark SET told_until = now()")
        return (await self.take(steps.post)).state

    async def due(self, name: str, *, after: timedelta = timedelta(days=2)) -> str:
        """A due instant comes, so long from now; returns the state."""
        return (await self.take(dues.on_due, due=name, at=now() + after)).state

    async def decide(self, option: str, by: Person = ANA, /, **parameters: Any) -> Situation:
        """Decide the open case, and take the step that applies it or asks for approval."""
        case_id = (await self.row())["asks"]["case_id"]
        answer = await decisions.decide(
            self.shop.database, case_id, by, option_id=option, parameters=parameters, via="test"
        )
        asks = (await self.row())["asks"]
        step = steps.open_approval if asks.get("needs_approval") else steps.apply_decision
        return await self.take(step, decision_id=answer.decision_id)

    async def verdict(self, by: Person, verdict: str, note: str = "") -> Situation:
        """A verdict on the pending approval, and the step that follows."""
        asks = (await self.row())["asks"]
        await verdicts.record_verdict(
            self.shop.database, asks["approval_id"], by, verdict=verdict, note=note, via="test"
        )
        step = steps.apply_decision if verdict == "approve" else steps.give_back
        return await self.take(step, decision_id=asks["decision_id"], approval_id=asks["approval_id"])

    async def row(self) -> dict[str, Any]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(text("SELECT * FROM journey WHERE id = :id"), {"id": self.id})
            return dict(rows.mappings().one())

    async def state(self) -> str:
        return str((await self.row())["state"])

    async def lines(self) -> dict[str, tuple[Any, ...]]:
        """(state, round, book, counted, value) by SKU."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT sku, state, round, book, counted, value_minor FROM count_line WHERE journey_id = :id"),
                {"id": self.id},
            )
            return {row[0]: tuple(row[1:]) for row in rows}

    async def case_of(self, kind: str) -> dict[str, Any]:
        """The case of a kind."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT * FROM case_file WHERE journey_id = :id AND kind = :kind"), {"id": self.id, "kind": kind}
            )
            return dict(rows.mappings().one())

    async def told(self) -> list[str]:
        """The sentences of its timeline."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT detail FROM journey_step WHERE journey_id = :id AND detail <> '' ORDER BY recorded_at"),
                {"id": self.id},
            )
            return list(rows.scalars())


async def shelf(shop: Shop, sku: str = TEA, at: str = "S1") -> dict[str, int]:
    """The buckets of an item that are not empty."""
    async with shop.database.read() as conn:
        rows = await conn.execute(
            text(
                "SELECT available, reserved, staged, count_pending, damaged, quarantined FROM stock"
                " WHERE location = :at AND sku = :sku"
            ),
            {"at": at, "sku": sku},
        )
        return {name: value for name, value in rows.mappings().one().items() if value}


async def sell(shop: Shop, sku: str, quantity: int, *, ago: timedelta = timedelta(), at: str = "S1") -> None:
    """A receipt of so long ago."""
    one = receipt(f"s-{sku}-{quantity}-{ago.total_seconds():g}-{now().timestamp()}", (sku, quantity), at=at)
    one["occurred_at"] = (now() - ago).isoformat()
    (outcome,) = await send(shop, one)
    assert outcome.outcome == "accepted"
