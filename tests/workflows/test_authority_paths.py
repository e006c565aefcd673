"""Whole paths of refunds that the source carries out: real PostgreSQL and Temporal, relay and worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ledger import decisions
from ledger.journeys import skip_time
from tests.shop import ADA, FIN, PRICE_MINOR

if TYPE_CHECKING:
    from tests.workflows.hub import Hub


@pytest.fixture
async def hub(hub: Hub) -> Hub:
    """A retailer whose web shop pays back itself."""
    await hub.shop.change(
        "INSERT INTO policy_document (version, effective_from, body)"
        " VALUES ('source', '2020-01-01', '{\"authority\": {\"refund\": \"source\"}}')"
    )
    return hub


async def cancelled(hub: Hub) -> str:
    order = await hub.shop.order(1)
    await hub.shop.report("bopis.cancelled", journey_id=order)
    await hub.until(order, "cancelled")
    return order


async def operation(hub: Hub) -> Any:
    return await hub.shop.value("SELECT id FROM payment_operation WHERE state = 'with_source'")


class TestBySource:
    async def test_the_order_ends_when_the_source_has_confirmed(self, hub: Hub) -> None:
        async with hub.worker():
            order = await cancelled(hub)
            outcome = await hub.shop.report(
                "refund.confirmed", journey_id=order, operation_id=await operation(hub), amount_minor=PRICE_MINOR,
                currency="EUR",
            )  # fmt: skip
            assert outcome.outcome == "accepted"
            await hub.ended(order)
        await hub.books_balance()

    async def test_when_it_is_silent_finance_is_asked_and_pays_by_hand(self, hub: Hub) -> None:
        async with hub.worker():
            order = await cancelled(hub)
            await skip_time(hub.shop.database, order, ADA, seconds=3 * 86_400, via="test")
            number = await hub.open_case(order, "refund_failed")
            await decisions.decide(
                hub.shop.database, number, FIN, option_id="manual_payout", parameters={"paid_out": True}, via="test"
            )
            await hub.ended(order)
        await hub.books_balance()
