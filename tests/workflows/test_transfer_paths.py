"""Whole paths of transfers under skipped time: nobody agrees at first, called off on the way, late and short; and those
that an order waits for. Real PostgreSQL and Temporal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import verdicts
from ledger.journeys import skip_time
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.coming import brought_by
from tests.ledger.support.transfers import Moved, shelf
from tests.ledger.test_shipping import warehouse
from tests.shop import ADA, FIN, TEA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub

HOUR_S, DAY_S = 3_600, 86_400


async def _skip(hub: Hub, journey: str, seconds: int) -> None:
    await skip_time(hub.shop.database, journey, ADA, seconds=seconds, via="test")


async def _pending(hub: Hub, journey: str, role: str) -> int:
    """The approval of a journey, once the level is reached at which a role is asked."""

    async def there() -> object:
        await hub.carry()
        return await hub.shop.value(
            "SELECT id FROM approval WHERE journey_id = :id AND state = 'pending' AND roles[level] = :role",
            id=journey, role=role,
        )  # fmt: skip

    return int(await hub.eventually(there))


async def test_after_eight_hours_the_next_level_agrees_and_goods_called_off_on_their_way_are_brought_back(
    hub: Hub,
) -> None:
    await hub.shop.put("S1", 100)
    async with hub.worker():
        it = await Moved.open(hub.shop, (TEA, 90))
        asked = await _pending(hub, it.id, "store_manager")
        await _skip(hub, it.id, 8 * HOUR_S + 60)
        assert await _pending(hub, it.id, "finance") == asked
        await verdicts.record_verdict(hub.shop.database, asked, FIN, verdict="approve", note="", via="test")
        await hub.until(it.id, "ready_to_ship")
        await it.ship(60, complete=True)
        await it.report("cancelled")
        number = await hub.open_case(it.id, "transfer_cancelled")
        await hub.decide(number, "bring_back")
        await hub.ended(it.id, f"case:{number}:1", f"approval:{asked}")
        key = await hub.shop.value("SELECT journey_id FROM transfer WHERE reason = 'send_back'")
        await Moved(hub.shop, key, it.answer).receive()
        await hub.ended(key)
    assert await shelf(hub.shop, "S1") == {"available": 100}
    await assert_books_agree(hub.shop.database)


async def test_late_it_is_chased_and_waited_for_comes_broken_and_the_rest_is_awaited_and_claimed(hub: Hub) -> None:
    async with hub.worker():
        it = await Moved.open(hub.shop, (TEA, 4))
        await it.ship(carrier="Parcel Co")
        await hub.until(it.id, "in_transit")
        await _skip(hub, it.id, 3 * DAY_S + 60)
        late = await hub.open_case(it.id, "receipt_overdue")
        await hub.decide(late, "chase")
        await hub.ended(f"case:{late}:1")
        await _skip(hub, it.id, DAY_S + 60)
        assert await hub.open_case(it.id, "receipt_overdue") == late
        await hub.decide(late, "extend")
        await hub.ended(f"case:{late}:2")
        await it.report("received", lines=[{"line_id": "1", "quantity": 2, "condition": "damaged"}], complete=True)
        short = await hub.open_case(it.id, "transfer_short")
        await hub.decide(short, "await_rest")
        await hub.ended(f"case:{short}:1")
        await _skip(hub, it.id, 2 * DAY_S + 60)
        assert await hub.open_case(it.id, "transfer_short") == short
        await hub.decide(short, "carrier_claim", root_cause="lost_by_carrier")
        broken = await hub.open_case(it.id, "transfer_damage")
        await hub.decide(broken, "carrier_claim", root_cause="damaged_by_carrier")
        await hub.ended(it.id, f"case:{short}:2", f"case:{broken}:1")
    assert await it.state() == "closed"
    assert await hub.shop.value("SELECT sum(quantity) FROM carrier_claim") == 4
    await assert_books_agree(hub.shop.database)


async def _sent_to_the_store(hub: Hub) -> tuple[str, Moved]:
    """An order of eight, of which three come from the warehouse."""
    order = await hub.shop.order(8)
    number = await hub.open_case(order, "reservation_failure")
    await hub.decide(number, "ship_to_store:DC", agreed_by_phone=True)
    await hub.until(order, "ship_to_store")
    moved = await brought_by(hub.shop, order)
    await hub.until(moved.id, "ready_to_ship")
    return order, moved


async def test_an_orders_goods_come_short_are_sent_once_more_and_collected(hub: Hub) -> None:
    await warehouse(hub.shop)
    async with hub.worker():
        order, moved = await _sent_to_the_store(hub)
        await moved.ship()
        await moved.receive(2, complete=True)
        number = await hub.open_case(order, "reservation_lost")
        await hub.decide(number, "ship_to_store:DC", agreed_by_phone=True)
        await hub.until(order, "ship_to_store")
        again = await brought_by(hub.shop, order)
        assert again.id != moved.id
        await again.receive(1)
        await hub.until(order, "reserved")
        short = await hub.open_case(moved.id, "transfer_short")
        await hub.decide(short, "never_left")
        picked = [{"line_id": "1", "quantity": 8}]
        await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=picked)
        await hub.shop.report("bopis.handed_over", journey_id=order, lines=None, actor="p1")
        await hub.ended(order, moved.id, again.id)
    assert await shelf(hub.shop, "DC") == {"available": 19 - 2}
    await assert_books_agree(hub.shop.database)


async def test_an_order_that_is_cancelled_calls_its_transfer_off_or_asks_what_becomes_of_it(hub: Hub) -> None:
    await warehouse(hub.shop)
    async with hub.worker():
        order, moved = await _sent_to_the_store(hub)
        other = await hub.shop.order(3, at="S2", order_id="W-8")
        await hub.until(other, "reserved")
        await hub.shop.report("bopis.cancelled", journey_id=order)
        await hub.ended(moved.id)
        assert await moved.state() == "cancelled"
        order, moved = await _sent_to_the_store(hub)
        await moved.ship()
        await hub.shop.report("bopis.cancelled", journey_id=order)
        number = await hub.open_case(moved.id, "transfer_cancelled")
        await hub.decide(number, "carry_on")
        await hub.ended(f"case:{number}:1")
        await moved.receive()
        await hub.ended(moved.id)
    assert await shelf(hub.shop, "S1") == {"available": 8}
    await assert_books_agree(hub.shop.database)
