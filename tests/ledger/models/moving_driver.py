"""Sends the commands of the model of moving goods to the real ledger, and reads from it what can be compared."""

import asyncio
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from domain.errors import DomainError
from domain.messages import Step
from domain.people import Grant, Person
from domain.transfers import NewTransfer
from ledger import decisions, facts, verdicts
from ledger.audit import goods, transfers
from ledger.people import Caller
from ledger.tables import person, person_role
from ledger.transfer import claims, dues, intake, steps
from tests.ledger.models.machine import Command
from tests.ledger.models.moving import BUCKETS, PLACES
from tests.ledger.support.counting import Count
from tests.ledger.support.till import open_assortment
from tests.ledger.support.transfers import other_company
from tests.shop import Shop

SYSTEM = Caller("key-wms", "wms", frozenset({"orders:write", "events:write"}), frozenset({"endcap"}), None, frozenset())
REX = Person("rex", "Rex Lund", "rex@shop.example", (Grant("regional_ops"),))
DORA = Person("dora", "Dora Falk", "dora@shop.example", (Grant("finance", "DE01"),))
NORA = Person("nora", "Nora Holm", "nora@shop.example", (Grant("finance", "DE02"),))
EVENTS = {"shipped", "received", "cancelled", "declined"}
LATE = timedelta(days=400)
# What is left to the people of a place is one question at a time; counts that a decision asks for are not entered here.
NOT_TAKEN = ("recount_destination", "recount_source")
_FOLLOWS = re.compile(r"-(send_back|send_on|back)-(\d+)")


