"""The reminder of a pick that nobody has reported ends with the pick."""

from datetime import UTC, datetime, timedelta

from domain.messages import Step
from ledger.bopis import dues
from tests.shop import Shop

OPEN = "SELECT count(*) FROM case_file WHERE kind = 'pick_overdue' AND closed_at IS NULL"


async def overdue(shop: Shop, quantity: int = 2) -> str:
    journey = await shop.order(quantity)
    names = await shop.value("SELECT array_agg(name ORDER BY name) FROM journey, jsonb_object_keys(dues) AS name")
    for name in names:
        at = datetime.now(UTC) + timedelta(days=3)
        await dues.on_due(shop.database, Step(subject=journey, occurrence=name, at=at, due=name))
    assert await shop.value(OPEN) == 1
    return journey


async def pick(shop: Shop, journey: str, quantity: int, reason: str | None = None) -> None:
    lines = [{"line_id": "1", "quantity": quantity, "reason": reason}]
    assert (await shop.report("bopis.picked", journey_id=journey, picker="p1", lines=lines)).outcome == "accepted"


async def test_the_pick_heals_it(shop: Shop) -> None:
    journey = await overdue(shop)
    await pick(shop, journey, 2)
    assert await shop.value(OPEN) == 0
    assert await shop.value("SELECT resolution FROM case_file WHERE kind = 'pick_overdue'") == "self_healed"


async def test_a_pick_that_came_up_short_heals_it(shop: Shop) -> None:
    await pick(shop, await overdue(shop), 1, "not_in_stock")
    assert await shop.value(OPEN) == 0


async def test_half_a_pick_does_not(shop: Shop) -> None:
    await pick(shop, await overdue(shop), 1)
    assert await shop.value(OPEN) == 1


async def test_a_hand_over_of_a_part_that_leaves_nothing_to_pick_heals_it(shop: Shop) -> None:
    journey = await overdue(shop, 2)
    lines = [{"line_id": "1", "quantity": 1, "refused_quantity": 1}]
    answer = await shop.report("bopis.handed_over", journey_id=journey, lines=lines, actor="p1")
    assert answer.outcome == "accepted"
    assert await shop.value(OPEN) == 0
