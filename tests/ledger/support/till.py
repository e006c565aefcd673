"""Facts about goods as systems send them, and what of the ledger must not depend on their order."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from domain.events import EventOutcome
from ledger import facts
from ledger.engine import Database
from ledger.people import Caller
from tests.shop import TEA, Shop

POS = Caller("key-pos", "pos", frozenset({"events:write", "stock:adjust"}), frozenset({"web"}), None, frozenset())
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
COFFEE, MILK = "COFFEE-1", "MILK-1"


async def open_assortment(shop: Shop, *skus: str) -> None:
    """Put items into the master data: 2.00 to sell, 0.80 to buy."""
    for sku in skus or (COFFEE, MILK):
        await shop.change(
            "INSERT INTO item (sku, name, price_minor, cost_minor) VALUES (:sku, initcap(:sku), 200, 80)", sku=sku
        )


def event(event_id: str, kind: str, data: dict[str, Any], *, minute: int = 0) -> dict[str, Any]:
    at = (NOW + timedelta(minutes=minute)).isoformat()
    return {"id": event_id, "type": kind, "occurred_at": at, "data": data}


def sale(
    event_id: str, *goods: tuple[str, int], at: str = "S1", receipt: str = "", minute: int = 0, price_minor: int = 200
) -> dict[str, Any]:
    """A receipt with one line for each (SKU, quantity)."""
    lines = [
        {"line": str(number), "sku": sku, "quantity": quantity, "unit_price_minor": price_minor}
        for number, (sku, quantity) in enumerate(goods, start=1)
    ]
    data = {"location": at, "receipt": receipt or f"R-{event_id}", "lines": lines}
    return event(event_id, "pos.sale", data, minute=minute)


def delivery(
    event_id: str, *goods: tuple[str, int], at: str = "S1", unit_cost_minor: int | None = None, minute: int = 0
) -> dict[str, Any]:
    lines = [{"sku": sku, "quantity": quantity, "unit_cost_minor": unit_cost_minor} for sku, quantity in goods]
    return event(
        event_id, "stock.received", {"location": at, "document": f"D-{event_id}", "lines": lines}, minute=minute
    )


def adjusted(event_id: str, sku: str, quantity: int, *, at: str = "S1", minute: int = 0) -> dict[str, Any]:
    data = {"location": at, "sku": sku, "quantity": quantity, "reason": "counted", "actor": "crew-7"}
    return event(event_id, "stock.adjusted", data, minute=minute)


async def send(shop: Shop, *events: dict[str, Any], caller: Caller = POS) -> list[EventOutcome]:
    """What became of each event of one request."""
    return await facts.receive(shop.database, caller, list(events), received_at=NOW)


def outcomes(answers: Sequence[EventOutcome]) -> list[str]:
    return [answer.outcome for answer in answers]


async def state(database: Database) -> dict[str, Any]:
    """Stock by place, and the balance of every account by place and item."""
    async with database.read() as conn:
        stock = await conn.execute(
            text("SELECT location, sku, available, reserved, count_pending FROM stock ORDER BY 1, 2")
        )
        books = await conn.execute(
            text(
                "SELECT account, location, sku, sum(debit_minor - credit_minor)::bigint FROM journal_line"
                " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
            )
        )
        sold = await conn.execute(text("SELECT count(*), sum(quantity), sum(gross_minor) FROM sale_line"))
        return {
            "stock": [tuple(row) for row in stock if any(row[2:])],
            "books": [tuple(row) for row in books],
            "sold": [tuple(row) for row in sold],
        }


__all__ = ["COFFEE", "MILK", "NOW", "POS", "TEA"]
