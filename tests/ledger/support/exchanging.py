"""Exchanges in tests of the ledger: a return, and the order that it is exchanged for, carried on as a worker would."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from activities.payment import PaymentActivities
from domain.exchanges import ExchangeAnswer, NewExchange
from domain.messages import Step
from domain.payments import PaymentOutcome
from ledger.returns import difference, exchanging
from ports.payment import PaymentRequest
from tests.ledger.support.returning import Back, collected, now
from tests.shop import PRICE_MINOR, TEA, WEB, Shop


def wanted(quantity: int = 1, price_minor: int = PRICE_MINOR, **more: Any) -> dict[str, Any]:
    """The body of an exchange for tea; `paid` is what its customer pays of it by card."""
    paid = more.pop("paid", 0)
    lines = more.pop("lines", None)
    card = {"reference": "card-2", "tender": "card", "amount_minor": paid, "state": "captured"}
    order = {
        "order_id": f"X-{uuid.uuid4().hex[:8]}",
        "prices_include_tax": True,
        "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
        "lines": [{"line_id": "1", "sku": TEA, "quantity": quantity, "unit_price_minor": price_minor}],
        "payments": [card] if paid else [],
        **more,
    }
    return {"lines": lines, "order": order}


async def exchange(shop: Shop, back: Back, body: dict[str, Any] | None = None) -> tuple[int, ExchangeAnswer]:
    """Ask for it, as the web shop's key."""
    asked = NewExchange.model_validate(body or wanted())
    return await exchanging.start(shop.database, WEB, back.id, asked, actor="key:key-web", via="api")


@dataclass
class Provider:
    """A payment provider that says what it is told to, and remembers what it was asked."""

    does: list[str] = field(default_factory=list)  # succeeded, declined, unknown; then always `succeeded`
    charges: str = "succeeded"  # what it says to a charge where `does` says nothing
    asked: list[PaymentRequest] = field(default_factory=list)

    async def carry_out(self, request: PaymentRequest) -> PaymentOutcome:
        """What it says to one request."""
        self.asked.append(request)
        usual = self.charges if request.kind == "charge" else "succeeded"
        state: Any = self.does.pop(0) if self.does else usual
        said = {"succeeded": None, "declined": "card expired", "unknown": "no answer"}[state]
        return PaymentOutcome(state, f"p-{len(self.asked)}" if state == "succeeded" else None, said)

    async def aclose(self) -> None:
        """Nothing is open."""

    @property
    def charged(self) -> list[tuple[str, int]]:
        """(by what, minor units) of each time that more was asked for than had been paid."""
        return [(one.payment_reference, one.amount_minor) for one in self.asked if one.kind == "charge"]


async def carry_out(shop: Shop, journey: str, provider: Provider | None = None) -> int:
    """Everything that is asked of a provider, or of a return, for a journey; returns how much it was."""
    async with shop.database.read() as conn:
        query = (
            "SELECT id FROM payment_operation WHERE journey_id = :id AND state IN ('requested', 'unknown') ORDER BY id"
        )
        found = (await conn.execute(text(query), {"id": journey})).scalars().all()
    worker = PaymentActivities(shop.database, provider or Provider())
    for operation in found:
        await worker.carry_out(Step(subject=journey, occurrence=uuid.uuid4().hex, at=now(), operation_id=operation))
    return len(found)


