"""Whole paths of an order whose customer is asked: real PostgreSQL and Temporal, relay, worker and payment sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.bopis import BopisState
from domain.errors import OfferExpired, OfferWithdrawn
from domain.messages import Message, Situation
from ledger import verdicts
from ledger.journeys import skip_time
from tests.fakes import due_in
from tests.ledger.support.offers import OOLONG, Asked, line, with_substitute
from tests.shop import ADA, MAX, TEA

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub


async def asked(hub: Hub, *, price_minor: int = 1_500, **more: Any) -> Asked:
    """Eight packs where five are: the workflow has the customer asked about oolong."""
    await with_substitute(hub.shop, price_minor)
    order = Asked(hub.shop, await hub.shop.order(8, lines=[line(8)], **more))
    await hub.until(order.journey, "substituting")
    return order


async def collect(hub: Hub, order: Asked, *given: tuple[str, int]) -> None:
    """The store picks and hands over; the order ends."""
    lines = [{"line_id": line_id, "quantity": quantity} for line_id, quantity in given]
    picked = await hub.shop.report("bopis.picked", journey_id=order.journey, picker="p1", lines=lines)
    assert picked.outcome == "accepted", picked
    handed = await hub.shop.report("bopis.handed_over", journey_id=order.journey, actor="p1")
    assert handed.outcome == "accepted", handed
    await hub.ended(order.journey)


async def refunded(hub: Hub, order: Asked, amount_minor: int) -> None:
    async def paid() -> bool:
        await hub.carry()
        found = await hub.shop.value("SELECT refunded_minor FROM payment WHERE journey_id = :id", id=order.journey)
        assert found == amount_minor
        return True

    await hub.eventually(paid)


class TestPaths:
    async def test_accepted_picked_and_collected(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub, price_minor=1_400)
            await order.answer("accept")
            await hub.until(order.journey, "reserved")
            await refunded(hub, order, 300)
            await collect(hub, order, ("1", 5), (f"1~{OOLONG}", 3))
        await hub.books_balance()

    async def test_declined_for_something_else_a_person_is_asked(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub)
            await order.answer("other")
            number = await hub.open_case(order.journey, "reservation_failure")
            ways = await hub.options(number)
            assert not ways["offer:substitute"].allowed
            await hub.decide(number, "part")
            await hub.until(order.journey, "reserved")
            await refunded(hub, order, 4_500)
            await collect(hub, order, ("1", 5))
        await hub.books_balance()

    async def test_left_out_the_rest_goes_on(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub)
            await order.answer("leave_out")
            await hub.until(order.journey, "reserved")
            await refunded(hub, order, 4_500)
            await collect(hub, order, ("1", 5))
        await hub.books_balance()

    async def test_silence_is_the_orders_fallback(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub)
            await skip_time(hub.shop.database, order.journey, ADA, seconds=2 * 3600 + 60, via="test")
            await hub.until(order.journey, "reserved")
            await refunded(hub, order, 4_500)
            assert await order.value("state") == "expired"
            with pytest.raises(OfferExpired):
                await order.answer("accept")
        assert "line_refunded" in await order.mails()
        await hub.books_balance()

    async def test_an_answer_before_an_outage_beats_the_clock_after_it(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub)
        await order.answer("accept")
        await skip_time(hub.shop.database, order.journey, ADA, seconds=3 * 3600, via="test")
        async with hub.worker():
            await hub.until(order.journey, "reserved")
            await collect(hub, order, ("1", 5), (f"1~{OOLONG}", 3))
        assert await order.value("state") == "applied"

    async def test_found_withdraws_the_question_and_the_order_goes_on_as_it_was(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub)
            await hub.shop.report("stock.received", location="S1", document="D1", lines=[{"sku": TEA, "quantity": 3}])
            await hub.until(order.journey, "reserved")
            with pytest.raises(OfferWithdrawn, match="your item was found"):
                await order.answer("accept")
            await collect(hub, order, ("1", 8))
        assert await hub.shop.value("SELECT available FROM stock WHERE sku = :sku", sku=OOLONG) == 10
        assert "offer_withdrawn" in await order.mails()
        await hub.books_balance()

    async def test_cancelled_while_the_customer_is_asked(self, hub: Hub) -> None:
        async with hub.worker():
            order = await asked(hub)
            await hub.shop.report("bopis.cancelled", journey_id=order.journey)
            await hub.ended(order.journey)
        assert await hub.shop.value("SELECT sum(reserved) FROM stock") == 0
        await hub.books_balance()

    async def test_a_person_has_another_store_offered(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.put("S1", 0)
            order = Asked(hub.shop, await hub.shop.order(2))
            number = await hub.open_case(order.journey, "reservation_failure")
            await hub.decide(number, "offer:other_store:S2")
            await hub.until(order.journey, "awaiting_customer")
            await hub.ended(f"case:{number}:1")
            await order.answer("accept")
            await hub.until(order.journey, "reserved")
            assert await hub.shop.value("SELECT location FROM journey WHERE id = :id", id=order.journey) == "S2"
            await collect(hub, order, ("1", 2))
        await hub.books_balance()


class TestTooDear:
    async def _accepted(self, hub: Hub) -> tuple[Asked, int]:
        order = await asked(hub, price_minor=1_900)
        assert (await order.answer("accept")).state == "accepted"
        number = (await order.situation()).approval_id
        assert number is not None
        return order, number

    async def test_approved_it_is_the_customers(self, hub: Hub) -> None:
        async with hub.worker():
            order, number = await self._accepted(hub)
            await verdicts.record_verdict(hub.shop.database, number, MAX, verdict="approve", note="", via="link")
            await hub.until(order.journey, "reserved")
            await hub.ended(f"approval:{number}")
            await collect(hub, order, ("1", 5), (f"1~{OOLONG}", 3))
        assert await hub.shop.value("SELECT refunded_minor FROM payment") == 0
        await hub.books_balance()

    async def test_rejected_the_line_is_refunded(self, hub: Hub) -> None:
        async with hub.worker():
            order, number = await self._accepted(hub)
            await verdicts.record_verdict(hub.shop.database, number, MAX, verdict="reject", note="No.", via="console")
            await hub.until(order.journey, "reserved")
            await refunded(hub, order, 4_500)
            await collect(hub, order, ("1", 5))
        assert await order.value("state") == "rejected"
        await hub.books_balance()

    async def test_nobody_approves_and_the_line_is_refunded(self, hub: Hub) -> None:
        async with hub.worker():
            order, number = await self._accepted(hub)
            await skip_time(hub.shop.database, order.journey, ADA, seconds=30 * 86_400, via="test")
            await refunded(hub, order, 4_500)
            assert await hub.shop.value("SELECT state FROM approval WHERE id = :n", n=number) == "expired"
        assert await order.value("because") == "nobody approved it in time"

    async def test_cancelled_while_somebody_thinks_about_it(self, hub: Hub) -> None:
        async with hub.worker():
            order, number = await self._accepted(hub)
            await hub.shop.report("bopis.cancelled", journey_id=order.journey)
            await hub.ended(order.journey, f"approval:{number}")
        assert await hub.shop.value("SELECT state FROM approval WHERE id = :n", n=number) == "superseded"


class TestTheWorkflowAlone:
    @pytest.mark.parametrize("state", [BopisState.AWAITING_CUSTOMER, BopisState.SUBSTITUTING])
    async def test_it_waits_for_the_answer_and_takes_no_step(self, stage: Stage, state: str) -> None:
        held = Situation(subject="bopis:web:W-1", state=state, offer_id=7, dues=(due_in("offer", hours=2),))
        handle = await stage.start("bopis", held)
        ended = Situation(subject="bopis:web:W-1", state="cancelled", seq=2, ended=True)
        await stage.tell(handle, Message.CUSTOMER_ANSWERED, ended)
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_verdict_is_carried_out_by_one_step(self, stage: Stage) -> None:
        held = Situation(subject="bopis:web:W-1", state="substituting", offer_id=7, approval_id=3)
        stage.steps.answer(
            "bopis.settle_offer", held.model_copy(update={"seq": 2, "state": "cancelled", "ended": True})
        )
        handle = await stage.start("bopis", held)
        told = held.model_copy(update={"seq": 2, "verdict": "approved"})
        await stage.tell(handle, Message.VERDICT_RECORDED, told)
        await handle.result()
        (step,) = stage.steps.of("bopis.settle_offer")
        assert (step.occurrence, step.approval_id) == ("approval-3", 3)
