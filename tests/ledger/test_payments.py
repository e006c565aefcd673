"""What became of an operation at the provider: posted once, asked about when it is declined or stays unanswered."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import NotFound
from domain.messages import Step
from domain.payments import PaymentOutcome
from ledger import decisions, facts, outcomes
from tests.ledger.support.books import accounts
from tests.shop import FIN, WEB, Shop


async def refund(shop: Shop) -> tuple[str, str]:
    """A cancelled order of 30.00; returns the journey and the operation that pays it back."""
    journey = await shop.order(2)
    event = {
        "id": "c1", "type": "bopis.cancelled", "occurred_at": datetime.now(UTC).isoformat(),
        "data": {"journey_id": journey},
    }  # fmt: skip
    await facts.receive(shop.database, WEB, [event], received_at=datetime.now(UTC))
    return journey, await shop.value("SELECT id FROM payment_operation")


async def said(shop: Shop, journey: str, operation: str, attempt: int, state: Any, error: str | None = None) -> Any:
    step = Step(subject=journey, occurrence=f"{operation}#{attempt}", at=datetime.now(UTC), operation_id=operation)
    return await outcomes.record_outcome(shop.database, step, PaymentOutcome(state, "r1", error))


class TestOutcome:
    async def test_a_confirmed_refund_is_posted_and_ends_the_order(self, shop: Shop) -> None:
        journey, operation = await refund(shop)
        done = await said(shop, journey, operation, 1, "succeeded")
        assert (done.ended, done.operations) == (True, ())
        assert await accounts(shop.database) == {}

    async def test_a_second_confirmation_changes_nothing(self, shop: Shop) -> None:
        journey, operation = await refund(shop)
        await said(shop, journey, operation, 1, "succeeded")
        await said(shop, journey, operation, 2, "succeeded")
        assert await shop.value("SELECT refunded_minor FROM payment") == 3000

    async def test_a_declined_refund_is_a_case_for_finance_and_is_tried_again_under_a_new_key(self, shop: Shop) -> None:
        journey, operation = await refund(shop)
        await said(shop, journey, operation, 1, "declined", "card expired")
        case_id = await shop.value("SELECT id FROM case_file WHERE kind = 'refund_failed' AND owner_role = 'finance'")
        await decisions.decide(
            shop.database, case_id, FIN, option_id="retry", parameters={}, note="", version=None, via="test"
        )
        again = await shop.value("SELECT id FROM payment_operation WHERE state = 'requested'")
        assert again != operation
        await said(shop, journey, again, 1, "succeeded")
        assert await accounts(shop.database) == {}

    async def test_a_provider_that_does_not_answer_is_asked_about_once_and_heals(self, shop: Shop) -> None:
        journey, operation = await refund(shop)
        for attempt in range(1, 8):
            await said(shop, journey, operation, attempt, "unknown", "time-out")
            expected = 0 if attempt < outcomes.ASK_AFTER_ATTEMPTS else 1
            assert await shop.value("SELECT count(*) FROM case_file WHERE kind = 'refund_failed'") == expected
        await said(shop, journey, operation, 8, "succeeded")
        assert await shop.value("SELECT resolution FROM case_file WHERE kind = 'refund_failed'") == "self_healed"

    async def test_an_operation_that_is_not_there_is_refused(self, shop: Shop) -> None:
        journey = await shop.order(1)
        with pytest.raises(NotFound):
            await said(shop, journey, "refund:nothing", 1, "succeeded")
