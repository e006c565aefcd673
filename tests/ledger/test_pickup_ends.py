"""The end of a pickup: reminders, nobody comes, part of it is left, goods are put away, and what races with what."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.messages import Situation, Step
from ledger.bopis import dues
from tests.ledger.support.books import accounts
from tests.ledger.support.orders import hand_over, pick, situation
from tests.ledger.test_authorised import answer, authorised
from tests.shop import Shop


async def ready(shop: Shop, quantity: int = 2) -> str:
    journey = await shop.order(quantity)
    await pick(shop, journey, quantity)
    return journey


async def instant(shop: Shop, journey: str, name: str) -> datetime:
    return next(one.at for one in (await situation(shop, journey)).dues if one.name == name)


async def fall_due(shop: Shop, journey: str, name: str, at: datetime | None = None) -> Situation:
    at = at or await instant(shop, journey, name)
    step = Step(subject=journey, occurrence=f"{name}@{at.isoformat()}", at=at + timedelta(seconds=1), due=name)
    return await dues.on_due(shop.database, step)


async def put_away(shop: Shop, journey: str, **more: Any) -> str:
    return (await shop.report("bopis.put_away", journey_id=journey, actor="p1", **more)).outcome


async def cases(shop: Shop) -> Any:
    return await shop.value("SELECT coalesce(string_agg(kind || ' ' || state, ', ' ORDER BY kind), '') FROM case_file")


SHELF = "SELECT available || '/' || staged || '/' || damaged FROM stock WHERE location = 'S1'"


class TestReminders:
    async def test_one_on_the_second_day_and_one_on_the_last(self, shop: Shop) -> None:
        journey = await ready(shop)
        window = await instant(shop, journey, "window")
        first, last = [await instant(shop, journey, f"window_reminder_{number}") for number in (1, 2)]
        assert timedelta(days=3) <= last - first <= timedelta(days=3, hours=2)
        assert timedelta(0) < window - last <= timedelta(days=1, hours=2)
        for name in ("window_reminder_1", "window_reminder_2"):
            await fall_due(shop, journey, name)
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'pickup_reminder'") == 2

    async def test_none_once_it_is_collected(self, shop: Shop) -> None:
        journey = await ready(shop)
        first = await instant(shop, journey, "window_reminder_1")
        await hand_over(shop, journey)
        await fall_due(shop, journey, "window_reminder_1", first)
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'pickup_reminder'") == 0


class TestNobodyCame:
    async def test_released_refunded_told_and_put_away(self, shop: Shop) -> None:
        journey = await ready(shop)
        done = await fall_due(shop, journey, "window")
        assert (done.state, done.ended) == ("expired", False)
        assert await shop.value("SELECT expired FROM hold") == 2
        assert await shop.value(SHELF) == "3/2/0"
        assert (await accounts(shop.database))["refunds_payable"] == -3000
        assert await shop.value("SELECT count(*) FROM mail WHERE template = 'pickup_expired'") == 1
        await answer(shop, journey)
        assert not (await situation(shop, journey)).ended  # the goods still stand there
        assert await put_away(shop, journey) == "accepted"
        assert await shop.value(SHELF) == "5/0/0"
        assert (await situation(shop, journey)).ended

    async def test_of_a_part_pickup_the_rest_goes_back(self, shop: Shop) -> None:
        journey = await ready(shop, 3)
        await hand_over(shop, journey, 1)
        done = await fall_due(shop, journey, "window")
        assert done.state == "collected"
        books = await accounts(shop.database)
        assert (books["revenue"], books["refunds_payable"]) == (-1500, -3000)
        assert await shop.value("SELECT committed || '/' || expired FROM hold") == "1/2"

    async def test_money_that_was_only_authorised_is_taken_at_ready_and_paid_back(self, shop: Shop) -> None:
        journey = await authorised(shop)
        await pick(shop, journey, 2)
        await answer(shop, journey)
        await fall_due(shop, journey, "window")
        assert (await answer(shop, journey)).startswith("refund:")
        assert await accounts(shop.database) == {}


class TestPutAway:
    async def test_damaged_goods_are_written_down(self, shop: Shop) -> None:
        journey = await ready(shop)
        await fall_due(shop, journey, "window")
        await put_away(shop, journey, condition="damaged")
        assert await shop.value(SHELF) == "3/0/2"
        assert (await accounts(shop.database))["damage_expense"] == 1200

    async def test_after_a_day_the_store_is_asked_and_a_put_away_ends_it(self, shop: Shop) -> None:
        journey = await ready(shop)
        ends = await instant(shop, journey, "window")
        await fall_due(shop, journey, "window")
        due = await instant(shop, journey, "put_away")
        assert timedelta(days=1) <= due - ends <= timedelta(days=1, minutes=1)
        await fall_due(shop, journey, "put_away")
        assert await cases(shop) == "put_away_overdue open"
        await fall_due(shop, journey, "put_away")  # and again, until it is done
        await put_away(shop, journey)
        assert await cases(shop) == "put_away_overdue cancelled"
        assert "put_away" not in [one.name for one in (await situation(shop, journey)).dues]

    async def test_more_than_stands_there_is_set_aside(self, shop: Shop) -> None:
        journey = await ready(shop)
        await fall_due(shop, journey, "window")
        assert await put_away(shop, journey, lines=[{"line_id": "1", "quantity": 3}]) == "quarantined"
        assert await shop.value(SHELF) == "3/2/0"


class TestAtTheSameMoment:
    """Two connections; either may be first, and each unit and each cent goes one way."""

    @pytest.mark.parametrize("run", range(3))
    async def test_a_hand_over_and_the_end_of_the_window(self, shop: Shop, run: int) -> None:
        journey = await ready(shop)
        ends = await instant(shop, journey, "window")
        both = (hand_over(shop, journey, 2), fall_due(shop, journey, "window", ends))
        await asyncio.gather(*(both if run % 2 else reversed(both)))
        assert await shop.value("SELECT sum(quantity) FROM movement WHERE to_account = 'customer'") == 2
        state = (await situation(shop, journey)).state
        asked = await cases(shop)
        assert (state, asked) in (("collected", ""), ("expired", "fact_after_close open"))
        owed = (await accounts(shop.database)).get("refunds_payable", 0)
        assert owed == (-3000 if state == "expired" else 0)

    async def test_an_extension_and_the_end_of_the_window(self, shop: Shop) -> None:
        journey = await ready(shop)
        ends = await instant(shop, journey, "window")
        until = (ends + timedelta(days=3)).isoformat()
        said, _ = await asyncio.gather(
            shop.report("bopis.extended", journey_id=journey, until=until), fall_due(shop, journey, "window", ends)
        )
        state = (await situation(shop, journey)).state
        assert (said.outcome, state) in (("accepted", "ready_for_pickup"), ("refused", "expired"))

    async def test_a_cancel_and_the_providers_answer(self, shop: Shop) -> None:
        journey = await authorised(shop)
        await pick(shop, journey, 2)
        said, _ = await asyncio.gather(shop.report("bopis.cancelled", journey_id=journey), answer(shop, journey))
        assert said.outcome == "accepted"
        for _ in range(2):
            if (await situation(shop, journey)).operations:
                await answer(shop, journey)
        books = await accounts(shop.database)
        assert {name: books.get(name, 0) for name in ("customer_deposits", "refunds_payable", "payment_clearing")} == {
            "customer_deposits": 0, "refunds_payable": 0, "payment_clearing": 0,
        }  # fmt: skip

    async def test_an_arrival_and_the_hand_over(self, shop: Shop) -> None:
        journey = await ready(shop)
        await asyncio.gather(shop.report("bopis.arrived", journey_id=journey, bay="1"), hand_over(shop, journey))
        now = await situation(shop, journey)
        assert now.state == "collected"
        assert "arrived" not in [one.name for one in now.dues]
