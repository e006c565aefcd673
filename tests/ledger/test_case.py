"""What people do with a case: what they may send along with a decision, what a wait may be, and what is replayed."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import AlreadyClaimed, Malformed, NothingOffered
from domain.messages import Step
from ledger import case, facts
from ledger.bopis import steps
from ledger.case.ladder import on_due
from ledger.reads.cases import CaseDetail, case_detail
from tests.shop import ADA, ANA, MAX, TEA, WEB, Shop


async def failed_order(shop: Shop, quantity: int = 8) -> tuple[str, int]:
    journey = await shop.order(quantity)
    told = await steps.open_case(shop.database, Step(subject=journey, occurrence="1", at=datetime.now(UTC)))
    assert told.case_id is not None
    return journey, told.case_id


async def decide(shop: Shop, case_id: int, option: str, **parameters: Any) -> case.DecisionAnswer:
    return await case.decide(shop.database, case_id, ANA, option_id=option, parameters=parameters, via="test")


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


async def sale_of(shop: Shop, sku: str, event_id: str) -> Any:
    data = {
        "location": "S1",
        "receipt": event_id,
        "lines": [{"line": "1", "sku": sku, "quantity": 1, "unit_price_minor": 900}],
        "tenders": [{"tender": "cash", "amount_minor": 900}],
    }
    event = {"id": event_id, "type": "pos.sale", "occurred_at": "2026-03-02T10:00:00Z", "data": data}
    return (await facts.receive(shop.database, WEB, [event], received_at=datetime.now(UTC)))[0]


class TestReplay:
    """`replay` takes the reports again; a case never says "mended" of something that is still set aside."""

    async def test_reports_are_taken_once_the_master_data_knows_their_item(self, shop: Shop) -> None:
        first = await sale_of(shop, "CAKE-1", "e1")
        second = await sale_of(shop, "CAKE-1", "e2")
        assert (first.outcome, second.case_id) == ("quarantined", first.case_id)
        await shop.change("INSERT INTO item (sku, name, price_minor, cost_minor) VALUES ('CAKE-1', 'Cake', 900, 400)")
        answer = await decide(shop, first.case_id, "replay")
        assert answer.state == "applied"
        assert await shop.value("SELECT available FROM stock WHERE sku = 'CAKE-1'") == -2
        assert await shop.value("SELECT count(*) FROM event_inbox WHERE outcome = 'accepted'") == 2
        closed = await detail(shop, first.case_id)
        assert closed.state == "resolved"
        assert [event.text for event in closed.events if event.kind == "replayed"] == ["2 reports were taken again."]
        again = await sale_of(shop, "CAKE-1", "e1")
        assert again.outcome == "duplicate"
        assert await shop.value("SELECT available FROM stock WHERE sku = 'CAKE-1'") == -2

    async def test_a_report_that_still_means_nothing_keeps_the_case_open_and_says_why(self, shop: Shop) -> None:
        found = await sale_of(shop, "CAKE-1", "e1")
        with pytest.raises(NothingOffered, match="CAKE-1"):
            await decide(shop, found.case_id, "replay")
        assert (await detail(shop, found.case_id)).state == "open"
        assert await shop.value("SELECT outcome FROM event_inbox") == "quarantined"
        assert await shop.value("SELECT count(*) FROM case_decision") == 0

    async def test_what_was_left_out_is_not_taken_later(self, shop: Shop) -> None:
        found = await sale_of(shop, "CAKE-1", "e1")
        await decide(shop, found.case_id, "discard")
        assert await shop.value("SELECT outcome || ':' || (body_sealed IS NULL) FROM event_inbox") == "refused:true"

    async def test_somebody_who_may_not_decide_replays_nothing(self, shop: Shop) -> None:
        found = await sale_of(shop, TEA + uuid.uuid4().hex[:4], "e1")
        await case.claim(shop.database, found.case_id, MAX, via="test")
        with pytest.raises(AlreadyClaimed):
            await decide(shop, found.case_id, "replay")
        assert await shop.value("SELECT outcome FROM event_inbox") == "quarantined"
