"""Holds of channels: promised at once, and each unit ends exactly once, whichever way it goes."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import (
    HoldEnded,
    IdempotencyMismatch,
    Malformed,
    NotEnoughStock,
    NotFound,
    UnknownLine,
    UnknownLocation,
    UnknownSku,
    UnsupportedItem,
)
from domain.events import OrderShipped
from domain.holds import Held, HoldExtension, HoldIn
from ledger import holds
from ledger.people import Caller
from tests.ledger.support.books import accounts
from tests.ledger.test_intake import LOCK_TEA, stranger
from tests.shop import COST_MINOR, TEA, WEB, Shop

WMS = Caller("key-wms", "wms", frozenset(), frozenset({"web"}), None, frozenset())
OTHER = Caller("key-other", "other", frozenset(), frozenset(), None, frozenset())


def wanted(quantity: int = 2, *, key: str = "C-1", at: str = "S1", **more: Any) -> HoldIn:
    lines = [{"line_id": "1", "sku": TEA, "quantity": quantity, "location": at}]
    return HoldIn.model_validate({"hold_id": key, "channel": "web", "lines": lines} | more)


async def open_hold(shop: Shop, given: HoldIn, caller: Caller = WEB) -> Held:
    return (await holds.open_hold(shop.database, caller, given, idempotency_key=None))[1]


async def ship(shop: Shop, *, key: str = "C-1", units: int | None = None, event: str = "e1", by: Caller = WEB) -> None:
    lines = None if units is None else [{"line_id": "1", "quantity": units}]
    data = OrderShipped.model_validate({"hold_id": key, "lines": lines})
    now = datetime.now(UTC)
    await shop.database.write(
        lambda tx: holds.shipped(tx, by, data, f"event:web:{event}", now), actor="test", via="test"
    )


async def run_out(shop: Shop) -> None:
    await shop.change("UPDATE hold SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL")


async def parts(shop: Shop) -> str:
    """reserved/committed/released/expired of the one hold."""
    return str(
        await shop.value(
            "SELECT reserved || '/' || committed || '/' || released || '/' || expired FROM hold"
            " WHERE checkout IS NOT NULL"
        )
    )


async def available(shop: Shop, at: str = "S1") -> int:
    return int(await shop.value("SELECT available FROM stock WHERE location = :at", at=at))


class TestOpen:
    async def test_it_counts_against_what_others_may_promise_at_once(self, shop: Shop) -> None:
        held = await open_hold(shop, wanted(4))
        assert (held.state, held.lines[0].reserved) == ("held", 4)
        journey = await shop.order(2)
        assert await shop.value("SELECT reserved FROM journey_line WHERE journey_id = :id", id=journey) == 1

    async def test_what_is_not_there_is_short_and_is_not_waited_for(self, shop: Shop) -> None:
        held = await open_hold(shop, wanted(8))
        assert (held.lines[0].reserved, held.lines[0].short) == (5, 3)
        assert await shop.value("SELECT count(*) FROM waiting_demand") == 0

    async def test_the_same_again_is_the_same_answer(self, shop: Shop) -> None:
        first = await holds.open_hold(shop.database, WEB, wanted(), idempotency_key="k")
        again = await holds.open_hold(shop.database, WEB, wanted(), idempotency_key="k")
        assert (first[0], again[0]) == (201, 200)
        assert first[1] == again[1]
        assert await available(shop) == 3

    async def test_fifty_at_once_for_five_units_hold_five(self, shop: Shop) -> None:
        asked = [open_hold(shop, wanted(1, key=f"C-{number}")) for number in range(50)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, Held) for answer in answers) == 5
        assert {type(answer) for answer in answers} == {Held, NotEnoughStock}
        assert await available(shop) == 0

    @pytest.mark.parametrize(
        ("change", "refusal"),
        [
            ({"lines": [{"line_id": "1", "sku": "NOPE", "quantity": 1, "location": "S1"}]}, UnknownSku),
            ({"lines": [{"line_id": "1", "sku": TEA, "quantity": 1, "location": "S9"}]}, UnknownLocation),
            ({"lines": [{"line_id": "1", "sku": TEA, "quantity": 1, "location": "DC"}]}, NotEnoughStock),
        ],
    )
    async def test_what_cannot_be_held_is_refused_and_nothing_is_written(
        self, shop: Shop, change: dict[str, Any], refusal: type[Exception]
    ) -> None:
        with pytest.raises(refusal):
            await open_hold(shop, wanted(**change))
        assert await shop.value("SELECT count(*) FROM idempotency") == 0

    async def test_a_stopped_item_is_not_held(self, shop: Shop) -> None:
        await shop.change("UPDATE item SET stop_sale = true")
        with pytest.raises(UnsupportedItem):
            await open_hold(shop, wanted())

    async def test_the_same_id_for_something_else_is_refused(self, shop: Shop) -> None:
        await open_hold(shop, wanted(1))
        with pytest.raises(IdempotencyMismatch):
            await open_hold(shop, wanted(2))


class TestExtend:
    async def test_it_ends_later(self, shop: Shop) -> None:
        first = await open_hold(shop, wanted())
        later = await holds.extend(shop.database, WEB, "C-1", HoldExtension(expires_in_s=3_600))
        assert first.expires_at is not None
        assert later.expires_at is not None
        assert later.expires_at > first.expires_at
        endless = await holds.extend(shop.database, WEB, "C-1", HoldExtension(expires_in_s=None))
        assert endless.expires_at is None

    async def test_earlier_is_refused(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        with pytest.raises(Malformed, match="earlier"):
            await holds.extend(shop.database, WEB, "C-1", HoldExtension(expires_in_s=5))

    async def test_what_has_run_out_is_not_held_again_even_before_it_is_swept(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        await run_out(shop)
        with pytest.raises(HoldEnded, match="expired"):
            await holds.extend(shop.database, WEB, "C-1", HoldExtension(expires_in_s=600))

    async def test_another_sources_hold_does_not_exist(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        for act in (
            holds.extend(shop.database, OTHER, "C-1", HoldExtension(expires_in_s=900)),
            holds.release(shop.database, OTHER, "C-1"),
        ):
            with pytest.raises(NotFound):
                await act


class TestRelease:
    async def test_units_go_back_once(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        held = await holds.release(shop.database, WEB, "C-1")
        assert (held.state, held.lines[0].released) == ("ended", 2)
        with pytest.raises(HoldEnded, match="released already"):
            await holds.release(shop.database, WEB, "C-1")
        assert await available(shop) == 5

    async def test_whoever_waits_is_served_first(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5))
        await shop.order(2)
        await holds.release(shop.database, WEB, "C-1")
        assert await available(shop) == 3
        assert await shop.value("SELECT found FROM waiting_demand") == 2

    async def test_release_and_shipment_at_once_take_each_unit_once(self, shop: Shop) -> None:
        await open_hold(shop, wanted(4))
        await asyncio.gather(
            holds.release(shop.database, WEB, "C-1"), ship(shop, units=3), ship(shop, units=1, event="e2"),
            return_exceptions=True,
        )  # fmt: skip
        assert await shop.value("SELECT committed FROM hold") == 4
        assert await available(shop) == 1


class TestShip:
    async def test_part_by_part_at_cost(self, shop: Shop) -> None:
        await open_hold(shop, wanted(3))
        await ship(shop, units=1)
        assert await parts(shop) == "2/1/0/0"
        await ship(shop, event="e2")
        assert await parts(shop) == "0/3/0/0"
        assert await accounts(shop.database) == {"cogs": 3 * COST_MINOR, "inventory": -3 * COST_MINOR}

    async def test_a_second_time_is_refused_as_committed(self, shop: Shop) -> None:
        await open_hold(shop, wanted(3))
        await ship(shop)
        for units in (None, 1):
            with pytest.raises(HoldEnded, match="committed"):
                await ship(shop, units=units, event="e2")
        assert await shop.value("SELECT count(*) FROM movement WHERE kind = 'shipped'") == 1

    async def test_more_than_was_held_is_refused(self, shop: Shop) -> None:
        await open_hold(shop, wanted(3))
        with pytest.raises(HoldEnded):
            await ship(shop, units=4)

    async def test_what_left_after_its_time_has_left_all_the_same(self, shop: Shop) -> None:
        await open_hold(shop, wanted(3))
        await run_out(shop)
        await holds.sweep(shop.database)
        await ship(shop, units=3)
        assert await parts(shop) == "0/3/0/0"
        assert await available(shop) == 2

    async def test_the_warehouse_may_speak_of_the_shops_hold(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        await ship(shop, by=WMS)
        with pytest.raises(NotFound):
            await ship(shop, by=OTHER)

    async def test_an_unknown_line_is_named(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        data = OrderShipped.model_validate({"hold_id": "C-1", "lines": [{"line_id": "9", "quantity": 1}]})
        with pytest.raises(UnknownLine, match="no line 9"):
            await shop.database.write(
                lambda tx: holds.shipped(tx, WEB, data, "event:web:e", datetime.now(UTC)), actor="t", via="t"
            )

    async def test_as_an_event_it_is_taken_once_and_a_second_one_waits_for_a_person(self, shop: Shop) -> None:
        await open_hold(shop, wanted())
        assert (await shop.report("order.shipped", hold_id="C-1")).outcome == "accepted"
        second = await shop.report("order.shipped", hold_id="C-1")
        assert second.outcome == "quarantined"
        assert second.problem is not None
        assert second.problem["code"] == "hold_ended"


class TestSweep:
    async def test_what_ran_out_goes_back_and_nothing_else(self, shop: Shop) -> None:
        await open_hold(shop, wanted(2))
        await open_hold(shop, wanted(1, key="C-2", expires_in_s=None))
        assert await holds.sweep(shop.database) == 0
        await run_out(shop)
        assert await holds.sweep(shop.database) == 1
        assert await holds.sweep(shop.database) == 0
        assert await available(shop) == 4

    async def test_whoever_waits_is_served_first(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5))
        await shop.order(2)
        await run_out(shop)
        assert await holds.sweep(shop.database) == 1
        assert await shop.value("SELECT found FROM waiting_demand") == 2

    async def test_stock_in_use_is_left_for_the_next_time(self, shop: Shop) -> None:
        await open_hold(shop, wanted(2))
        await open_hold(shop, wanted(2, key="C-2", at="S2"))
        await run_out(shop)
        async with stranger(shop) as other:
            await other.execute(LOCK_TEA, "S1")
            assert await holds.sweep(shop.database) == 1
        assert await holds.sweep(shop.database) == 1
        assert (await available(shop), await available(shop, "S2")) == (5, 5)

    async def test_two_sweepers_give_back_each_line_once(self, shop: Shop) -> None:
        for number in range(5):
            await open_hold(shop, wanted(1, key=f"C-{number}"))
        await run_out(shop)
        counts = await asyncio.gather(*(holds.sweep(shop.database) for _ in range(3)))
        counts.append(await holds.sweep(shop.database))
        assert sum(counts) == 5
        assert await available(shop) == 5


class TestOrder:
    async def test_a_hold_becomes_the_orders_own(self, shop: Shop) -> None:
        await open_hold(shop, wanted(5))
        journey = await shop.order(5, hold_id="C-1")
        assert await shop.value("SELECT state FROM journey WHERE id = :id", id=journey) == "reserved"
        assert await parts(shop) == "0/5/0/0"
        assert await shop.value("SELECT reserved FROM hold WHERE journey_id = :id", id=journey) == 5
        assert await shop.value("SELECT count(*) FROM movement WHERE kind = 'reserved'") == 1

    async def test_more_than_was_held_comes_from_what_is_available(self, shop: Shop) -> None:
        await open_hold(shop, wanted(2))
        await shop.order(4, hold_id="C-1")
        assert await available(shop) == 1

    async def test_what_the_order_leaves_expires(self, shop: Shop) -> None:
        await open_hold(shop, wanted(4))
        await shop.order(1, hold_id="C-1")
        assert await holds.sweep(shop.database) == 1
        assert await parts(shop) == "0/1/0/3"
        assert await available(shop) == 4

    async def test_a_second_order_is_refused_by_name(self, shop: Shop) -> None:
        await open_hold(shop, wanted(2))
        await shop.order(2, hold_id="C-1")
        with pytest.raises(HoldEnded, match="committed already"):
            await shop.order(2, hold_id="C-1")
        assert await available(shop) == 3

    async def test_a_hold_that_ran_out_is_refused_by_name(self, shop: Shop) -> None:
        await open_hold(shop, wanted(2))
        await run_out(shop)
        with pytest.raises(HoldEnded, match="expired already"):
            await shop.order(2, hold_id="C-1")

    async def test_a_hold_elsewhere_is_refused(self, shop: Shop) -> None:
        await open_hold(shop, wanted(2, at="S2"))
        with pytest.raises(Malformed, match="at S2"):
            await shop.order(2, hold_id="C-1")

    async def test_where_the_whole_order_is_wanted_and_short_the_hold_is_left_alone(self, shop: Shop) -> None:
        from tests.ledger.test_intake import policy

        await policy(shop, {"bopis": {"allocation": "whole_order"}})
        await open_hold(shop, wanted(2))
        await shop.order(9, hold_id="C-1")
        assert await parts(shop) == "2/0/0/0"
        assert await holds.sweep(shop.database) == 0