@dataclass
class Swap:
    """One return with its replacement."""

    shop: Shop
    back: Back
    order: str
    provider: Provider = field(default_factory=Provider)

    @classmethod
    async def open(cls, shop: Shop, quantity: int = 1, *, body: dict[str, Any] | None = None, **more: Any) -> Swap:
        """Bought, announced, and to be exchanged for as many."""
        back = await Back.open(shop, await collected(shop, quantity), quantity, **more)
        _, answer = await exchange(shop, back, body or wanted(quantity))
        return cls(shop, back, answer.order_journey_id)

    async def say(self, words: str, *, offer_id: int | None = None, customer: str | None = None) -> str:
        """What the customer answers by their link; returns what became of the question."""
        row = await self.back.row()
        number = offer_id or int(row["detail"]["exchange"]["offer_id"])
        who = customer or row["customer_id"]
        return (await difference.answer(self.shop.database, number, who, answer=words, via="link")).state

    async def agree(self) -> None:
        """The customer pays the difference, and the provider is asked for it."""
        assert await self.say("accept") == "accepted"
        await self.carry_on()

    async def carry_on(self) -> None:
        """Until nothing is asked of anybody any more, for either of the two."""
        for _ in range(6):
            done = [await carry_out(self.shop, one, self.provider) for one in (self.back.id, self.order)]
            if not sum(done):
                return
        raise AssertionError("operations go on for ever")

    async def order_state(self) -> str:
        return str(await self.shop.value("SELECT state FROM journey WHERE id = :id", id=self.order))

    async def state(self) -> str:
        """How far the exchange is."""
        return str((await self.back.row())["detail"]["exchange"]["state"])

    async def paid(self) -> tuple[int, int, int]:
        """(captured, let go, back) of what the return pays of the order, in minor units."""
        query = (
            "SELECT captured_minor || ' ' || voided_minor || ' ' || refunded_minor FROM payment"
            " WHERE journey_id = :id AND tender = 'exchange'"
        )
        captured, voided, refunded = str(await self.shop.value(query, id=self.order)).split()
        return int(captured), int(voided), int(refunded)

    async def money_back(self) -> int:
        """What went back to the customer as money, or is on its way, for both journeys."""
        query = (
            "SELECT coalesce(sum(o.amount_minor), 0) FROM payment_operation o JOIN payment p ON p.id = o.payment_id"
            " WHERE o.journey_id IN (:back, :order) AND o.kind = 'refund' AND p.tender <> 'exchange'"
            " AND o.state NOT IN ('declined', 'withdrawn')"
        )
        return int(await self.shop.value(query, back=self.back.id, order=self.order))


async def policy(shop: Shop, body: str) -> None:
    await shop.change(
        "INSERT INTO policy_document (version, effective_from, body) VALUES ('x', '2020-01-01', CAST(:body AS jsonb))",
        body=body,
    )


async def hand_over(swap: Swap, quantity: int = 1) -> None:
    lines = [{"line_id": "1", "quantity": quantity}]
    await swap.shop.report("bopis.picked", journey_id=swap.order, picker="p", lines=lines)
    outcome = await swap.shop.report("bopis.handed_over", journey_id=swap.order, lines=None, actor="p")
    assert outcome.outcome == "accepted", outcome


DEAR_MINOR = 2_000
MORE_MINOR = DEAR_MINOR - PRICE_MINOR


async def dear(shop: Shop, **more: Any) -> Swap:
    """Bought, announced, and to be exchanged for what costs 5.00 more: its customer is asked."""
    swap = await Swap.open(shop, body=wanted(1, DEAR_MINOR), **more)
    assert await swap.state() == "asking"
    return swap


async def offer(swap: Swap, column: str) -> Any:
    """A column of the latest question."""
    return await swap.shop.value(
        f"SELECT {column} FROM offer WHERE journey_id = :id ORDER BY id DESC LIMIT 1",  # noqa: S608  of a test
        id=swap.back.id,
    )


async def mails(swap: Swap) -> list[str]:
    """Templates of the mails about the exchange, in their order."""
    query = "SELECT array_agg(template ORDER BY id) FROM mail WHERE journey_id = :id AND template LIKE 'exchange%'"
    return list(await swap.shop.value(query, id=swap.back.id) or [])


async def paid(swap: Swap) -> tuple[int, int, int]:
    """(taken, not wanted any more, asked back) of the difference, in minor units."""
    query = (
        "SELECT captured_minor || ' ' || voided_minor || ' ' || refund_requested_minor FROM payment"
        " WHERE journey_id = :id AND reference LIKE 'difference:%'"
    )
    captured, voided, back = str(await swap.shop.value(query, id=swap.order)).split()
    return int(captured), int(voided), int(back)
