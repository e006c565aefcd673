"""Transfers in tests of the ledger: asked for, reported, and their steps taken as a worker would take them."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from domain.errors import DomainError
from domain.events import EventOutcome
from domain.messages import Situation, Step
from domain.people import Person
from domain.transfers import NewTransfer, TransferAnswer
from ledger import decisions, facts, verdicts
from ledger.engine import Database
from ledger.people import Caller
from ledger.tables import entity, location, region
from ledger.transfer import dues, intake, steps
from tests.shop import ANA, TEA, Shop

WMS = Caller("key-wms", "wms", frozenset({"orders:write", "events:write"}), frozenset(), None, frozenset())
Take = Callable[[Database, Step], Awaitable[Situation]]
FREELY = {"bands": {"transfer": {"manager_minor": None, "finance_minor": None}}}


def now() -> datetime:
    return datetime.now(UTC)


async def other_company(shop: Shop) -> None:
    """A third store, of another legal entity."""
    async with shop.database.engine.begin() as conn:
        await conn.execute(insert(entity).values(code="DE02", name="Other GmbH", currency="EUR", country="DE"))
        await conn.execute(insert(region).values(code="R2", name="North", entity="DE02"))
        await conn.execute(
            insert(location).values(
                code="N1", name="Hamburg", kind="store", region="R2", entity="DE02", time_zone="UTC", latitude=53.5,
                longitude=10.0, pickup=True,
            )
        )  # fmt: skip


async def ask(shop: Shop, *lines: tuple[str, int], **more: Any) -> TransferAnswer | DomainError:
    """Ask for one; returns the answer, or the refusal."""
    body = {"transfer_id": f"T-{uuid.uuid4().hex[:8]}", "from": "S1", "to": "S2", "reason": "rebalance"}
    wanted = [
        {"line_id": str(number), "sku": sku, "quantity": quantity}
        for number, (sku, quantity) in enumerate(lines or ((TEA, 3),), start=1)
    ]
    one = NewTransfer.model_validate(body | {"lines": wanted} | more)
    (result,) = await intake.request(shop.database, WMS, [one], via="api")
    return result if isinstance(result, DomainError) else result[1]


@dataclass
class Moved:
    """One transfer of a shop, moved on by hand."""

    shop: Shop
    id: str
    answer: TransferAnswer

    @classmethod
    async def open(cls, shop: Shop, *lines: tuple[str, int], **more: Any) -> Moved:
        answer = await ask(shop, *lines, **more)
        assert isinstance(answer, TransferAnswer), answer
        return cls(shop, answer.journey_id, answer)

    async def report(self, kind: str, **data: Any) -> EventOutcome:
        """An event of the warehouse system about it."""
        event = {
            "id": uuid.uuid4().hex,
            "type": f"transfer.{kind}",
            "occurred_at": now().isoformat(),
            "data": {"transfer_id": self.id, **data},
        }
        (outcome,) = await facts.receive(self.shop.database, WMS, [event], received_at=now())
        return outcome

    async def ship(self, *quantities: int, **more: Any) -> str:
        """So many units of each line leave; all that are reserved when none is named. Returns the state."""
        outcome = await self.report("shipped", lines=_numbered(quantities), **more)
        assert outcome.outcome == "accepted", outcome
        return await self.state()

    async def receive(self, *quantities: int, complete: bool = False, **more: Any) -> str:
        """So many units of each line come; all that are in transit when none is named. Returns the state."""
        outcome = await self.report("received", lines=_numbered(quantities), complete=complete, **more)
        assert outcome.outcome == "accepted", outcome
        return await self.state()

    async def take(self, what: Take, **details: Any) -> Situation:
        """One step, as the worker takes it."""
        given: dict[str, Any] = {"occurrence": uuid.uuid4().hex, "at": now()}
        return await what(self.shop.database, Step(subject=self.id, **(given | details)))

    async def compare(self) -> str:
        return (await self.take(steps.compare)).state

    async def due(self, name: str, *, after: timedelta = timedelta(days=30)) -> str:
        """A due instant comes, so long from now; returns the state."""
        return (await self.take(dues.on_due, due=name, at=now() + after)).state

    async def agree(self, by: Person, verdict: str = "approve") -> str:
        """A verdict on whether it is sent at all, and the step that follows; returns the state."""
        approval_id = (await self.row())["asks"]["approval_id"]
        await verdicts.record_verdict(self.shop.database, approval_id, by, verdict=verdict, note="Because.", via="test")
        if (await self.row())["asks"].get("verdict") is None:
            return await self.state()  # somebody else's word is missing
        return (await self.take(steps.settle_agreement, approval_id=approval_id)).state

    async def decide(self, option: str, by: Person = ANA, /, **parameters: Any) -> Situation:
        """Decide the open case, and take the step that applies it or asks for approval."""
        case_id = (await self.row())["asks"]["case_id"]
        answer = await decisions.decide(
            self.shop.database, case_id, by, option_id=option, parameters=parameters, via="test"
        )
        asks = (await self.row())["asks"]
        step = steps.open_approval if asks.get("needs_approval") else steps.apply_decision
        return await self.take(step, decision_id=answer.decision_id)

    async def verdict(self, by: Person, verdict: str) -> Situation:
        """A verdict on a decision, and the step that follows."""
        asks = (await self.row())["asks"]
        await verdicts.record_verdict(
            self.shop.database, asks["approval_id"], by, verdict=verdict, note="Because.", via="test"
        )
        step = steps.apply_decision if verdict == "approve" else steps.give_back
        return await self.take(step, decision_id=asks["decision_id"], approval_id=asks["approval_id"])

    async def row(self) -> dict[str, Any]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(text("SELECT * FROM journey WHERE id = :id"), {"id": self.id})
            return dict(rows.mappings().one())

    async def state(self) -> str:
        return str((await self.row())["state"])

    async def line(self, line_id: str = "1") -> dict[str, int]:
        """The quantities of a line that are not zero."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT * FROM transfer_line WHERE journey_id = :id AND line_id = :line"),
                {"id": self.id, "line": line_id},
            )
            row = rows.mappings().one()
            return {
                name: row[name]
                for name in (
                    "reserved",
                    "shipped",
                    "assumed",
                    "in_transit",
                    "received",
                    "damaged",
                    "settled",
                    "cancelled",
                )
                if row[name]
            }

    async def case_of(self, kind: str) -> dict[str, Any]:
        """The case of a kind."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT * FROM case_file WHERE journey_id = :id AND kind = :kind"), {"id": self.id, "kind": kind}
            )
            return dict(rows.mappings().one())

    async def options(self) -> dict[str, dict[str, Any]]:
        """What the open case offers, by id."""
        case_id = (await self.row())["asks"]["case_id"]
        options = await self.shop.value("SELECT options FROM case_file WHERE id = :id", id=case_id)
        return {option["id"]: option for option in options}

    async def told(self) -> list[str]:
        """The sentences of its timeline."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT detail FROM journey_step WHERE journey_id = :id AND detail <> '' ORDER BY recorded_at"),
                {"id": self.id},
            )
            return list(rows.scalars())


def _numbered(quantities: tuple[int, ...]) -> list[dict[str, Any]] | None:
    if not quantities:
        return None
    return [{"line_id": str(number), "quantity": quantity} for number, quantity in enumerate(quantities, start=1)]


async def shelf(shop: Shop, at: str, sku: str = TEA) -> dict[str, int]:
    """The buckets of an item that are not empty."""
    async with shop.database.read() as conn:
        rows = await conn.execute(
            text(
                "SELECT available, reserved, staged, in_transit, count_pending, damaged FROM stock"
                " WHERE location = :at AND sku = :sku"
            ),
            {"at": at, "sku": sku},
        )
        row = rows.mappings().first()
        return {name: value for name, value in row.items() if value} if row else {}
