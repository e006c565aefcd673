"""Refunds and notices that the order's own system carries out: asked for by webhook, confirmed by event."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.events import EventOutcome
from domain.messages import Situation, Step
from domain.webhooks import WebhookIn
from ledger import decisions, situations, webhooks
from ledger.bopis import dues
from tests import conftest
from tests.ledger.support.books import accounts, assert_books_agree
from tests.shop import FIN, PRICE_MINOR, Shop, open_shop

SOURCE = {"authority": {"refund": "source", "notice": "source"}}


@pytest.fixture
async def shop(database: conftest.Database) -> Any:
    """The small retailer, whose web shop refunds and writes to its customers itself, and listens."""
    opened = await open_shop(database.url, policy=SOURCE)
    wanted = WebhookIn(url="http://127.0.0.1:1/", types=("refund.*", "notice.*"))
    await webhooks.register(
        opened.database, wanted, source="web", sources=(), allow_local=True, actor="test", via="test"
    )
    yield opened
    await assert_books_agree(opened.database)
    await opened.database.dispose()


async def cancelled(shop: Shop, quantity: int = 1) -> str:
    """An order that its customer has cancelled."""
    order = await shop.order(quantity)
    assert (await shop.report("bopis.cancelled", journey_id=order)).outcome == "accepted"
    return order


async def told(shop: Shop, kind: str) -> list[dict[str, Any]]:
    found = await shop.value(
        "SELECT coalesce(jsonb_agg(body->'data' ORDER BY id), '[]') FROM webhook_delivery WHERE type = :kind", kind=kind
    )
    return list(found)


async def confirm(shop: Shop, order: str, **more: Any) -> EventOutcome:
    (asked, *_) = await told(shop, "refund.requested")
    data = {name: asked[name] for name in ("operation_id", "amount_minor", "currency")}
    return await shop.report("refund.confirmed", journey_id=order, **(data | {"reference": "R-9"} | more))


async def situation(shop: Shop, order: str) -> Situation:
    async with shop.database.read() as conn:
        found = await situations.situation_of_target(conn, order)
    assert found is not None
    return found[1]


async def silence(shop: Shop, order: str) -> None:
    at = datetime.now(UTC) + timedelta(days=3)
    await dues.on_due(shop.database, Step(subject=order, occurrence="1", at=at, due="refund_confirm"))


class TestRefund:
    async def test_the_source_is_asked_and_no_provider_is(self, shop: Shop) -> None:
        order = await cancelled(shop)
        (asked,) = await told(shop, "refund.requested")
        assert asked["amount_minor"] == PRICE_MINOR
        assert (asked["journey_id"], asked["payment_reference"], asked["tender"]) == (order, "card-1", "card")
        held = await situation(shop, order)
        assert held.operations == (), "the workflow has nothing to carry out"
        assert not held.ended
        assert [due.name for due in held.dues] == ["refund_confirm"]
        assert (await accounts(shop.database))["refunds_payable"] == -PRICE_MINOR

    async def test_when_it_confirms_the_refund_is_posted_and_the_order_ends(self, shop: Shop) -> None:
        order = await cancelled(shop)
        assert (await confirm(shop, order)).outcome == "accepted"
        held = await situation(shop, order)
        assert (held.ended, held.dues) == (True, ())
        assert "refunds_payable" not in await accounts(shop.database)
        assert await shop.value("SELECT state || '/' || provider_reference FROM payment_operation") == "succeeded/R-9"

    async def test_confirmed_twice_it_is_paid_once(self, shop: Shop) -> None:
        order = await cancelled(shop)
        assert [(await confirm(shop, order)).outcome for _ in range(2)] == ["accepted", "accepted"]
        assert await shop.value("SELECT refunded_minor FROM payment") == PRICE_MINOR
        assert await shop.value("SELECT count(*) FROM journal WHERE event = 'bopis.refund'") == 1

    @pytest.mark.parametrize("other", [{"amount_minor": PRICE_MINOR - 1}, {"currency": "USD"}])
    async def test_another_amount_asks_a_person_and_the_right_one_heals_it(
        self, shop: Shop, other: dict[str, Any]
    ) -> None:
        order = await cancelled(shop)
        assert (await confirm(shop, order, **other)).outcome == "accepted"
        assert await shop.value("SELECT kind FROM case_file") == "refund_failed"
        assert await shop.value("SELECT refunded_minor FROM payment") == 0
        await confirm(shop, order)
        assert await shop.value("SELECT resolution FROM case_file") == "self_healed"
        assert (await situation(shop, order)).ended

    async def test_a_refund_that_the_order_does_not_have_is_set_aside(self, shop: Shop) -> None:
        order = await cancelled(shop)
        outcome = await confirm(shop, order, operation_id="refund:else")
        assert outcome.outcome == "quarantined"
        assert outcome.problem is not None
        assert "no refund refund:else" in outcome.problem["detail"]

    async def test_of_an_unknown_order_it_waits_for_it(self, shop: Shop) -> None:
        await cancelled(shop)
        assert (await confirm(shop, "bopis:web:W-none")).outcome == "parked"


class TestSilence:
    async def test_a_case_asks_and_the_source_is_asked_again_under_the_same_id(self, shop: Shop) -> None:
        order = await cancelled(shop)
        await silence(shop, order)
        case_id = await shop.value("SELECT id FROM case_file WHERE kind = 'refund_failed'")
        await decisions.decide(shop.database, case_id, FIN, option_id="ask_source_again", parameters={}, via="test")
        first, second = await told(shop, "refund.requested")
        assert first["operation_id"] == second["operation_id"]
        assert [due.name for due in (await situation(shop, order)).dues] == ["refund_confirm"]
        await confirm(shop, order)
        assert (await situation(shop, order)).ended

    async def test_paid_out_by_hand_it_ends_and_a_late_confirmation_changes_nothing(self, shop: Shop) -> None:
        order = await cancelled(shop)
        await silence(shop, order)
        case_id = await shop.value("SELECT id FROM case_file WHERE kind = 'refund_failed'")
        await decisions.decide(
            shop.database, case_id, FIN, option_id="manual_payout", parameters={"paid_out": True}, via="test"
        )
        assert (await situation(shop, order)).ended
        await confirm(shop, order)
        assert await shop.value("SELECT refunded_minor FROM payment") == PRICE_MINOR

    async def test_before_its_time_nobody_is_asked(self, shop: Shop) -> None:
        order = await cancelled(shop)
        step = Step(subject=order, occurrence="1", at=datetime.now(UTC) + timedelta(hours=1), due="refund_confirm")
        await dues.on_due(shop.database, step)
        assert await shop.value("SELECT count(*) FROM case_file") == 0

    async def test_confirmed_before_the_clock_fires_nothing_happens(self, shop: Shop) -> None:
        order = await cancelled(shop)
        await confirm(shop, order)
        await silence(shop, order)
        assert await shop.value("SELECT count(*) FROM case_file") == 0


class TestNotice:
    async def test_the_source_is_asked_to_write_and_no_mail_is_queued(self, shop: Shop) -> None:
        order = await cancelled(shop)
        (asked,) = await told(shop, "notice.requested")
        assert (asked["notice"], asked["journey_id"], asked["amount_minor"]) == ("order_cancelled", order, PRICE_MINOR)
        assert asked["notice_id"].startswith(f"{order}:order_cancelled:")
        assert await shop.value("SELECT count(*) FROM mail") == 0
        assert "kim" not in str(asked).lower()


class TestEndcapItself:
    async def test_where_endcap_refunds_a_confirmation_of_the_source_is_set_aside(
        self, database: conftest.Database
    ) -> None:
        mine = await open_shop(database.url)
        try:
            order = await cancelled(mine)
            operation = await mine.value("SELECT id FROM payment_operation")
            outcome = await mine.report(
                "refund.confirmed", journey_id=order, operation_id=operation, amount_minor=PRICE_MINOR, currency="EUR"
            )
            assert outcome.outcome == "quarantined"
            assert (await situation(mine, order)).operations == (operation,)
        finally:
            await mine.database.dispose()
