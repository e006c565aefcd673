"""Sends the model's commands to the ledger, as systems, people and workflows would, and reads what became of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.errors import DomainError, HoldEnded, NotEnoughStock
from domain.holds import HoldExtension, HoldIn
from domain.ids import checkout_id
from domain.messages import Situation, Step
from domain.orders import BopisOrder
from domain.payments import PaymentOutcome
from ledger import decisions, facts, holds, intake, outcomes, situations, verdicts
from ledger.bopis import dues, steps
from ledger.people import Caller
from tests.ledger.models.machine import Command
from tests.ledger.models.orders import BASKET_PARTS, BUCKETS, LATE_S, Line
from tests.shop import ANA, MAX, Shop

SYSTEM = Caller(
    "key-web", "web", frozenset({"orders:write", "events:write", "stock:adjust"}), frozenset(), None, frozenset()
)
EVENTS = {
    "picked": "bopis.picked",
    "handed_over": "bopis.handed_over",
    "put_away": "bopis.put_away",
    "cancelled": "bopis.cancelled",
    "let_go_on": "bopis.hold_released",
    "shipped": "order.shipped",
    "sale": "pos.sale",
    "received": "stock.received",
    "adjusted": "stock.adjusted",
}
OUTCOMES = {"accepted", "duplicate", "quarantined", "refused"}


@dataclass
class Driver:
    """One retailer on one database. `began` is instant 0 of the run's clock; a command's `at` is seconds after it."""

    shop: Shop
    began: datetime
    sent: dict[int, Any] = field(default_factory=dict)

    def clock(self, at: int) -> datetime:
        return self.began + timedelta(seconds=at)

    def journey(self, key: str) -> str:
        return f"bopis:web:{key}"

    async def run(self, command: Command) -> str:
        """Send a command; returns the answer in the model's words."""
        if command.kind in EVENTS:
            return await self._event(command)
        answer: str = await getattr(self, f"_{command.kind}")(command, *command.args)
        return answer

    async def at_once(self, commands: list[Command]) -> list[str]:
        return await asyncio.gather(*(self.run(command) for command in commands))

    # ------------------------------------------------------------------ systems
    async def _order(
        self,
        command: Command,
        at: str,
        promised: int,
        lines: dict[str, Line],
        charge: int,
        authorised: bool,
        kept_back: bool = False,  # noqa: FBT002
    ) -> str:
        total = charge + sum(line.worth(line.ordered) for line in lines.values())
        body = {
            "order_id": command.about,
            "channel": "web",
            "pickup_location": at,
            "currency": "EUR",
            "placed_at": self.clock(command.at).isoformat(),
            "promised_at": self.clock(promised).isoformat(),
            "prices_include_tax": False,
            "lines": [
                {
                    "line_id": name,
                    "sku": line.sku,
                    "quantity": line.ordered,
                    "unit_price_minor": line.gross // line.ordered,
                    "discount_minor": line.discount,
                    "tax_minor": line.tax,
                }
                for name, line in lines.items()
            ],
            "hold": {"reason": "payment"} if kept_back else None,
            "charges": [{"kind": "service", "amount_minor": charge}] if charge else [],
            "payments": [
                {
                    "reference": "card-1",
                    "tender": "card",
                    "amount_minor": total,
                    "state": "authorized" if authorised else "captured",
                }
            ],
        }
        status, answer = await intake.place_order(
            self.shop.database,
            SYSTEM,
            BopisOrder.model_validate(body),
            idempotency_key=None,
            received_at=self.clock(command.at),
        )
        before = self.sent.setdefault(command.at, answer)
        assert before == answer, "a repeat is answered as the first time"
        return str(status)

    async def _basket(self, command: Command, at: str, lines: tuple[tuple[str, int], ...], ends: bool) -> str:
        wanted = {
            "hold_id": command.about,
            "channel": "web",
            "lines": [
                {"line_id": str(number), "sku": sku, "quantity": quantity, "location": at}
                for number, (sku, quantity) in enumerate(lines, start=1)
            ],
            "expires_in_s": 3_600 if ends else None,
        }
        try:
            status, _ = await holds.open_hold(
                self.shop.database, SYSTEM, HoldIn.model_validate(wanted), idempotency_key=None
            )
        except NotEnoughStock:
            return "refused"
        return str(status)

    async def _extended(self, command: Command) -> str:
        ends = await self.shop.value("SELECT max(expires_at) FROM hold WHERE checkout = :id", id=self._hold_of(command))
        return await self._asked(holds.extend, command, HoldExtension(expires_in_s=7_200 if ends else None))

    async def _released(self, command: Command) -> str:
        return await self._asked(holds.release, command)

    async def _asked(self, ask: Callable[..., Awaitable[Any]], command: Command, *more: Any) -> str:
        try:
            await ask(self.shop.database, SYSTEM, command.about, *more)
        except HoldEnded:
            return "refused"
        return "done"

    async def _expired(self, command: Command) -> str:
        """Its time is over, and the worker sweeps until it has given back what is still held."""
        key = self._hold_of(command)
        await self.shop.change(
            "UPDATE hold SET expires_at = now() - interval '1 s' WHERE checkout = :id AND expires_at IS NOT NULL",
            id=key,
        )
        left = "SELECT count(*) FROM hold WHERE checkout = :id AND expires_at < now() AND reserved > 0"
        while await self.shop.value(left, id=key):
            await holds.sweep(self.shop.database)
        return "done"

    def _hold_of(self, command: Command) -> str:
        return checkout_id("web", command.about)

    async def _event(self, command: Command) -> str:
        event = {
            "id": f"e{command.at}",
            "type": EVENTS[command.kind],
            "occurred_at": self.clock(command.at).isoformat(),
            "data": getattr(self, f"_data_of_{command.kind}")(command, *command.args),
        }
        (outcome,) = await facts.receive(self.shop.database, SYSTEM, [event], received_at=self.clock(command.at))
        assert outcome.outcome in OUTCOMES, outcome
        return outcome.outcome

    def _data_of_picked(self, command: Command, picks: tuple[tuple[str, int, str | None], ...]) -> dict[str, Any]:
        lines = [{"line_id": name, "quantity": quantity, "reason": reason} for name, quantity, reason in picks]
        return {"journey_id": self.journey(command.about), "picker": "p1", "lines": lines}

    def _data_of_handed_over(self, command: Command, handed: tuple[tuple[str, int, int], ...] | None) -> dict[str, Any]:
        lines = None
        if handed is not None:
            lines = [{"line_id": name, "quantity": given, "refused_quantity": no} for name, given, no in handed]
        return {"journey_id": self.journey(command.about), "lines": lines, "actor": "p1"}

    def _data_of_put_away(
        self, command: Command, lines: tuple[tuple[str, int], ...] | None, condition: str
    ) -> dict[str, Any]:
        some = None if lines is None else [{"line_id": name, "quantity": quantity} for name, quantity in lines]
        return {"journey_id": self.journey(command.about), "lines": some, "condition": condition}

    def _data_of_cancelled(self, command: Command, names: tuple[str, ...] | None) -> dict[str, Any]:
        return {"journey_id": self.journey(command.about), "lines": None if names is None else list(names)}

    def _data_of_let_go_on(self, command: Command) -> dict[str, Any]:
        return {"journey_id": self.journey(command.about)}

    def _data_of_shipped(self, command: Command, lines: tuple[tuple[str, int], ...] | None) -> dict[str, Any]:
        some = None if lines is None else [{"line_id": name, "quantity": quantity} for name, quantity in lines]
        return {"hold_id": command.about, "lines": some}

    def _data_of_sale(
        self, command: Command, location: str, lines: tuple[tuple[str, int], ...], price: int
    ) -> dict[str, Any]:
        sold = [
            {"line": str(number), "sku": sku, "quantity": quantity, "unit_price_minor": price}
            for number, (sku, quantity) in enumerate(lines)
        ]
        return {"location": location, "receipt": f"r{command.at}", "lines": sold}

    def _data_of_received(self, command: Command, location: str, lines: tuple[tuple[str, int], ...]) -> dict[str, Any]:
        arrived = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        return {"location": location, "document": f"d{command.at}", "lines": arrived}

    def _data_of_adjusted(
        self, _command: Command, location: str, sku: str, quantity: int, _band: int
    ) -> dict[str, Any]:
        return {"location": location, "sku": sku, "quantity": quantity, "reason": "counted", "actor": "p1"}

    # ------------------------------------------------------------------ workflows and people
    async def situation(self, key: str) -> Situation:
        async with self.shop.database.read() as conn:
            found = await situations.situation_of_target(conn, self.journey(key))
        assert found is not None
        return found[1]

    def _step(self, command: Command, name: str, at: datetime | None = None, **more: Any) -> Step:
        occurrence = f"{name}{command.at}"
        return Step(subject=self.journey(command.about), occurrence=occurrence, at=at or self.clock(command.at), **more)

    async def _attend(self, command: Command) -> str:
        await steps.attend(self.shop.database, self._step(command, "attend"))
        return "done"

    async def _due(self, command: Command, name: str) -> str:
        """A timer fires, whenever that may be: as it would after an outage."""
        late = self.clock(command.at + LATE_S)
        await dues.on_due(self.shop.database, self._step(command, name, late, due=name))
        return "done"

    async def _window(self, command: Command) -> str:
        return await self._due(command, "window")

    async def _verify(self, command: Command) -> str:
        return await self._due(command, "verify")

    async def _provider(self, command: Command) -> str:
        for number, operation in enumerate((await self.situation(command.about)).operations):
            step = self._step(command, f"pay{number}", operation_id=operation)
            outcome = PaymentOutcome("succeeded", "p-1", None)
            await outcomes.record_outcome(self.shop.database, step, outcome)
        return "done"

    async def offered(self, command: Command) -> list[dict[str, Any]]:
        """The options that may be taken now, after asking where that was due; none when nothing is asked."""
        situation = await steps.open_case(self.shop.database, self._step(command, "ask"))
        if situation.case_id is None:
            return []
        options = await self.shop.value("SELECT options FROM case_file WHERE id = :id", id=situation.case_id)
        return [option for option in options if option["allowed"]]

    async def _decide(self, command: Command, option: str) -> str:
        situation = await self.situation(command.about)
        if situation.case_id is None:
            return "refused"
        offered = await self.shop.value("SELECT options FROM case_file WHERE id = :id", id=situation.case_id)
        asks: list[str] = next((one["confirms"] for one in offered if one["id"] == option), [])
        confirmed = dict.fromkeys(asks, True)
        try:
            await decisions.decide(
                self.shop.database, situation.case_id, ANA, option_id=option, parameters=confirmed, via="test"
            )
        except DomainError:
            return "refused"
        return "done"

    async def _carry_out(self, command: Command, approved: bool, _swaps: Any) -> str:
        situation = await self.situation(command.about)
        decision = situation.decision_id
        if decision is None:
            return "done"
        if situation.decision_needs_approval:
            step = self._step(command, "ask_approval", decision_id=decision)
            situation = await steps.open_approval(self.shop.database, step)
            if situation.approval_id is None:
                return "done"
            verdict = "approve" if approved else "reject"
            try:
                await verdicts.record_verdict(
                    self.shop.database, situation.approval_id, MAX, verdict=verdict, note="Because.", via="test"
                )
            except DomainError:
                return "done"  # superseded: the question has answered itself
        step = self._step(command, "carry", decision_id=decision)
        await (steps.apply_decision if approved else steps.give_back)(self.shop.database, step)
        return "done"

    # ------------------------------------------------------------------ what is recorded
    async def seen(self) -> dict[str, Any]:
        """The ledger's state in the shape of `Model.seen`."""
        async with self.shop.database.read() as conn:
            places = (await conn.execute(text("SELECT * FROM stock"))).mappings().all()
            baskets = (await conn.execute(text(_BASKETS))).mappings().all()
            journeys = (await conn.execute(text(_JOURNEYS))).mappings().all()
            balances: Mapping[str, int] = {row.account: row.balance for row in await conn.execute(text(_BALANCES))}
        return {
            "stock": {
                (row["location"], row["sku"]): numbers
                for row in places
                if any(numbers := tuple(row[bucket] for bucket in BUCKETS))
            },
            "orders": {
                row["key"]: (
                    row["state"],
                    row["location"],
                    {name: tuple(line) for name, line in row["lines"].items()},
                    tuple(row["paid"]),
                    row["verify"],
                )
                for row in journeys
            },
            "baskets": {row["key"]: tuple(row[part] for part in BASKET_PARTS) for row in baskets},
            "deposits": -balances.get("customer_deposits", 0),
            "refunds_payable": -balances.get("refunds_payable", 0),
            "earned": -sum(
                balances.get(name, 0) for name in ("revenue", "tax_payable", "promotional_discounts", "appeasement")
            ),
            "inventory": balances.get("inventory", 0),
        }


