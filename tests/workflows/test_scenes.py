"""Scenes that a retailer tells, from the first click to the books: one unit, several channels, no correction."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.orders import BopisOrder
from ledger import facts, intake
from ledger.audit import audit
from ledger.journeys import skip_time
from ledger.people import Caller
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.counting import Count
from tests.ledger.support.offers import OOLONG, Asked, with_substitute
from tests.ledger.support.offers import line as of_tea
from tests.shop import ADA, TEA

if TYPE_CHECKING:
    from tests.workflows.hub import Hub

MARKET = Caller("key-market", "market", frozenset({"orders:write"}), frozenset(), None, frozenset())
TILL = Caller("key-till", "till", frozenset({"events:write"}), frozenset(), None, frozenset())


def _line(quantity: int, **more: object) -> dict[str, object]:
    return {"line_id": "1", "quantity": quantity, **more}


async def _sold_at_the_till(hub: Hub, *, occurred_at: datetime) -> None:
    sale = {
        "location": "S1",
        "receipt": "R-1",
        "lines": [{"line": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_500}],
    }
    event = {"id": uuid.uuid4().hex, "type": "pos.sale", "occurred_at": occurred_at.isoformat(), "data": sale}
    (outcome,) = await facts.receive(hub.shop.database, TILL, [event], received_at=datetime.now(UTC))
    assert outcome.outcome == "accepted"


async def _imported_from_the_marketplace(hub: Hub, *, placed_at: datetime) -> str:
    order = BopisOrder.model_validate(
        {
            "order_id": "M-1",
            "channel": "marketplace",
            "pickup_location": "S1",
            "placed_at": placed_at.isoformat(),
            "currency": "EUR",
            "prices_include_tax": True,
            "customer": {"name": "Noa Berg", "email": "noa@customer.example"},
            "lines": [{"line_id": "1", "sku": TEA, "quantity": 1, "unit_price_minor": 1_500}],
            "payments": [{"reference": "market-1", "tender": "card", "amount_minor": 1_500, "state": "captured"}],
        }
    )
    _, answer = await intake.place_order(
        hub.shop.database, MARKET, order, idempotency_key=None, received_at=datetime.now(UTC)
    )
    assert [line["reserved"] for line in answer["lines"]] == [0], "one unit is promised once"
    return str(answer["journey_id"])


class TestTheLastUnitOfADress:
    """The shop shows one. It hangs in a fitting room, is sold at the till before the web's reservation is heard of, and
    a marketplace sells it a third time in a batch that comes late."""

    async def test_it_is_promised_once_and_the_books_need_no_correction(self, hub: Hub) -> None:
        shop, now = hub.shop, datetime.now(UTC)
        await shop.put("S1", 1)
        async with hub.worker():
            web = await shop.order(1)
            await hub.until(web, "reserved")
            market = await _imported_from_the_marketplace(hub, placed_at=now - timedelta(minutes=30))
            await _sold_at_the_till(hub, occurred_at=now - timedelta(minutes=5))

            # Nobody is told before somebody has looked.
            async def looked_for() -> bool:
                await hub.carry()
                return bool(await shop.value("SELECT dues ? 'verify' FROM journey WHERE id = :id", id=web))

            await hub.eventually(looked_for)
            assert await shop.value("SELECT count(*) FROM case_file WHERE journey_id = :id", id=web) == 0
            await shop.report("bopis.picked", journey_id=web, picker="p1", lines=[_line(0, reason="not_in_stock")])
            lost = await hub.open_case(web, "reservation_lost")
            refused = await hub.open_case(market, "reservation_failure")

            options = await hub.options(lost)
            elsewhere = next(one for one in options.values() if one.parameters.get("location") == "S2")
            await hub.decide(lost, elsewhere.id, agreed_by_phone=True)
            await hub.decide(refused, "cancel_refund")
            await hub.until(web, "reserved")
            await hub.until(market, "cancelled")
            await shop.report("bopis.picked", journey_id=web, picker="p2", lines=[_line(1)])
            await shop.report("bopis.handed_over", journey_id=web, actor="p2", lines=[_line(1)])
            await hub.ended(web, market, f"case:{lost}:1", f"case:{refused}:1")

        assert await shop.value("SELECT count(*) FROM movement WHERE kind IN ('adjusted', 'count_posted')") == 0
        assert await shop.value("SELECT available FROM stock WHERE location = 'S1'") == 0
        assert await shop.value("SELECT available FROM stock WHERE location = 'S2'") == 4
        left = "SELECT count(*) FROM movement WHERE to_account = 'customer' AND to_location = :at"
        assert [await shop.value(left, at=at) for at in ("S1", "S2")] == [1, 1]
        # Revenue once, when the goods went; what the marketplace's customer paid went back; nothing is owed.
        earned = "SELECT sum(l.credit_minor) FROM journal_line l JOIN journal j ON j.id = l.journal_id"
        assert await shop.value(f"{earned} WHERE l.account = 'revenue' AND j.authority = 'books'") == 1_500
        balance = "SELECT sum(debit_minor - credit_minor) FROM journal_line WHERE account = :account"
        for account in ("customer_deposits", "refunds_payable"):
            assert await shop.value(balance, account=account) == 0
        paid_back = "SELECT refunded_minor FROM payment WHERE journey_id = :id"
        assert [await shop.value(paid_back, id=one) for one in (web, market)] == [0, 1_500]
        async with shop.database.read() as conn:
            assert await audit(conn) == []


class TestNotOnTheShelfASubstituteOfferedFoundByTheCount:
    """Bought for today; the picker finds an empty shelf; the customer is offered another tea; a count finds the tea."""

    async def _asked(self, hub: Hub) -> Asked:
        await with_substitute(hub.shop)
        order = await hub.shop.order(2, lines=[of_tea(2)])
        await hub.until(order, "reserved")
        await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[_line(0, reason="not_in_stock")])
        await hub.until(order, "substituting")
        return Asked(hub.shop, order)

    async def _found(self, hub: Hub) -> Count:
        """Somebody counts what the picker could not find: all five are there."""
        count = await Count.newest(hub.shop)
        await hub.until(count.id, "scheduled")
        await count.enter((TEA, 5))
        await hub.ended(count.id)
        return count

    async def _collect(self, hub: Hub, order: str, **quantities: int) -> None:
        lines = [{"line_id": line_id, "quantity": quantity} for line_id, quantity in quantities.items()]
        await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=lines)
        await hub.until(order, "ready_for_pickup")
        await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=None)
        await hub.ended(order)

    async def _shelf(self, hub: Hub, sku: str) -> tuple[int, int, int]:
        """(available, reserved, count pending) at the store."""
        row = "SELECT array[available, reserved, count_pending] FROM stock WHERE location = 'S1' AND sku = :sku"
        found = await hub.shop.value(row, sku=sku)
        return found[0], found[1], found[2]

    async def test_found_while_the_customer_thinks_the_question_is_withdrawn(self, hub: Hub) -> None:
        async with hub.worker():
            order = await self._asked(hub)
            assert await self._shelf(hub, TEA) == (0, 0, 5)
            assert await self._shelf(hub, OOLONG) == (8, 2, 0)
            await self._found(hub)
            await hub.until(order.journey, "reserved")
            assert await order.value("state") == "withdrawn"
            assert await self._shelf(hub, OOLONG) == (10, 0, 0)
            await self._collect(hub, order.journey, **{"1": 2})
            assert (await order.mails())[:2] == ["offer_made", "offer_withdrawn"]
        assert await self._shelf(hub, TEA) == (3, 0, 0)
        await assert_books_agree(hub.shop.database)

    async def test_found_after_the_customer_agreed_the_substitute_stands(self, hub: Hub) -> None:
        async with hub.worker():
            order = await self._asked(hub)
            await order.answer("accept")
            await hub.until(order.journey, "reserved")
            await self._found(hub)
            lines = await hub.shop.value(
                "SELECT json_object_agg(line_id, reserved) FROM journey_line WHERE journey_id = :id AND reserved > 0",
                id=order.journey,
            )
            assert list(lines.values()) == [2]
            await self._collect(hub, order.journey, **lines)
        assert await self._shelf(hub, TEA) == (5, 0, 0)
        assert await self._shelf(hub, OOLONG) == (8, 0, 0)
        await assert_books_agree(hub.shop.database)

    async def test_declined_the_money_goes_back_and_what_is_found_is_for_others(self, hub: Hub) -> None:
        async with hub.worker():
            order = await self._asked(hub)
            await order.answer("leave_out")
            await hub.until(order.journey, "cancelled")
            await hub.ended(order.journey)
            await self._found(hub)
        assert await hub.shop.value("SELECT refunded_minor FROM payment") == 3_000
        assert await self._shelf(hub, TEA) == (5, 0, 0)
        assert await self._shelf(hub, OOLONG) == (10, 0, 0)
        await assert_books_agree(hub.shop.database)

    async def test_silence_ends_in_the_orders_own_fallback(self, hub: Hub) -> None:
        async with hub.worker():
            order = await self._asked(hub)
            await skip_time(hub.shop.database, order.journey, ADA, seconds=2 * 3600 + 60, via="test")
            await hub.until(order.journey, "cancelled")
            await hub.ended(order.journey)
        assert await order.value("state") == "expired"
        assert await hub.shop.value("SELECT refunded_minor FROM payment") == 3_000
        await assert_books_agree(hub.shop.database)
