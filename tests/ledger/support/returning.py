"""Returns in tests of the ledger: bought, asked for, received, inspected, and their steps taken as a worker would."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain import exchanges
from domain.events import EventOutcome
from domain.messages import Situation, Step
from domain.payments import PaymentOutcome
from domain.people import Person
from domain.return_requests import NewReturn, ReturnAnswer
from ledger import decisions, facts, outcomes, verdicts
from ledger.engine import Database
from ledger.returns import dues, exchange_payments, requests, steps
from tests.shop import ANA, MAX, PRICE_MINOR, TEA, WEB, Shop

Take = Callable[[Database, Step], Awaitable[Situation]]


def now() -> datetime:
    return datetime.now(UTC)


async def collected(shop: Shop, quantity: int = 2, **more: Any) -> str:
    """An order that its customer has collected, whole; returns its journey."""
    journey = await shop.order(quantity, **more)
    lines = [{"line_id": "1", "quantity": quantity}]
    for kind, data in (
        ("bopis.picked", {"picker": "p", "lines": lines}),
        ("bopis.handed_over", {"lines": None, "actor": "p"}),
    ):
        assert (await shop.report(kind, journey_id=journey, **data)).outcome == "accepted"
    return journey


async def receipt(shop: Shop, quantity: int = 2, *, at: str = "S1", number: str = "T-1") -> str:
    """A sale at the till; returns the receipt's number."""
    sold = [{"line": "1", "sku": TEA, "quantity": quantity, "unit_price_minor": PRICE_MINOR, "tax_minor": 100}]
    assert (await shop.report("pos.sale", location=at, receipt=number, lines=sold)).outcome == "accepted"
    return number


def asked(order: str | None = None, quantity: int = 1, **more: Any) -> dict[str, Any]:
    """The body of a return of tea; `line` changes what its line says."""
    line = {"line_id": "1", "sku": TEA, "quantity": quantity, "reason": "changed_mind", **more.pop("line", {})}
    return {
        "return_id": f"RT-{uuid.uuid4().hex[:8]}",
        "order_reference": order,
        "returned_to": "S1",
        "currency": "EUR",
        "lines": [line],
        **more,
    }


async def ask(shop: Shop, body: dict[str, Any]) -> ReturnAnswer:
    """Ask to bring something back, as the web shop's key."""
    _, answer = await requests.start(shop.database, WEB, NewReturn.model_validate(body), actor="key:key-web", via="api")
    return answer