_BASKETS = "SELECT split_part(checkout, ':', 3) || '/' || line_id AS key, * FROM hold WHERE checkout IS NOT NULL"
_BALANCES = "SELECT account, sum(debit_minor - credit_minor)::bigint AS balance FROM journal_line GROUP BY 1"
_JOURNEYS = """
    SELECT j.key, j.state, j.location, (j.dues ? 'verify' AND EXISTS (SELECT 1 FROM hold h
            WHERE h.journey_id = j.id AND h.reserved > 0 AND h.doubted_at IS NOT NULL)) AS verify,
        (SELECT jsonb_object_agg(l.line_id, jsonb_build_array(l.ordered, l.reserved, l.staged, l.collected, l.cancelled,
            (SELECT coalesce(sum(w.found), 0) FROM waiting_demand w
              WHERE w.journey_id = l.journey_id AND w.line_id = l.line_id),
            (SELECT coalesce(max(h.doubted_because), 'sold') FROM hold h
              WHERE h.journey_id = l.journey_id AND h.line_id = l.line_id AND h.reserved > 0
              AND h.doubted_at IS NOT NULL HAVING count(*) > 0)))
         FROM journey_line l WHERE l.journey_id = j.id) AS lines,
        (SELECT jsonb_build_array(sum(captured_minor), sum(voided_minor), sum(refund_requested_minor),
            sum(refunded_minor)) FROM payment p WHERE p.journey_id = j.id) AS paid
    FROM journey j WHERE j.kind = 'bopis'
"""
