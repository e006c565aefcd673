"""Exchanges in tests of the ledger: a return, and the order that it is exchanged for, carried on as a worker would."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from domain import exchanges
from domain.exchanges import ExchangeAnswer, NewExchange
from domain.messages import Step
from domain.payments import PaymentOutcome
from ledger import payments
from ledger.returns import exchange_payments, exchanging
from tests.ledger.returning import Back, collected, now
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


async def carry_out(shop: Shop, journey: str, state: Any = "succeeded") -> int:
    """Everything that is asked of a provider, or of a return, for a journey; returns how much it was."""
    async with shop.database.read() as conn:
        from sqlalchemy import text

        query = (
            "SELECT o.id, p.tender FROM payment_operation o JOIN payment p ON p.id = o.payment_id"
            " WHERE o.journey_id = :id AND o.state IN ('requested', 'unknown') ORDER BY o.id"
        )
        found = (await conn.execute(text(query), {"id": journey})).all()
    for row in found:
        step = Step(subject=journey, occurrence=uuid.uuid4().hex, at=now(), operation_id=row.id)
        if row.tender == exchanges.TENDER:
            await exchange_payments.carry_out(shop.database, step)
        else:
            await payments.record_outcome(shop.database, step, PaymentOutcome(state, "p1", None))
    return len(found)


@dataclass
class Swap:
    """One return with its replacement."""

    shop: Shop
    back: Back
    order: str

    @classmethod
    async def open(cls, shop: Shop, quantity: int = 1, *, body: dict[str, Any] | None = None, **more: Any) -> Swap:
        """Bought, announced, and to be exchanged for as many."""
        back = await Back.open(shop, await collected(shop, quantity), quantity, **more)
        _, answer = await exchange(shop, back, body or wanted(quantity))
        return cls(shop, back, answer.order_journey_id)

    async def carry_on(self) -> None:
        """Until nothing is asked of anybody any more, for either of the two."""
        for _ in range(6):
            if not await carry_out(self.shop, self.back.id) + await carry_out(self.shop, self.order):
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
