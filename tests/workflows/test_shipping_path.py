"""Whole paths of orders that are sent, or whose place closes: real PostgreSQL and Temporal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.shop import TEA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub

HOME = {"name": "Kim Lee", "email": "kim@customer.example", "address": {"street": "Am Rhein 1", "city": "Mainz"}}


async def test_an_order_that_fails_at_the_store_is_sent_home(hub: Hub) -> None:
    async with hub.worker():
        await hub.shop.change("UPDATE stock SET available = 0 WHERE location IN ('S1', 'S2')")
        await hub.shop.change("INSERT INTO stock (location, sku, available) VALUES ('DC', :sku, 9)", sku=TEA)
        order = await hub.shop.order(2, customer=HOME)
        number = await hub.open_case(order, "reservation_failure")
        await hub.decide(number, "ship_to_home:DC", agreed_by_phone=True)
        await hub.until(order, "to_be_shipped")
        sent = await hub.shop.report("bopis.shipped", journey_id=order, carrier="DHL")
        assert sent.outcome == "accepted"
        await hub.ended(order, f"case:{number}:1")
    assert await hub.shop.value("SELECT state FROM journey WHERE id = :id", id=order) == "shipped"


async def test_a_place_that_closes_and_opens_moves_the_clocks_of_a_running_order(hub: Hub) -> None:
    async with hub.worker():
        order = await hub.shop.order(1)
        await hub.until(order, "reserved")
        await hub.shop.report("location.status", location="S1", status="closed", reason="burst pipe")
        await hub.shop.report("location.status", location="S1", status="open")
        picked = await hub.shop.report(
            "bopis.picked", journey_id=order, picker="p1", lines=[{"line_id": "1", "quantity": 1}]
        )
        assert picked.outcome == "accepted"
        await hub.until(order, "ready_for_pickup")
        await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1")
        await hub.ended(order)