@dataclass
class Driver:
    """One retailer on one database. `began` is instant 0 of the run's clock; a command's `at` is minutes after it."""

    shop: Shop
    began: datetime
    keys: dict[str, str] = field(default_factory=dict)  # the journey of a transfer, by the model's name for it

    @classmethod
    async def open(cls, shop: Shop) -> "Driver":
        """Two stores of one company and one of another; nothing on any shelf."""
        await open_assortment(shop)
        await other_company(shop)
        async with shop.database.engine.begin() as conn:
            for who in (REX, DORA, NORA):
                await conn.execute(insert(person).values(id=who.id, name=who.name, email=who.email))
                for grant in who.grants:
                    await conn.execute(insert(person_role).values(person_id=who.id, **grant._asdict()))
        return cls(shop, datetime.now(UTC) - timedelta(days=10))

    def clock(self, at: int) -> datetime:
        return self.began + timedelta(minutes=at)

    async def run(self, command: Command) -> str:
        """Send a command; returns the answer in the model's words."""
        if command.kind in EVENTS:
            data = getattr(self, f"_data_of_{command.kind}")(command, *command.args)
            return await self._event(f"transfer.{command.kind}", command, data)
        answer: str = await getattr(self, f"_{command.kind}")(command, *command.args)
        return answer

    async def at_once(self, commands: list[Command]) -> list[str]:
        return await asyncio.gather(*(self.run(command) for command in commands))

    def journey(self, command: Command) -> str:
        return self.keys[command.about]

    # ------------------------------------------------------------------ systems
    async def _event(self, kind: str, command: Command, data: dict[str, Any]) -> str:
        at = self.clock(command.at)
        event = {"id": f"e{command.at}", "type": kind, "occurred_at": at.isoformat(), "data": data}
        (outcome,) = await facts.receive(self.shop.database, SYSTEM, [event], received_at=at)
        return outcome.outcome

    async def _supply(self, command: Command, place: str, sku: str, quantity: int) -> str:
        lines = [{"sku": sku, "quantity": quantity}]
        return await self._event(
            "stock.received", command, {"location": place, "document": f"d{command.at}", "lines": lines}
        )

    async def _sale(self, command: Command, place: str, sku: str, quantity: int) -> str:
        lines = [{"line": "1", "sku": sku, "quantity": quantity, "unit_price_minor": 900}]
        return await self._event("pos.sale", command, {"location": place, "receipt": f"r{command.at}", "lines": lines})

    async def _open(self, command: Command, source: str, target: str, lines: tuple[tuple[str, int], ...]) -> str:
        body = {
            "transfer_id": command.about,
            "from": source,
            "to": target,
            "reason": "rebalance",
            "lines": [
                {"line_id": str(number), "sku": sku, "quantity": quantity}
                for number, (sku, quantity) in enumerate(lines, start=1)
            ],
        }
        wanted = NewTransfer.model_validate(body)
        (answer,) = await intake.request(self.shop.database, SYSTEM, [wanted], via="api")
        assert not isinstance(answer, DomainError), answer
        self.keys[command.about] = answer[1].journey_id
        return str(answer[0])

    def _data_of_shipped(
        self,
        command: Command,
        told: tuple[tuple[str, int], ...] | None,
        complete: bool,
    ) -> dict[str, Any]:
        lines = None if told is None else [{"line_id": name, "quantity": quantity} for name, quantity in told]
        return {"transfer_id": self.journey(command), "lines": lines, "complete": complete, "carrier": "Parcel Co"}

    def _data_of_received(
        self,
        command: Command,
        place: str,
        told: tuple[tuple[str, int, str, str | None], ...] | None,
        complete: bool,
    ) -> dict[str, Any]:
        lines = None
        if told is not None:
            names = ("line_id", "quantity", "condition", "sku")
            lines = [dict(zip(names, one, strict=True)) for one in told]
        return {"transfer_id": self.journey(command), "location": place, "lines": lines, "complete": complete}

    def _data_of_cancelled(self, command: Command) -> dict[str, Any]:
        return {"transfer_id": self.journey(command)}

    _data_of_declined = _data_of_cancelled

    # ------------------------------------------------------------------ stores
    async def _count(self, command: Command, place: str, sku: str, quantity: int) -> str:
        count = await Count.open(self.shop, sku, at=place)
        at = self.clock(command.at)
        await self.shop.change(  # it was asked for on the run's clock, not on the database's
            "UPDATE journey SET detail = jsonb_set(detail, '{round_opened_at}', to_jsonb(CAST(:at AS text)))"
            " WHERE id = :id",
            id=count.id, at=at.isoformat(),
        )  # fmt: skip
        await count.enter((sku, quantity), counted_at=at)
        await count.compare()
        assert await count.post() == "posted"
        return "done"

    # ------------------------------------------------------------------ workflows and people
    def _step(self, command: Command, **more: Any) -> Step:
        given: dict[str, Any] = {"at": self.clock(command.at), "occurrence": f"{command.kind}{command.at}"}
        return Step(subject=self.journey(command), **(given | more))

    async def _agree(self, command: Command, approves: bool) -> str:
        """Both sides have spoken, or one has said no; then the step that follows."""
        number = (await self.asks(command.about)).get("approval_id")
        if number is None:
            return "done"
        try:
            for who in (DORA, NORA) if approves else (NORA,):
                verdict = "approve" if approves else "reject"
                await verdicts.record_verdict(
                    self.shop.database, number, who, verdict=verdict, note="Because.", via="test"
                )
        except DomainError:
            return "done"  # superseded: the question has answered itself
        await steps.settle_agreement(self.shop.database, self._step(command, approval_id=number))
        return "done"

    async def _attend(self, command: Command, _doubted: tuple[str, ...]) -> str:
        await steps.attend(self.shop.database, self._step(command))
        return "done"

    async def _compare(self, command: Command) -> str:
        await steps.compare(self.shop.database, self._step(command))
        return "done"

    async def _due(self, command: Command, name: str) -> str:
        """A timer fires as it would after an outage, each one later than what all before it have put off."""
        late = self.clock(command.at) + LATE * command.at
        await dues.on_due(self.shop.database, self._step(command, due=name, at=late))
        return "done"

    async def _decide(self, command: Command, option: str) -> str:
        case_id = (await self.asks(command.about))["case_id"]
        offered = await self.options(command.about)
        causes = next(one["choices"] for one in offered if one["id"] == option)
        answer = await decisions.decide(
            self.shop.database, case_id, REX, option_id=option, via="test",
            parameters={"root_cause": "lost_by_carrier"} if causes else {},
        )  # fmt: skip
        told = await steps.apply_decision(self.shop.database, self._step(command, decision_id=answer.decision_id))
        assert told.decision_id is None
        state = await self.shop.value("SELECT state FROM case_decision WHERE id = :id", id=answer.decision_id)
        assert state == "applied", state
        return "done"

    async def _claim(self, _command: Command, number: int, share: int) -> str:
        """The next thing that happens to a claim against a carrier."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(text("SELECT * FROM carrier_claim ORDER BY id"))
            open_ones = [row for row in rows.mappings() if row["state"] not in ("paid", "declined")]
        if not open_ones:
            return "done"
        one = open_ones[number % len(open_ones)]
        if one["state"] == "opened":
            await claims.mark_sent(self.shop.database, one["id"], SYSTEM, via="test")
        elif one["state"] == "sent":
            accepted = one["amount_minor"] * share // 3
            await claims.record_answer(
                self.shop.database, one["id"], SYSTEM, accepted_minor=accepted, reference="", via="test"
            )
        else:
            await claims.record_payment(self.shop.database, one["id"], SYSTEM, via="test")
        return "done"

    # ------------------------------------------------------------------ what is recorded
    async def asks(self, about: str) -> dict[str, Any]:
        return dict(await self.shop.value("SELECT asks FROM journey WHERE id = :id", id=self.keys[about]))

    async def options(self, about: str) -> list[dict[str, Any]]:
        """What may be chosen now; nothing where nobody is asked."""
        number = (await self.asks(about)).get("case_id")
        if number is None:
            return []
        offered = await self.shop.value("SELECT options FROM case_file WHERE id = :id", id=number)
        return [one for one in offered if one["allowed"] and one["id"] not in NOT_TAKEN]

    async def dues(self, about: str) -> list[str]:
        """What may fall due with somebody being asked about it."""
        if (await self.asks(about)).get("case_id"):
            return []
        return sorted(await self.shop.value("SELECT dues FROM journey WHERE id = :id", id=self.keys[about]))

    async def doubted(self, about: str) -> tuple[str, ...]:
        """The lines of which the till may have sold what is held."""
        async with self.shop.database.read() as conn:
            rows = await conn.execute(
                text(
                    "SELECT line_id FROM hold WHERE journey_id = :id AND doubted_at IS NOT NULL AND reserved > 0"
                    " ORDER BY line_id"
                ),
                {"id": self.keys[about]},
            )
            return tuple(rows.scalars())

    async def seen(self) -> dict[str, Any]:
        """The ledger's state in the shape of `Model.seen`."""
        async with self.shop.database.read() as conn:
            places = (await conn.execute(text("SELECT * FROM stock"))).mappings().all()
            moving = (await conn.execute(text(_MOVING))).mappings().all()
        decisions = sorted({int(number) for row in moving for _, number in _FOLLOWS.findall(row["key"])})
        ordinal = {str(number): str(place) for place, number in enumerate(decisions, start=1)}

        def named(key: str) -> str:
            return _FOLLOWS.sub(lambda found: f"-{found[1]}-{ordinal[found[2]]}", key)

        self.keys |= {named(row["key"]): row["id"] for row in moving}
        return {
            "stock": {
                (row["location"], row["sku"]): numbers
                for row in places
                if row["location"] in PLACES and any(numbers := tuple(row[bucket] for bucket in BUCKETS))
            },
            "moving": {
                named(row["key"]): (
                    row["state"],
                    {name: tuple(line) for name, line in row["lines"].items()},
                    sorted(tuple(extra) for extra in row["extras"]),
                )
                for row in moving
            },
        }

    async def check(self) -> None:
        """No unit in two places or in none, and the books of both entities say the same."""
        async with self.shop.database.read() as conn:
            for rule, query in (goods.RULES | transfers.RULES).items():
                broken = (await conn.execute(text(query))).fetchmany(3)
                assert not broken, (rule, broken)


_MOVING = """
    SELECT j.id, j.key, j.state,
        (SELECT jsonb_object_agg(l.line_id, jsonb_build_array(l.ordered, l.reserved, l.cancelled, l.shipped, l.assumed,
            l.in_transit, l.received, l.damaged, l.settled, l.damaged - l.damage_settled))
         FROM transfer_line l WHERE l.journey_id = j.id) AS lines,
        (SELECT coalesce(jsonb_agg(jsonb_build_array(e.kind, e.line_id, e.location, e.sku,
            e.quantity - e.settled)), '[]')
         FROM transfer_extra e WHERE e.journey_id = j.id AND e.settled < e.quantity) AS extras
    FROM journey j WHERE j.kind = 'transfer'
"""


def new_name() -> str:
    return f"endcap_moving_{uuid.uuid4().hex[:12]}"
