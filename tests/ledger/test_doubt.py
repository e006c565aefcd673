"""Promised units that the till, or a correction, takes from the book: which order is asked to look, which is not."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from domain.errors import HoldEnded
from domain.holds import HoldExtension
from domain.messages import Step
from ledger import holds
from ledger.bopis import dues, steps
from tests.ledger.support.till import TEA, adjusted, delivery, event, outcomes, sale, send
from tests.ledger.test_holds import open_hold, run_out, ship, wanted
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
        await shop.change("UPDATE hold SET doubted_at = NULL, doubted_because = NULL")  # the store has looked
        await send(shop, sale("s1", (TEA, 3)))
        assert await shop.value("SELECT available || '/' || count_pending FROM stock WHERE location = 'S1'") == "0/0"
        assert await doubted(shop) == []

    async def test_what_arrives_goes_to_waiting_orders_before_the_next_sale_of_the_request(self, shop: Shop) -> None:
        await shop.order(8, order_id="W-1", placed_at="2026-03-02T01:00:00Z")
        await shop.order(2, order_id="W-2", placed_at="2026-03-02T02:00:00Z")
        await send(shop, delivery("d1", (TEA, 4)), sale("s1", (TEA, 1)))
        held = "SELECT sum(quantity) FROM hold WHERE journey_id = :id"
        assert await shop.value(held, id="bopis:web:W-1") == 8
        assert await shop.value(held, id="bopis:web:W-2") == 1
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == -1
        # The till took the unit that the delivery had brought for the order behind.
        assert await doubted(shop) == ["W-2"]


class TestWhateverTookIt:
    """A fact is a fact: a pick, a hand-over or a shipment beyond what was held doubts as a sale does."""

    async def picked(self, shop: Shop, order: str, quantity: int, **more: object) -> str:
        lines = [{"line_id": "1", "quantity": quantity, **more}]
        answers = await send(
            shop, event(f"p-{order}", "bopis.picked", {"order_id": order, "picker": "p", "lines": lines}), caller=WEB
        )
        return outcomes(answers)[0]

    async def test_a_picker_takes_what_was_promised_to_another(self, shop: Shop) -> None:
        await shop.order(3, order_id="W-1", placed_at="2026-03-02T01:00:00Z")
        await shop.order(4, order_id="W-2", placed_at="2026-03-02T02:00:00Z")  # two of its four are there
        assert await self.picked(shop, "W-2", 4) == "accepted"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == -2
        assert (await doubted(shop), await told(shop)) == (["W-1"], 1)

    async def test_a_pick_of_what_is_free_leaves_nobody_in_doubt(self, shop: Shop) -> None:
        await shop.order(2, order_id="W-1")
        await shop.order(3, order_id="W-2")
        await self.picked(shop, "W-2", 1, reason="reserved_for_other")  # two go back to the shelf
        lines = [{"line_id": "1", "quantity": 2}]
        again = event("p2", "bopis.picked", {"order_id": "W-2", "picker": "p", "lines": lines})
        assert outcomes(await send(shop, again, caller=WEB)) == ["accepted"]
        assert (await doubted(shop), await told(shop)) == ([], 0)

    async def test_a_hand_over_beyond_what_was_held(self, shop: Shop) -> None:
        await shop.order(3, order_id="W-1", placed_at="2026-03-02T01:00:00Z")
        await shop.order(4, order_id="W-2", placed_at="2026-03-02T02:00:00Z")
        data = {"order_id": "W-2", "lines": [{"line_id": "1", "quantity": 4}], "actor": "p"}
        assert outcomes(await send(shop, event("h", "bopis.handed_over", data), caller=WEB)) == ["accepted"]
        assert (await doubted(shop), await told(shop)) == (["W-1"], 1)

    async def test_goods_of_a_cancelled_order_that_left_all_the_same(self, shop: Shop) -> None:
        await shop.order(2, order_id="W-1")
        await send(shop, event("c", "bopis.cancelled", {"order_id": "W-1"}), caller=WEB)
        await shop.order(5, order_id="W-2")
        data = {"order_id": "W-1", "lines": [{"line_id": "1", "quantity": 2}], "actor": "p"}
        assert outcomes(await send(shop, event("h", "bopis.handed_over", data), caller=WEB)) == ["accepted"]
        assert await doubted(shop) == ["W-2"]

    async def test_a_shipment_of_a_hold_that_had_run_out(self, shop: Shop) -> None:
        await open_hold(shop, wanted(3))
        await run_out(shop)
        await holds.sweep(shop.database)
        await shop.order(5, order_id="W-1")
        await ship(shop, units=3)
        assert (await doubted(shop), await told(shop)) == (["W-1"], 1)


class TestVerified:
    async def test_an_order_that_still_misses_units_has_its_doubted_ones_verified_all_the_same(
        self, shop: Shop
    ) -> None:
        """Found and doubted at once: taking up the one must not forget the time for the other."""
        journey = await shop.order(8)
        await send(shop, delivery("d1", (TEA, 2)), sale("s1", (TEA, 1)))
        at = datetime.now(UTC)
        await steps.attend(shop.database, Step(subject=journey, occurrence="1", at=at))
        assert await shop.value("SELECT state FROM journey") == "reservation_failed"
        assert await shop.value("SELECT dues ? 'verify' FROM journey")
        later = at + timedelta(days=1)
        await dues.on_due(shop.database, Step(subject=journey, occurrence="2", at=later, due="verify"))
        assert await shop.value("SELECT lost FROM hold") == 1
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == 0


class TestBaskets:
    """A checkout hold ends by itself, and nobody has ordered yet: it loses its units before any order is doubted."""

    async def lost(self, shop: Shop) -> str:
        return str(await shop.value("SELECT string_agg(reserved || '/' || lost, ' ' ORDER BY id) FROM hold"
                                    " WHERE checkout IS NOT NULL"))  # fmt: skip

    async def test_the_newest_basket_loses_first_and_no_order_is_doubted(self, shop: Shop) -> None:
        await shop.order(1, order_id="W-1")
        await open_hold(shop, wanted(2, key="C-1"))
        await open_hold(shop, wanted(2, key="C-2"))
        assert outcomes(await send(shop, sale("s1", (TEA, 3)))) == ["accepted"]
        assert (await self.lost(shop), await doubted(shop), await told(shop)) == ("1/1 0/2", [], 0)
        why = (
            "SELECT string_agg(DISTINCT kind || ' ' || reason || ' ' || cause, '; ') FROM movement WHERE kind = 'lost'"
        )
        assert await shop.value(why) == "lost sold event:pos:s1"

    async def test_what_baskets_do_not_cover_is_doubted(self, shop: Shop) -> None:
        await shop.order(3, order_id="W-1")
        await open_hold(shop, wanted(2))
        await send(shop, sale("s1", (TEA, 3)))
        assert (await self.lost(shop), await doubted(shop)) == ("0/2", ["W-1"])

    async def test_what_is_being_verified_already_is_not_taken_from_a_basket_again(self, shop: Shop) -> None:
        await shop.order(5, order_id="W-1")
        await send(shop, sale("s1", (TEA, 2)))
        await send(shop, delivery("d1", (TEA, 4)))
        await open_hold(shop, wanted(2))
        await send(shop, sale("s2", (TEA, 2)))
        assert (await self.lost(shop), await doubted(shop)) == ("2/0", ["W-1"])

    async def test_a_hold_without_an_end_is_another_systems_order_and_is_left_to_it(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5, expires_in_s=None, order_reference="M-9"))
        await send(shop, sale("s1", (TEA, 2)))
        assert await self.lost(shop) == "5/0"
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == -2

    async def test_what_was_lost_is_neither_extended_nor_released_nor_ordered(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5))
        await send(shop, sale("s1", (TEA, 5)))
        with pytest.raises(HoldEnded, match="lost already"):
            await holds.extend(shop.database, WEB, "C-1", HoldExtension(expires_in_s=900))
        with pytest.raises(HoldEnded, match="lost already"):
            await holds.release(shop.database, WEB, "C-1")
        with pytest.raises(HoldEnded, match="lost already"):
            await shop.order(1, hold_id="C-1")

    async def test_what_was_lost_in_part_is_held_as_far_as_it_is_left(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5))
        await send(shop, sale("s1", (TEA, 2)))
        held = await holds.extend(shop.database, WEB, "C-1", HoldExtension(expires_in_s=900))
        assert [(line.reserved, line.lost) for line in held.lines] == [(3, 2)]

    async def test_what_was_lost_and_left_all_the_same_is_posted(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5))
        await send(shop, sale("s1", (TEA, 5)))
        await ship(shop, units=1)
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1' AND sku = :sku", sku=TEA) == -1