@dataclass
class Back:
    """One return of a shop, moved on by hand."""

    shop: Shop
    id: str

    @classmethod
    async def open(cls, shop: Shop, order: str | None = None, quantity: int = 1, **more: Any) -> Back:
        return cls(shop, (await ask(shop, asked(order, quantity, **more))).journey_id)

    @classmethod
    async def newest(cls, shop: Shop) -> Back:
        """The return that was begun last, by a till for instance."""
        query = "SELECT id FROM journey WHERE kind = 'returns' ORDER BY recorded_at DESC, id LIMIT 1"
        return cls(shop, await shop.value(query))

    async def report(self, kind: str, **data: Any) -> EventOutcome:
        outcome = await self.shop.report(kind, return_id=self.id, **data)
        assert outcome.outcome == "accepted", outcome
        return outcome

    async def receive(self, quantity: int = 1, line_id: str | None = "1", **more: Any) -> EventOutcome:
        line = {"line_id": line_id, "quantity": quantity, **more.pop("line", {})}
        return await self.report("return.received", lines=[line], **more)

    async def inspect(
        self, quantity: int = 1, condition: str = "new", disposition: str | None = None, line_id: str = "1"
    ) -> EventOutcome:
        line = {"line_id": line_id, "quantity": quantity, "condition": condition, "disposition": disposition}
        return await self.report("return.inspected", lines=[line], actor="crew-1")

    async def take(self, what: Take, **details: Any) -> Situation:
        """One step, as the worker takes it."""
        given: dict[str, Any] = {"occurrence": uuid.uuid4().hex, "at": now()}
        return await what(self.shop.database, Step(subject=self.id, **(given | details)))

    async def fall_due(self, name: str) -> Situation:
        """The due instant comes."""
        at = datetime.fromisoformat((await self.row())["dues"][name])
        return await self.take(dues.on_due, due=name, at=at + timedelta(seconds=1))

    async def operations(self) -> list[str]:
        """Operations that a worker would carry out."""
        found = await self.rows(
            "SELECT id FROM payment_operation WHERE journey_id = :id AND state IN ('requested', 'unknown') ORDER BY id"
        )
        return [row["id"] for row in found]

    async def provider_says(self, state: Any = "succeeded", error: str | None = None) -> None:
        """The provider answers every operation that is asked of it."""
        for operation in await self.operations():
            step = Step(subject=self.id, occurrence=uuid.uuid4().hex, at=now(), operation_id=operation)
            if f"/{exchanges.TENDER}:" in operation:
                await exchange_payments.carry_out(self.shop.database, step)
                continue
            await outcomes.record_outcome(self.shop.database, step, PaymentOutcome(state, "p1", error))

    async def rows(self, query: str) -> list[dict[str, Any]]:
        async with self.shop.database.read() as conn:
            return [dict(row) for row in (await conn.execute(text(query), {"id": self.id})).mappings()]

    async def row(self) -> dict[str, Any]:
        return (await self.rows("SELECT * FROM journey WHERE id = :id"))[0]

    async def state(self) -> str:
        return str((await self.row())["state"])

    async def line(self, line_id: str = "1") -> dict[str, Any]:
        found = await self.rows("SELECT * FROM return_line WHERE journey_id = :id ORDER BY line_id")
        return next(row for row in found if row["line_id"] == line_id)

    async def refunds(self) -> list[tuple[str, int, str]]:
        """(tender, minor units, state) of what goes back."""
        found = await self.rows(
            "SELECT p.tender, o.amount_minor, o.state FROM payment_operation o JOIN payment p ON p.id = o.payment_id"
            " WHERE o.journey_id = :id ORDER BY o.at, o.recorded_at, o.id"
        )
        return [(row["tender"], row["amount_minor"], row["state"]) for row in found]

    async def cases(self) -> list[str]:
        """Kinds of the open cases about it."""
        found = await self.rows("SELECT kind FROM case_file WHERE journey_id = :id AND closed_at IS NULL ORDER BY kind")
        return [row["kind"] for row in found]

    async def case_id(self, kind: str) -> int:
        found = await self.rows(
            f"SELECT id FROM case_file WHERE journey_id = :id AND kind = '{kind}' AND closed_at IS NULL"  # noqa: S608
        )
        return int(found[0]["id"])

    async def decide(self, option: str, *, by: Person = ANA, **parameters: Any) -> str:
        """Decide what the journey asks, and take the steps that follow; returns the state."""
        case_id = int((await self.row())["asks"]["case_id"])
        answer = await decisions.decide(
            self.shop.database, case_id, by, option_id=option, parameters=parameters, via="test"
        )
        asks = (await self.row())["asks"]
        if asks.get("needs_approval"):
            await self.take(steps.open_approval, decision_id=answer.decision_id)
            return await self.state()
        await self.take(steps.apply_decision, decision_id=answer.decision_id)
        return await self.state()

    async def silence(self) -> str:
        """Nobody answers the approval, whoever is asked; returns the state."""
        number = (await self.row())["asks"]["approval_id"]
        while True:
            at = await self.shop.value("SELECT next_at FROM approval WHERE id = :id", id=number)
            if at is None:
                await self.take(steps.attend)
                return await self.state()
            due = Step(subject=str(number), occurrence=f"next@{at.isoformat()}", at=at, due="next")
            await verdicts.on_due(self.shop.database, due)

    async def verdict(self, verdict: str = "approve", *, by: Person = MAX) -> str:
        """Somebody answers the approval, and the steps that follow are taken; returns the state."""
        asks = (await self.row())["asks"]
        await verdicts.record_verdict(
            self.shop.database, asks["approval_id"], by, verdict=verdict, note="looked at it", via="test"
        )
        if "decision_id" not in asks:  # asked without a case
            await self.take(steps.attend)
            return await self.state()
        after = steps.apply_decision if verdict == "approve" else steps.give_back
        await self.take(after, decision_id=asks["decision_id"], approval_id=asks["approval_id"])
        return await self.state()


async def shelf(shop: Shop, *, at: str = "S1", sku: str = TEA) -> dict[str, int]:
    """What is in the buckets of a place that are not empty."""
    async with shop.database.read() as conn:
        found = await conn.execute(
            text("SELECT * FROM stock WHERE location = :at AND sku = :sku"), {"at": at, "sku": sku}
        )
        row = dict(found.mappings().one())
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, int) and value and name not in ("confidence_permille", "safety_stock")
    }


async def late(shop: Shop, events: list[dict[str, Any]]) -> list[EventOutcome]:
    """Events as they are, by the web shop's key."""
    return await facts.receive(shop.database, WEB, events, received_at=now())
