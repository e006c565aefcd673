"""A report after the end of an order that was wrong: goods and books are as before it."""

import pytest

from domain.errors import StateConflict
from ledger import decisions
from tests.ledger.support.books import accounts
from tests.shop import ANA, Shop


async def buckets(shop: Shop) -> str:
    return str(await shop.value("SELECT available || '/' || staged FROM stock WHERE location = 'S1'"))


async def cancelled(shop: Shop, *, picked: bool) -> str:
    order = await shop.order(2)
    if picked:
        await pick(shop, order)
    await shop.report("bopis.cancelled", journey_id=order)
    return order


async def pick(shop: Shop, order: str) -> None:
    lines = [{"line_id": "1", "quantity": 2}]
    assert (await shop.report("bopis.picked", journey_id=order, picker="p", lines=lines)).outcome == "accepted"


async def hand_over(shop: Shop, order: str) -> None:
    lines = [{"line_id": "1", "quantity": 2}]
    outcome = await shop.report("bopis.handed_over", journey_id=order, actor="p", lines=lines)
    assert outcome.outcome == "accepted"


async def was_wrong(shop: Shop) -> None:
    case_id = await shop.value("SELECT id FROM case_file WHERE kind = 'fact_after_close' AND closed_at IS NULL")
    await decisions.decide(shop.database, case_id, ANA, option_id="report_was_wrong", parameters={}, via="test")


class TestHandOver:
    @pytest.mark.parametrize("picked", [True, False])
    async def test_goods_and_loss_are_taken_back(self, shop: Shop, picked: bool) -> None:
        order = await cancelled(shop, picked=picked)
        before, books = await buckets(shop), await accounts(shop.database)
        await hand_over(shop, order)
        assert await buckets(shop) != before
        assert "shrinkage" in await accounts(shop.database)
        await was_wrong(shop)
        assert await buckets(shop) == before
        assert await accounts(shop.database) == books

    async def test_goods_that_are_back_on_the_hold_shelf_are_put_away_as_before(self, shop: Shop) -> None:
        order = await cancelled(shop, picked=True)
        await hand_over(shop, order)
        await was_wrong(shop)
        assert (await shop.report("bopis.put_away", journey_id=order)).outcome == "accepted"
        assert await buckets(shop) == "5/0"

    async def test_goods_that_are_available_again_go_to_whoever_waits(self, shop: Shop) -> None:
        order = await cancelled(shop, picked=False)
        await hand_over(shop, order)
        await shop.order(4)  # three are left
        await was_wrong(shop)
        assert await shop.value("SELECT sum(found) FROM waiting_demand") == 1


class TestPick:
    async def test_what_was_never_picked_leaves_the_hold_shelf(self, shop: Shop) -> None:
        order = await cancelled(shop, picked=False)
        await pick(shop, order)
        assert await buckets(shop) == "3/2"
        await was_wrong(shop)
        assert await buckets(shop) == "5/0"

    async def test_what_was_put_away_since_has_nothing_to_correct(self, shop: Shop) -> None:
        order = await cancelled(shop, picked=False)
        await pick(shop, order)
        await shop.report("bopis.put_away", journey_id=order)
        with pytest.raises(StateConflict, match="put away or handed over"):
            await was_wrong(shop)
        assert await buckets(shop) == "5/0"
