"""What people do with a case: what they may send along with a decision, and what a wait may be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import AlreadyClaimed, Malformed, NothingOffered
from domain.messages import Step
from ledger import case, decisions
from ledger.bopis import steps
from ledger.decisions.ladder import on_due
from ledger.reads.cases import CaseDetail, case_detail
from tests.shop import ADA, ANA, MAX, Shop


async def failed_order(shop: Shop, quantity: int = 8) -> tuple[str, int]:
    journey = await shop.order(quantity)
    told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert told.case_id is not None
    return journey, told.case_id


async def decide(shop: Shop, case_id: int, option: str, **parameters: Any) -> decisions.DecisionAnswer:
    return await decisions.decide(shop.database, case_id, ANA, option_id=option, parameters=parameters, via="test")


async def detail(shop: Shop, case_id: int) -> CaseDetail:
    async with shop.database.read() as conn:
        return await case_detail(conn, ADA, case_id)


class TestWhatADecisionMaySay:
    """The option says what is done; whoever decides confirms it and adds nothing of their own."""

    async def test_another_place_than_the_one_offered_is_refused(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        _, case_id = await failed_order(shop)
        with pytest.raises(NothingOffered, match="location"):
            await decide(shop, case_id, "other_store:S2", agreed_by_phone=True, location="DC")
        assert await shop.value("SELECT count(*) FROM case_decision") == 0

    async def test_what_the_option_does_not_have_is_refused(self, shop: Shop) -> None:
        _, case_id = await failed_order(shop)
        with pytest.raises(Malformed, match="amount_minor"):
            await decide(shop, case_id, "cancel_refund", amount_minor=1)
        assert await shop.value("SELECT count(*) FROM case_decision") == 0

    async def test_the_parameters_as_offered_may_be_sent_back(self, shop: Shop) -> None:
        await shop.put("S2", 20)
        journey, case_id = await failed_order(shop)
        answer = await decide(shop, case_id, "other_store:S2", agreed_by_phone=True, location="S2")
        assert answer.state == "applying"
        stored = await shop.value("SELECT parameters FROM case_decision")
        assert stored == {"location": "S2", "agreed_by_phone": True}
        assert journey


class TestWait:
    async def test_a_case_that_somebody_else_has_is_not_put_aside(self, shop: Shop) -> None:
        _, case_id = await failed_order(shop)
        await case.claim(shop.database, case_id, ANA, via="test")
        later = datetime.now(UTC) + timedelta(hours=2)
        with pytest.raises(AlreadyClaimed, match="Ana Ruiz"):
            await case.wait(shop.database, case_id, MAX, reason="count", until=later, via="test")
        assert (await detail(shop, case_id)).state == "claimed"

    @pytest.mark.parametrize("until", [datetime(9999, 12, 31, tzinfo=UTC), datetime.now(UTC) + timedelta(days=61)])
    async def test_a_wait_has_an_end_that_somebody_will_see(self, shop: Shop, until: datetime) -> None:
        _, case_id = await failed_order(shop)
        with pytest.raises(Malformed, match="60 days"):
            await case.wait(shop.database, case_id, ANA, reason="count", until=until, via="test")


class TestLadder:
    async def test_a_decision_stops_the_clock_that_waits_for_somebody_to_claim(self, shop: Shop) -> None:
        _, case_id = await failed_order(shop)
        before = await detail(shop, case_id)
        await decide(shop, case_id, "cancel_refund")
        after = await detail(shop, case_id)
        assert before.next_level_at is not None
        assert after.next_level_at is not None
        assert after.next_level_at > before.next_level_at
        when = before.next_level_at + timedelta(seconds=1)
        await on_due(shop.database, Step(subject=str(case_id), occurrence="1", at=when, due="level"))
        assert (await detail(shop, case_id)).level == 0
