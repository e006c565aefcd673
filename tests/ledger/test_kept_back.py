"""An order that its source keeps back: it waits for the source, whatever the store does with its goods meanwhile."""

import pytest

from tests.shop import PRICE_MINOR, TEA, Shop

KEPT = {"reason": "payment"}
TWO_LINES = [
    {"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": PRICE_MINOR},
    {"line_id": "2", "sku": TEA, "quantity": 2, "unit_price_minor": PRICE_MINOR},
]


async def state(shop: Shop) -> str:
    return str(await shop.value("SELECT state FROM journey"))


async def kept_back(shop: Shop, quantity: int = 2) -> str:
    journey = await shop.order(quantity, hold=KEPT)
    assert await state(shop) == "placed"
    return journey


async def report(shop: Shop, kind: str, journey: str, quantity: int | None = None, **more: object) -> str:
    who = {"picker": "p1"} if kind == "bopis.picked" else {"actor": "p1"}
    about = {} if kind == "bopis.hold_released" else who
    if quantity is not None:
        about["lines"] = [{"line_id": "1", "quantity": quantity}]  # type: ignore[assignment]
    return (await shop.report(kind, journey_id=journey, **about, **more)).outcome


async def let_go_on(shop: Shop, journey: str) -> str:
    return await report(shop, "bopis.hold_released", journey)


class TestGoods:
    async def test_what_the_store_picks_is_staged_and_the_customer_hears_nothing(self, shop: Shop) -> None:
        journey = await kept_back(shop)
        assert await report(shop, "bopis.picked", journey, 2) == "accepted"
        assert await state(shop) == "placed"
        assert await shop.value("SELECT staged FROM journey_line") == 2
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'ready_for_pickup'") == 0

    async def test_let_go_on_it_stands_ready_and_the_customer_is_told(self, shop: Shop) -> None:
        journey = await kept_back(shop)
        await report(shop, "bopis.picked", journey, 2)
        assert await let_go_on(shop, journey) == "accepted"
        assert await state(shop) == "ready_for_pickup"
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'ready_for_pickup'") == 1
        assert await shop.value("SELECT dues ? 'window' FROM journey")

    async def test_half_picked_it_is_picked_further(self, shop: Shop) -> None:
        journey = await kept_back(shop)
        await report(shop, "bopis.picked", journey, 1)
        await let_go_on(shop, journey)
        assert await state(shop) == "picking"

    async def test_wholly_handed_over_it_is_collected(self, shop: Shop) -> None:
        journey = await kept_back(shop)
        assert await report(shop, "bopis.handed_over", journey, 2) == "accepted"
        assert await state(shop) == "collected"
        assert await let_go_on(shop, journey) == "refused"

    async def test_partly_handed_over_the_rest_is_kept_back(self, shop: Shop) -> None:
        journey = await kept_back(shop)
        assert await report(shop, "bopis.handed_over", journey, 1) == "accepted"
        assert await state(shop) == "placed"
        await let_go_on(shop, journey)
        assert await state(shop) == "picking"

    async def test_a_short_pick_is_asked_about_when_it_may_go_on(self, shop: Shop) -> None:
        journey = await kept_back(shop)
        lines = [{"line_id": "1", "quantity": 0, "reason": "damaged"}]
        assert (await shop.report("bopis.picked", journey_id=journey, picker="p1", lines=lines)).outcome == "accepted"
        assert await state(shop) == "placed"
        await let_go_on(shop, journey)
        assert await state(shop) == "reservation_failed"

    async def test_missing_units_that_turn_up_do_not_let_it_go_on(self, shop: Shop) -> None:
        journey = await kept_back(shop, 7)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 2}])
        await report(shop, "bopis.picked", journey, 1)
        assert await shop.value("SELECT reserved || '/' || staged FROM journey_line") == "6/1"
        assert await state(shop) == "placed"


class TestCancel:
    async def test_one_line_cancelled_leaves_the_others_kept_back(self, shop: Shop) -> None:
        paid = [{"reference": "card-1", "tender": "card", "amount_minor": 3 * PRICE_MINOR, "state": "captured"}]
        journey = await shop.order(lines=TWO_LINES, payments=paid, hold=KEPT)
        assert (await shop.report("bopis.cancelled", journey_id=journey, lines=["1"])).outcome == "accepted"
        assert await state(shop) == "placed"
        assert await shop.value("SELECT reserved FROM stock WHERE location = 'S1'") == 2
        await let_go_on(shop, journey)
        assert await state(shop) == "reserved"

    @pytest.mark.parametrize("picked", [0, 1])
    async def test_the_whole_of_it_is_cancelled(self, shop: Shop, picked: int) -> None:
        journey = await kept_back(shop)
        if picked:
            await report(shop, "bopis.picked", journey, picked)
        assert (await shop.report("bopis.cancelled", journey_id=journey, lines=None)).outcome == "accepted"
        assert await state(shop) == "cancelled"
        assert await shop.value("SELECT staged FROM stock WHERE location = 'S1'") == picked
