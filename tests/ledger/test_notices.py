"""Customers are told that their order has come in, once, by a sweep; and that it takes longer than they were told."""

import asyncio
from datetime import UTC, datetime, timedelta

from ledger.bopis import dues
from ledger.notices import Placed
from tests.conftest import Database
from tests.ledger.support.offers import Asked
from tests.ledger.support.orders import decide, failed_order, step
from tests.shop import Shop, open_shop


async def queued(shop: Shop) -> int:
    found: int = await shop.value("SELECT count(*) FROM mail WHERE template = 'order_placed'")
    return found


class TestPlaced:
    async def test_each_order_is_told_once_however_many_workers_sweep(self, shop: Shop) -> None:
        for _ in range(3):
            await shop.order(1)
        first, second = Placed(), Placed()
        counts = await asyncio.gather(*(one.sweep(shop.database) for one in (first, second, first)))
        assert await queued(shop) == 3
        assert sum(counts) == 3
        await shop.order(1)
        assert await first.sweep(shop.database) == 1
        assert await Placed().sweep(shop.database) == 0

    async def test_one_that_was_swept_past_while_it_was_under_way_is_still_told(self, shop: Shop) -> None:
        """A number of the outbox may be given before a higher one, and be seen after it."""
        sweep = Placed()
        await shop.order(1)
        await shop.order(1)
        await shop.change("CREATE TABLE hidden AS SELECT * FROM outbox WHERE id = (SELECT min(id) FROM outbox)")
        await shop.change("DELETE FROM outbox WHERE id = (SELECT min(id) FROM outbox)")
        assert await sweep.sweep(shop.database) == 1
        await shop.change("INSERT INTO outbox SELECT * FROM hidden")
        assert await sweep.sweep(shop.database) == 1
        await shop.change("DROP TABLE hidden")

    async def test_what_is_long_settled_is_not_looked_at_again(self, shop: Shop) -> None:
        sweep = Placed()
        await shop.order(1)
        await shop.change("UPDATE outbox SET recorded_at = now() - interval '5 minutes'")
        assert await sweep.sweep(shop.database) == 1
        await shop.change("DELETE FROM mail")
        assert await sweep.sweep(shop.database) == 0

    async def test_nobody_is_told_without_an_address_or_by_a_policy_that_leaves_it_to_the_shop(
        self, database: Database
    ) -> None:
        shop = await open_shop(database.url, policy={"bopis": {"confirm_placed": False}})
        await shop.order(1)
        assert await Placed().sweep(shop.database) == 0
        await shop.change("DELETE FROM policy_document")
        await shop.order(1, customer={"name": "Kim Lee"})
        assert await Placed().sweep(shop.database) == 0
        await shop.change("""INSERT INTO policy_document (version, effective_from, body)
                             VALUES ('v', now() - interval '1 day', '{"authority": {"notice": "source"}}')""")
        await shop.order(1)
        assert await Placed().sweep(shop.database) == 0
        await shop.database.dispose()

    async def test_an_order_from_before_there_was_the_notice_is_not_told_of_now(self, shop: Shop) -> None:
        journey = await shop.order(1)
        await shop.change(
            "UPDATE journey SET policy = (SELECT body #- '{bopis,confirm_placed}' FROM policy_copy"
            " WHERE id = journey.policy_copy), policy_copy = NULL WHERE id = :id",
            id=journey,
        )
        assert await Placed().sweep(shop.database) == 0


class TestDelayed:
    async def test_a_pick_that_is_overdue_is_told_once(self, shop: Shop) -> None:
        order = Asked(shop, await shop.order(1))
        late = datetime.now(UTC) + timedelta(hours=4)
        for number in (2, 3):
            due = f"pick_nag_{number}"
            told = step(order.journey, str(number)).model_copy(update={"due": due, "at": late})
            await dues.on_due(shop.database, told)
        assert await order.mails() == ["order_late"]

    async def test_a_nag_on_the_way_tells_nobody(self, shop: Shop) -> None:
        order = Asked(shop, await shop.order(1))
        late = datetime.now(UTC) + timedelta(hours=4)
        told = step(order.journey, "1").model_copy(update={"due": "pick_nag_1", "at": late})
        await dues.on_due(shop.database, told)
        assert await order.mails() == []

    async def test_one_that_waits_for_stock_is_told_what_was_agreed(self, shop: Shop) -> None:
        from ledger.bopis import steps

        journey, number = await failed_order(shop)
        answer = await decide(shop, number, "wait", agreed_by_phone=True)
        await steps.apply_decision(shop.database, step(journey, "2", decision_id=answer.decision_id))
        assert await Asked(shop, journey).mails() == ["order_waits"]
