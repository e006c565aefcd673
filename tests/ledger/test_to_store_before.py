"""Orders from before that hold their goods at a warehouse themselves, until a delivery names them: they still end."""

from datetime import timedelta
from typing import Any

from domain.events import EventOutcome
from domain.messages import Step
from ledger.bopis import dues
from tests.ledger.support.books import accounts
from tests.ledger.support.coming import held_there
from tests.ledger.support.orders import hand_over, pick, situation
from tests.shop import TEA, Shop


async def come(shop: Shop, quantity: int, *more: dict[str, Any], at: str = "S1") -> EventOutcome:
    line = {"sku": TEA, "quantity": quantity, "order_id": "W-7", "line_id": "1"}
    return await shop.report("stock.received", location=at, document="T1", lines=[line, *more])


ROW = "SELECT available || '/' || reserved FROM stock WHERE location = :at"


async def test_the_delivery_makes_it_the_stores_and_the_order_is_picked_and_collected(shop: Shop) -> None:
    journey = await held_there(shop)
    assert (await come(shop, 3)).outcome == "accepted"
    now = await situation(shop, journey)
    assert now.state == "reserved"
    assert "pick_nag_2" in [due.name for due in now.dues]
    assert "goods" not in [due.name for due in now.dues]
    assert (await shop.value(ROW, at="DC"), await shop.value(ROW, at="S1")) == ("17/0", "0/8")
    await pick(shop, journey, 8)
    await hand_over(shop, journey, 8)
    assert (await situation(shop, journey)).state == "collected"
    books = await accounts(shop.database)
    assert (books["revenue"], books["cogs"]) == (-12000, 4800)


async def test_in_two_deliveries_beside_other_goods(shop: Shop) -> None:
    journey = await held_there(shop)
    await come(shop, 1)
    assert (await situation(shop, journey)).state == "ship_to_store"
    await come(shop, 2, {"sku": TEA, "quantity": 4})
    assert (await situation(shop, journey)).state == "reserved"
    assert await shop.value(ROW, at="S1") == "4/8"


async def test_more_than_was_sent_or_elsewhere_is_set_aside(shop: Shop) -> None:
    await held_there(shop)
    too_much, elsewhere = await come(shop, 4), await come(shop, 3, at="S2")
    assert [(one.outcome, (one.problem or {})["code"]) for one in (too_much, elsewhere)] == [
        ("quarantined", "malformed"),
        ("quarantined", "malformed"),
    ]
    assert await shop.value(ROW, at="S1") == "0/5"


async def test_a_cancel_gives_both_places_their_goods_back_and_what_comes_then_is_for_sale(shop: Shop) -> None:
    journey = await held_there(shop)
    await shop.report("bopis.cancelled", journey_id=journey)
    assert (await shop.value(ROW, at="DC"), await shop.value(ROW, at="S1")) == ("20/0", "5/0")
    assert (await situation(shop, journey)).dues == ()
    assert (await come(shop, 3)).outcome == "accepted"
    assert (await shop.value(ROW, at="DC"), await shop.value(ROW, at="S1")) == ("17/0", "8/0")


async def test_goods_that_do_not_come_are_asked_about_until_they_do(shop: Shop) -> None:
    journey = await held_there(shop)
    due = next(one for one in (await situation(shop, journey)).dues if one.name == "goods")
    late = Step(subject=journey, occurrence="g", at=due.at + timedelta(seconds=1), due="goods")
    assert (await dues.on_due(shop.database, late)).state == "ship_to_store"
    assert await shop.value("SELECT count(*) FROM case_file WHERE kind = 'shipment_overdue'") == 1
    await come(shop, 3)
    assert await shop.value("SELECT resolution FROM case_file WHERE kind = 'shipment_overdue'") == "self_healed"
