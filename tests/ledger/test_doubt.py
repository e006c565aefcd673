"""Promised units that the till, or a correction, takes from the book: which order is asked to look, which is not."""

import pytest
from sqlalchemy import text

from tests.ledger.till import TEA, adjusted, delivery, event, outcomes, sale, send
from tests.shop import WEB, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def doubted(shop: Shop) -> list[str]:
    async with shop.database.read() as conn:
        rows = await conn.execute(
            text("SELECT split_part(journey_id, ':', 3) AS key FROM hold WHERE doubted_at IS NOT NULL ORDER BY 1")
        )
        return [row.key for row in rows]


async def told(shop: Shop) -> int:
    return int(await shop.value("SELECT count(*) FROM outbox WHERE payload->>'message' = 'UnitDoubted'"))


async def three_orders(shop: Shop) -> None:
    """Five packs, all promised: 2, 2 and 1, one order after the other."""
    for number, quantity in ((1, 2), (2, 2), (3, 1)):
        await shop.order(quantity, order_id=f"W-{number}", placed_at=f"2026-03-02T0{number}:00:00Z")


class TestWhich:
    async def test_the_newest_orders_as_far_as_units_lack(self, shop: Shop) -> None:
        await three_orders(shop)
        assert outcomes(await send(shop, sale("s1", (TEA, 1)))) == ["accepted"]
        assert await doubted(shop) == ["W-3"]
        await send(shop, sale("s2", (TEA, 1)))
        assert await doubted(shop) == ["W-2", "W-3"]
        assert await told(shop) == 2

    async def test_policy_may_say_otherwise(self, shop: Shop) -> None:
        await shop.change(
            "INSERT INTO policy_document (version, effective_from, body)"
            """ VALUES ('2', '2020-01-01', '{"stock": {"doubt_first": ["oldest"]}}')"""
        )
        await three_orders(shop)
        await send(shop, sale("s1", (TEA, 1)))
        assert await doubted(shop) == ["W-1"]

    async def test_never_one_that_is_on_the_hold_shelf(self, shop: Shop) -> None:
        await three_orders(shop)
        lines = [{"line_id": "1", "quantity": 1}]
        await send(shop, event("p", "bopis.picked", {"order_id": "W-3", "picker": "p", "lines": lines}), caller=WEB)
        await send(shop, sale("s1", (TEA, 5)))
        assert await doubted(shop) == ["W-1", "W-2"]

    async def test_a_correction_that_overdraws_doubts_as_a_sale_does(self, shop: Shop) -> None:
        await three_orders(shop)
        assert outcomes(await send(shop, adjusted("a1", TEA, -1))) == ["accepted"]
        assert await doubted(shop) == ["W-3"]


class TestWhichNot:
    async def test_a_delivery_of_the_same_request_leaves_nobody_in_doubt(self, shop: Shop) -> None:
        await three_orders(shop)
        answers = await send(shop, sale("s1", (TEA, 3)), delivery("d1", (TEA, 3)))
        assert outcomes(answers) == ["accepted", "accepted"]
        assert (await doubted(shop), await told(shop)) == ([], 0)

    async def test_units_that_wait_for_a_count_are_sold_before_any_that_are_promised(self, shop: Shop) -> None:
        await shop.order(2, order_id="W-1")
        await shop.order(1, order_id="W-2")
        lines = [{"line_id": "1", "quantity": 0, "reason": "not_in_stock"}]
        await send(shop, event("p", "bopis.picked", {"order_id": "W-2", "picker": "p", "lines": lines}), caller=WEB)
        assert await shop.value("SELECT available || '/' || count_pending FROM stock WHERE location = 'S1'") == "0/3"
        await send(shop, sale("s1", (TEA, 3)))
        assert await shop.value("SELECT available || '/' || count_pending FROM stock WHERE location = 'S1'") == "0/0"
        assert await doubted(shop) == []

    async def test_what_arrives_goes_to_waiting_orders_before_the_next_sale_of_the_request(self, shop: Shop) -> None:
        await shop.order(8, order_id="W-1")
        await shop.order(2, order_id="W-2")
        await send(shop, delivery("d1", (TEA, 4)), sale("s1", (TEA, 1)))
        held = "SELECT sum(quantity) FROM hold WHERE journey_id = :id"
        assert await shop.value(held, id="bopis:web:W-1") == 8
        assert await shop.value(held, id="bopis:web:W-2") == 1
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == -1
        assert await doubted(shop) != []
