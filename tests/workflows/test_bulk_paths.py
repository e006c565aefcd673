"""A decision for several cases on the real servers: it begins by itself, every order is told, and it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import bulk
from tests.shop import ANA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub


async def _asked(hub: Hub, count: int) -> tuple[list[str], dict[int, int]]:
    """Orders that cannot be met, and their cases with the versions in which they are seen."""
    await hub.shop.put("S1", 0)
    await hub.shop.put("S2", 0)
    orders = [await hub.shop.order(1) for _ in range(count)]
    cases = [await hub.open_case(order, "reservation_failure") for order in orders]
    version = "SELECT version FROM case_file WHERE id = :id"
    return orders, {number: await hub.shop.value(version, id=number) for number in cases}


async def begin_now(hub: Hub, number: int) -> None:
    """The time in which it can be called off is over."""
    await hub.shop.change("UPDATE bulk SET next_at = now() WHERE id = :id", id=number)
    await hub.shop.tell(f"bulk:{number}")


async def test_it_begins_by_itself_and_every_order_is_cancelled(hub: Hub) -> None:
    async with hub.worker():
        orders, cases = await _asked(hub, 3)
        number = await bulk.begin(
            hub.shop.database, ANA, option_id="cancel_refund", label="Cancel", cases=cases, note="Recalled"
        )
        await begin_now(hub, number)
        for order in orders:
            await hub.until(order, "cancelled")
        await hub.ended(f"bulk:{number}", *orders, *(f"case:{case}:1" for case in cases))
        assert await hub.shop.value("SELECT state FROM bulk WHERE id = :id", id=number) == "done"
        assert await hub.shop.value("SELECT sum(refunded_minor) FROM payment") == 3 * 1_500


async def test_called_off_before_it_begins_the_workflow_ends_and_no_case_is_touched(hub: Hub) -> None:
    async with hub.worker():
        _, cases = await _asked(hub, 2)
        number = await bulk.begin(
            hub.shop.database, ANA, option_id="cancel_refund", label="Cancel", cases=cases, note=""
        )
        await bulk.stop(hub.shop.database, ANA, number)
        await hub.ended(f"bulk:{number}")
        assert await hub.shop.value("SELECT count(*) FROM case_decision") == 0


async def test_a_workflow_that_was_lost_is_begun_again_from_the_record(hub: Hub) -> None:
    async with hub.worker():
        orders, cases = await _asked(hub, 1)
    number = await bulk.begin(hub.shop.database, ANA, option_id="cancel_refund", label="Cancel", cases=cases, note="")
    await hub.carry()
    await hub.client.get_workflow_handle(f"bulk:{number}").terminate()
    await begin_now(hub, number)
    async with hub.worker():
        await hub.until(orders[0], "cancelled")
        await hub.ended(f"bulk:{number}")
