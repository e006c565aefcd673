"""Found later: what a count finds goes to whoever waits, in the order of promise; and what meets a count half way."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.messages import Situation, Step
from ledger import decisions
from ledger.bopis import steps as orders
from ledger.count import steps
from tests.ledger.support.books import accounts
from tests.ledger.support.counting import Count, now, shelf
from tests.ledger.support.till import COFFEE, sale, send
from tests.shop import ANA, TEA, Shop

pytestmark = pytest.mark.usefixtures("assortment")


async def step(shop: Shop, what: object, journey: str) -> Situation:
    taken = Step(subject=journey, occurrence=f"{datetime.now(UTC)}", at=now())
    return await what(shop.database, taken)  # type: ignore[operator, no-any-return]


async def picked(shop: Shop, order: str, quantity: int, reason: str | None = None) -> None:
    line = {"line_id": "1", "quantity": quantity, "reason": reason}
    assert (await shop.report("bopis.picked", journey_id=order, picker="p1", lines=[line])).outcome == "accepted"


async def state(shop: Shop, journey: str) -> str:
    return str(await shop.value("SELECT state FROM journey WHERE id = :id", id=journey))


class TestFoundLater:
    async def short(self, shop: Shop, quantity: int = 2) -> tuple[str, int]:
        """An order that the picker found an empty shelf for, and the case that asks for a way out."""
        order = await shop.order(quantity)
        await picked(shop, order, 0, "not_in_stock")
        situation = await step(shop, orders.open_case, order)
        assert situation.case_id is not None
        return order, situation.case_id

    async def test_the_count_finds_it_and_the_case_heals(self, shop: Shop) -> None:
        order, case_id = await self.short(shop)
        assert await shelf(shop) == {"count_pending": 5}
        count = await Count.newest(shop)
        await count.enter((TEA, 5))
        assert await count.compare() == "approved"
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": 3, "reserved": 2}
        situation = await step(shop, orders.attend, order)
        assert (situation.state, situation.case_id) == ("reserved", None)
        assert await shop.value("SELECT resolution FROM case_file WHERE id = :id", id=case_id) == "self_healed"
        assert await accounts(shop.database) == {
            name: value for name, value in (await accounts(shop.database)).items() if name != "shrinkage"
        }

    async def test_a_new_order_does_not_overtake_whoever_waits(self, shop: Shop) -> None:
        order, _ = await self.short(shop)
        late = await shop.order(5)
        count = await Count.newest(shop)
        await count.enter((TEA, 5))
        await count.compare()
        await count.post()
        held = "SELECT coalesce(sum(reserved), 0) FROM hold WHERE journey_id = :id"
        assert await shop.value(held, id=order) == 2
        assert await shop.value(held, id=late) == 3

    async def test_two_who_wait_are_served_in_the_order_of_promise(self, shop: Shop) -> None:
        soon, later = now() + timedelta(hours=3), now() + timedelta(hours=9)
        second = await shop.order(2, promised_at=later.isoformat())
        first = await shop.order(2, promised_at=soon.isoformat())
        await picked(shop, second, 0, "not_in_stock")
        await picked(shop, first, 0, "not_in_stock")
        assert await shelf(shop) == {"count_pending": 5}
        count = await Count.newest(shop)
        for number, crew in enumerate(("crew-1", "crew-2")):
            await count.enter((TEA, 3), counter=crew)
            assert await count.compare() == ("approved" if number else "recount")
        await count.post()
        held = "SELECT coalesce(sum(reserved), 0) FROM hold WHERE journey_id = :id"
        assert await shop.value(held, id=first) == 2
        assert await shop.value(held, id=second) == 1

    async def test_a_way_out_that_was_chosen_stands(self, shop: Shop) -> None:
        order, case_id = await self.short(shop)
        answer = await decisions.decide(
            shop.database, case_id, ANA, option_id="other_store:S2", parameters={"agreed_by_phone": True}, via="test"
        )
        taken = Step(subject=order, occurrence="d", at=now(), decision_id=answer.decision_id)
        await orders.apply_decision(shop.database, taken)
        count = await Count.newest(shop)
        await count.enter((TEA, 5))
        await count.compare()
        await count.post()
        assert await shelf(shop) == {"available": 5}
        assert await shop.value("SELECT location FROM journey WHERE id = :id", id=order) == "S2"
        assert await shop.value("SELECT state FROM case_file WHERE id = :id", id=case_id) == "resolved"

    async def test_what_is_really_gone_is_shrinkage_and_the_case_stays(self, shop: Shop) -> None:
        _, case_id = await self.short(shop)
        count = await Count.newest(shop)
        for crew in ("crew-1", "crew-2"):
            await count.enter((TEA, 0), counter=crew)
            await count.compare()
        assert await count.post() == "posted"
        assert await shelf(shop) == {}
        assert (await accounts(shop.database))["shrinkage"] == 3_000
        assert await shop.value("SELECT state FROM case_file WHERE id = :id", id=case_id) == "open"


class TestALossBeyondWhatIsAvailable:
    async def test_promises_are_in_doubt_and_verified_before_anybody_is_told(self, shop: Shop) -> None:
        order = await shop.order(4)
        count = await Count.open(shop)
        for crew in ("crew-1", "crew-2"):
            await count.enter((TEA, 3), counter=crew)
            await count.compare()
        assert await count.post() == "posted"
        assert await shelf(shop) == {"available": -1, "reserved": 4}
        assert await shop.value("SELECT doubted_at IS NOT NULL FROM hold WHERE journey_id = :id", id=order)
        situation = await step(shop, orders.attend, order)
        assert "verify" in [due.name for due in situation.dues]
        assert await state(shop, order) == "reserved"

    async def test_a_late_sale_explains_it_and_the_book_covers_the_promise_again(self, shop: Shop) -> None:
        await shop.order(4)
        count = await Count.open(shop)
        opened = (await count.row())["opened_at"]
        for crew in ("crew-1", "crew-2"):
            await count.enter((TEA, 3), counter=crew)
            await count.compare()
        await count.post()
        one = sale("late", (TEA, 1))
        one["occurred_at"] = (opened - timedelta(seconds=1)).isoformat()
        await send(shop, one)
        assert await shelf(shop) == {"available": -1, "reserved": 4}  # three are there, as counted
        books = await accounts(shop.database)
        assert (books["shrinkage"], books["cogs"]) == (600, 600)


class TestMeetings:
    async def test_a_count_posts_while_a_pick_is_recorded(self, shop: Shop) -> None:
        """Two real connections; whoever is first, the pick that the count did not see is not taken twice."""
        await shop.put("S1", 50)
        for turn in range(6):
            order = await shop.order(1)
            count = await Count.open(shop)
            book = sum((await shelf(shop)).values()) - (await shelf(shop)).get("staged", 0)
            await count.enter((TEA, book), counter=f"crew-{turn}")
            await count.compare()
            await asyncio.gather(count.post(), picked(shop, order, 1))
            assert await count.state() == "posted"
            left = await shelf(shop)
            assert left["available"] + left.get("reserved", 0) == book - 1
        assert "shrinkage" not in {name for name, value in (await accounts(shop.database)).items() if value > 0}

    async def test_two_devices_begin_at_once_and_one_is_refused(self, shop: Shop) -> None:
        count = await Count.open(shop, TEA, COFFEE)
        answers = await asyncio.gather(
            count.enter((TEA, 5), counter="crew-1", submit=False),
            count.enter((COFFEE, 0), counter="crew-2", submit=False),
            return_exceptions=True,
        )
        refused = [one for one in answers if isinstance(one, Exception)]
        assert [type(one).__name__ for one in refused] == ["CountedElsewhere"]
        assert await shop.value("SELECT count(*) FROM count_entry") == 1

    async def test_two_workers_post_the_same_count_once(self, shop: Shop) -> None:
        await shop.put("S1", 50)
        count = await Count.open(shop)
        await count.enter((TEA, 49))
        await count.compare()
        taken = Step(subject=count.id, occurrence="message-2", at=now())
        answers = await asyncio.gather(steps.post(shop.database, taken), steps.post(shop.database, taken))
        assert {one.state for one in answers} == {"posted"}
        assert await shelf(shop) == {"available": 49}

    async def test_sales_while_a_count_posts_are_each_taken_once(self, shop: Shop) -> None:
        await shop.put("S1", 60)
        count = await Count.open(shop)
        await count.enter((TEA, 60))
        await count.compare()
        sales = []
        for number in range(8):
            one = sale(f"m{number}", (TEA, 1))
            one["occurred_at"] = now().isoformat()
            sales.append(send(shop, one))
        await asyncio.gather(count.post(), *sales)
        await count.due("feed")
        assert await count.state() == "posted"
        assert await shelf(shop) == {"available": 52}
        assert "shrinkage" not in await accounts(shop.database)
