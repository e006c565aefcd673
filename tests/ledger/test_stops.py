"""An item that must not be sold: set aside at once, lost to who was promised some, refused by name, lifted again."""

import asyncio
from typing import Any

import pytest

from domain.errors import HoldEnded, UnsupportedItem
from domain.events import EventOutcome
from domain.holds import HoldExtension, HoldIn
from ledger import holds, stops
from ledger.bopis import steps
from tests.ledger.support.orders import NOW, pick, situation, step
from tests.shop import TEA, WEB, Shop

SHELF = "SELECT available || '/' || reserved || '/' || staged || '/' || quarantined FROM stock WHERE location = :at"


async def stop(shop: Shop, locations: Any = "all") -> EventOutcome:
    return await shop.report("item.stop_sale", sku=TEA, locations=locations, reason="recall 12")


async def resume(shop: Shop, locations: Any = "all") -> EventOutcome:
    return await shop.report("item.sale_resumed", sku=TEA, locations=locations)


def basket() -> HoldIn:
    lines = [{"line_id": "1", "sku": TEA, "quantity": 2, "location": "S1"}]
    return HoldIn.model_validate({"hold_id": "C-1", "channel": "web", "lines": lines, "expires_in_s": 600})


class TestStop:
    async def test_everything_is_set_aside_everywhere_and_nothing_is_promised(self, shop: Shop) -> None:
        assert (await stop(shop)).outcome == "accepted"
        assert await shop.value(SHELF, at="S1") == "0/0/0/5"
        assert await shop.value(SHELF, at="S2") == "0/0/0/5"
        with pytest.raises(UnsupportedItem, match="stopped from sale"):
            await shop.order(1)
        with pytest.raises(UnsupportedItem, match="stopped from sale"):
            await holds.open_hold(shop.database, WEB, basket(), idempotency_key=None)

    async def test_at_one_place_the_others_go_on(self, shop: Shop) -> None:
        await stop(shop, ["S1"])
        assert await shop.value(SHELF, at="S2") == "5/0/0/0"
        with pytest.raises(UnsupportedItem, match="stopped from sale"):
            await shop.order(1)
        with pytest.raises(UnsupportedItem, match="stopped from sale"):
            await holds.open_hold(shop.database, WEB, basket(), idempotency_key=None)
        assert (await situation(shop, await shop.order(1, at="S2"))).state == "reserved"

    @pytest.mark.parametrize("picked", [0, 1, 2])
    async def test_who_was_promised_some_is_asked_about(self, shop: Shop, picked: int) -> None:
        journey = await shop.order(2)
        if picked:
            await pick(shop, journey, picked)
        await stop(shop)
        assert await shop.value(SHELF, at="S1") == "0/0/0/5"
        assert (await situation(shop, journey)).state == "reservation_failed"
        told = await steps.open_case(shop.database, step(journey, "1"))
        assert await shop.value("SELECT kind FROM case_file WHERE id = :id", id=told.case_id) == "sale_stopped"
        assert await shop.value("SELECT lost FROM hold") == 2

    async def test_a_basket_loses_its_units_and_is_refused_by_name(self, shop: Shop) -> None:
        await holds.open_hold(shop.database, WEB, basket(), idempotency_key=None)
        await stop(shop)
        assert await shop.value(SHELF, at="S1") == "0/0/0/5"
        with pytest.raises(HoldEnded, match="lost"):
            await holds.extend(shop.database, WEB, "C-1", HoldExtension.model_validate({"expires_in_s": 900}))

    async def test_what_has_left_already_has_left(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await pick(shop, journey, 2)
        await shop.report("bopis.handed_over", journey_id=journey, actor="p1")
        await stop(shop)
        assert (await situation(shop, journey)).state == "collected"
        assert await shop.value(SHELF, at="S1") == "0/0/0/3"

    async def test_again_it_changes_nothing(self, shop: Shop) -> None:
        await stop(shop)
        await stop(shop)
        assert await shop.value(SHELF, at="S1") == "0/0/0/5"

    async def test_what_comes_back_to_the_shelf_is_set_aside_by_the_sweep(self, shop: Shop) -> None:
        await stop(shop)
        await shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 4}])
        assert await stops.sweep(shop.database, NOW) == 4
        assert await shop.value(SHELF, at="S1") == "0/0/0/9"
        assert await stops.sweep(shop.database, NOW) == 0

    async def test_orders_that_come_in_the_same_moment_lose_theirs(self, shop: Shop) -> None:
        async def order() -> str | None:
            try:
                return await shop.order(1)
            except UnsupportedItem:
                return None

        stopping = asyncio.create_task(stop(shop))
        placed = await asyncio.gather(*(order() for _ in range(5)))
        assert (await stopping).outcome == "accepted"
        await stops.sweep(shop.database, NOW)
        assert await shop.value(SHELF, at="S1") == "0/0/0/5"
        states = [(await situation(shop, journey)).state for journey in placed if journey]
        assert set(states) <= {"reservation_failed"}

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            ({"sku": "NOPE", "locations": "all"}, "unknown_sku"),
            ({"sku": TEA, "locations": ["S77"]}, "unknown_location"),
            ({"sku": TEA, "locations": []}, "malformed"),
            ({"sku": TEA, "locations": "some"}, "malformed"),
        ],
    )
    async def test_what_cannot_be_understood_is_set_aside_with_its_reason(
        self, shop: Shop, data: dict[str, Any], code: str
    ) -> None:
        outcome = await shop.report("item.stop_sale", **data)
        assert (outcome.outcome, (outcome.problem or {})["code"]) == ("quarantined", code)
        assert await shop.value(SHELF, at="S1") == "5/0/0/0"


class TestLifted:
    async def test_what_was_set_aside_goes_to_who_waits_first(self, shop: Shop) -> None:
        journey = await shop.order(2)
        await stop(shop)
        assert (await resume(shop)).outcome == "accepted"
        assert (await situation(shop, journey)).attention == ("found",)
        healed = await steps.attend(shop.database, step(journey, "2"))
        assert healed.state == "reserved"
        assert await shop.value(SHELF, at="S1") == "3/2/0/0"

    async def test_one_place_of_an_item_that_is_stopped_everywhere_is_refused_by_name(self, shop: Shop) -> None:
        await stop(shop)
        outcome = await resume(shop, ["S1"])
        assert (outcome.outcome, (outcome.problem or {})["pointer"]) == ("quarantined", "/data/locations")
        assert await shop.value(SHELF, at="S1") == "0/0/0/5"

    async def test_one_place_of_several(self, shop: Shop) -> None:
        await stop(shop, ["S1", "S2"])
        await resume(shop, ["S1"])
        assert await shop.value(SHELF, at="S1") == "5/0/0/0"
        assert await shop.value(SHELF, at="S2") == "0/0/0/5"

    async def test_what_is_quarantined_for_another_reason_stays(self, shop: Shop) -> None:
        await shop.change("UPDATE stock SET quarantined = 3 WHERE location = 'S1'")
        await stop(shop)
        await resume(shop)
        assert await shop.value(SHELF, at="S1") == "5/0/0/3"
        await shop.change("UPDATE stock SET quarantined = 0 WHERE location = 'S1'")

    async def test_lifting_what_was_not_stopped_changes_nothing(self, shop: Shop) -> None:
        assert (await resume(shop)).outcome == "accepted"
        assert await shop.value(SHELF, at="S1") == "5/0/0/0"
