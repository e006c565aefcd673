"""The time to undo a decision on the real servers: the case's workflow waits for its end, the order's hears nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import decisions, journeys
from tests.shop import ANA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub


async def _decided(hub: Hub) -> tuple[str, int]:
    """An order that cannot be met, and its case, on which Ana has decided at the console."""
    await hub.shop.put("S1", 0)
    await hub.shop.put("S2", 0)
    order = await hub.shop.order(1)
    number = await hub.open_case(order, "reservation_failure")
    await decisions.decide(hub.shop.database, number, ANA, option_id="cancel_refund", parameters={}, via="console")
    return order, number


async def test_at_its_end_the_order_is_cancelled_and_paid_back(hub: Hub) -> None:
    async with hub.worker():
        order, number = await _decided(hub)
        await hub.carry()
        held = await hub.client.get_workflow_handle(order).query("situation")
        assert (held["state"], held["decision_id"]) == ("reservation_failed", None)
        await journeys.skip_time(hub.shop.database, order, ANA, seconds=120, via="test")
        await hub.until(order, "cancelled")
        await hub.ended(order, f"case:{number}:1")
        assert await hub.shop.value("SELECT sum(refunded_minor) FROM payment") == 1_500


async def test_undone_in_time_nothing_has_happened_and_the_case_can_be_decided_again(hub: Hub) -> None:
    async with hub.worker():
        order, number = await _decided(hub)
        await hub.carry()
        await decisions.undo(hub.shop.database, number, ANA, via="console")
        await journeys.skip_time(hub.shop.database, order, ANA, seconds=120, via="test")
        await hub.carry()
        assert await hub.shop.value("SELECT state FROM journey WHERE id = :id", id=order) == "reservation_failed"
        assert await hub.shop.value("SELECT count(*) FROM payment_operation") == 0
        await hub.decide(number, "cancel_refund")
        await hub.until(order, "cancelled")
        await hub.ended(order, f"case:{number}:1")
        assert await hub.shop.value("SELECT array_agg(state ORDER BY id) FROM case_decision") == ["undone", "applied"]
