"""Claims in tests of the ledger: prepared, answered, paid, decided about, their steps taken as a worker would."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.events import EventOutcome
from domain.messages import Situation, Step
from domain.people import Person
from ledger import decisions, facts, verdicts
from ledger.claim import preparing, steps
from ledger.engine import Database
from tests.ledger.support.funding import ENDS, ERP
from tests.shop import ADA, FIN, Shop

Take = Callable[[Database, Step], Awaitable[Situation]]
FREELY = {"bands": {"claim": {"manager_minor": None, "finance_minor": None}, "write_off_minor": 1_000_000}}


def now() -> datetime:
    return datetime.now(UTC)


async def prepare(shop: Shop, at: datetime | None = None) -> list[str]:
    """Prepare what is due; returns the claims that this made, in their order."""
    before = await claims(shop)
    await preparing.prepare_due(shop.database, at or now())
    return [one for one in await claims(shop) if one not in before]


async def claims(shop: Shop) -> list[str]:
    async with shop.database.read() as conn:
        rows = await conn.execute(text("SELECT journey_id FROM claim ORDER BY recorded_at, journey_id"))
        return list(rows.scalars())


@dataclass
class Claimed:
    """One claim of a shop, moved on by hand."""

    shop: Shop
    id: str

    @classmethod
    async def prepared(cls, shop: Shop, at: datetime | None = None) -> Claimed:
        (made,) = await prepare(shop, at)
        return cls(shop, made)

    async def report(self, kind: str, event_id: str = "", **data: Any) -> EventOutcome:
        """An event about it by the system that has its agreement."""
        event = {
            "id": event_id or uuid.uuid4().hex,
            "type": f"claim.{kind}",
            "occurred_at": (ENDS if event_id else now()).isoformat(),  # the same event is the same word for word
            "data": {"claim_id": self.id, **data},
        }
        (outcome,) = await facts.receive(self.shop.database, ERP, [event], received_at=now())
        return outcome

    async def answered(self, *accepted: int, settlement: str = "cash", reason: str = "") -> str:
        """The vendor accepts so much of each line; all of it when none is named. Returns the state."""
        lines = [
            {"line_id": str(number), "accepted_minor": minor, "reason": reason}
            for number, minor in enumerate(accepted, start=1)
        ]
        outcome = await self.report("answered", lines=lines or None, settlement=settlement, reference="V-1")
        assert outcome.outcome == "accepted", outcome
        return await self.state()

    async def paid(self, minor: int, settlement: str = "cash") -> str:
        outcome = await self.report("settled", amount_minor=minor, settlement=settlement)
        assert outcome.outcome == "accepted", outcome
        return await self.state()

    async def take(self, what: Take, **details: Any) -> Situation:
        """One step, as the worker takes it."""
        given: dict[str, Any] = {"occurrence": uuid.uuid4().hex, "at": now()}
        return await what(self.shop.database, Step(subject=self.id, **(given | details)))

    async def due(self, name: str) -> str:
        """The due instant comes; returns the state."""
        at = datetime.fromisoformat((await self.row())["dues"][name])
        return (await self.take(steps.on_due, due=name, at=at + timedelta(seconds=1))).state

    async def agree(self, verdict: str = "approve", by: Person = FIN) -> str:
        """A verdict on whether it goes out, and the step that follows; returns the state."""
        approval_id = (await self.row())["asks"]["approval_id"]
        await verdicts.record_verdict(self.shop.database, approval_id, by, verdict=verdict, note="Seen.", via="test")
        return (await self.take(steps.settle_approval, approval_id=approval_id)).state

    async def decide(self, option: str, by: Person = FIN, /, **parameters: Any) -> str:
        """Decide the open case, and take the step that applies it or asks for approval; returns the state."""
        case_id = (await self.row())["asks"]["case_id"]
        answer = await decisions.decide(
            self.shop.database, case_id, by, option_id=option, parameters=parameters, via="test"
        )
        asks = (await self.row())["asks"]
        step = steps.open_approval if asks.get("needs_approval") else steps.apply_decision
        return (await self.take(step, decision_id=answer.decision_id)).state

    async def verdict(self, verdict: str = "approve", by: Person = ADA) -> str:
        """A verdict on a decision, and the step that follows."""
        asks = (await self.row())["asks"]
        await verdicts.record_verdict(
            self.shop.database, asks["approval_id"], by, verdict=verdict, note="Seen.", via="test"
        )
        step = steps.apply_decision if verdict == "approve" else steps.give_back
        return (await self.take(step, decision_id=asks["decision_id"], approval_id=asks["approval_id"])).state

    async def row(self) -> dict[str, Any]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(text("SELECT * FROM journey WHERE id = :id"), {"id": self.id})
            return dict(rows.mappings().one())

    async def head(self) -> dict[str, int]:
        """Its amounts that are not zero."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(text("SELECT * FROM claim WHERE journey_id = :id"), {"id": self.id})
            row = rows.mappings().one()
        return {name.removesuffix("_minor"): row[name] for name in row if name.endswith("_minor") and row[name]}

    async def state(self) -> str:
        return str((await self.row())["state"])

    async def cases(self) -> list[str]:
        """Kinds of the open cases about it."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT kind FROM case_file WHERE journey_id = :id AND closed_at IS NULL"), {"id": self.id}
            )
            return list(rows.scalars())

    async def mails(self) -> list[str]:
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text("SELECT template FROM mail WHERE journey_id = :id AND approval_id IS NULL ORDER BY id"),
                {"id": self.id},
            )
            return list(rows.scalars())
