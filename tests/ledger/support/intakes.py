"""Orders to be taken in, and how they are placed."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

from domain.orders import BopisOrder, PlacedOrder
from ledger.intake import Intake
from tests.shop import PRICE_MINOR, TEA, WEB


def order(quantity: int = 1, *, at: str = "S1", sku: str = TEA, **more: Any) -> BopisOrder:
    lines = [{"line_id": "1", "sku": sku, "quantity": quantity, "unit_price_minor": PRICE_MINOR}]
    return basket(lines, at=at, **more)


def basket(lines: list[dict[str, Any]], *, at: str = "S1", **more: Any) -> BopisOrder:
    total = sum(line["quantity"] * line["unit_price_minor"] for line in lines)
    body = {
        "order_id": f"W-{uuid.uuid4().hex[:10]}",
        "channel": "web",
        "pickup_location": at,
        "currency": "EUR",
        "prices_include_tax": True,
        "customer": {"name": "Kim Lee", "email": "kim@customer.example"},
        "lines": lines,
        "payments": [{"reference": "card-1", "tender": "card", "amount_minor": total, "state": "captured"}],
    }
    return BopisOrder.model_validate(body | more)


async def place(intake: Intake, wanted: BopisOrder, *, key: str | None = None) -> tuple[int, PlacedOrder]:
    return await intake.place(WEB, wanted, idempotency_key=key, received_at=datetime.now(UTC))


async def place_all(intake: Intake, wanted: list[BopisOrder]) -> list[Any]:
    """Answers and refusals in the order of `wanted`."""
    return await asyncio.gather(*(place(intake, one) for one in wanted), return_exceptions=True)
