"""The count as a workflow: each state alone under fake steps, then whole paths with the real ledger and server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.exceptions import ApplicationError

from domain.case import CaseOption
from domain.count import BEING_COUNTED, FINAL, CountState
from domain.messages import Message, Situation
from ledger import decisions, verdicts
from ledger.journeys import skip_time
from tests.fakes import due_in
from tests.ledger.support.books import assert_books_agree
from tests.ledger.support.counting import Count, shelf
from tests.shop import ADA, ANA, MAX, TEA

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

COUNT = "count:store:C-1"


def sheet(state: str, seq: int = 1, **more: Any) -> Situation:
    return Situation.model_validate({"subject": COUNT, "state": state, "seq": seq, **more})


class TestEveryState:
    @pytest.mark.parametrize("state", sorted(BEING_COUNTED))
    async def test_while_it_is_counted_it_waits_and_asks_why_it_is_late(self, stage: Stage, state: str) -> None:
        stage.steps.answer("count.on_due", sheet(state))
        await stage.start("count", sheet(state, dues=(due_in("count", seconds=-1),)))
        await stage.took("count.on_due")

    async def test_handed_in_it_is_compared_and_posted(self, stage: Stage) -> None:
        stage.steps.answer("count.compare", sheet("approved"))
        stage.steps.answer("count.post", sheet("posted", ended=True))
        handle = await stage.start("count", sheet("submitted"))
        await handle.result()
        assert stage.steps.names() == ["count.compare", "count.post"]

    async def test_a_recount_is_compared_again_under_a_number_of_its_own(self, stage: Stage) -> None:
        stage.steps.answer("count.compare", sheet("recount", 2), sheet("posted", 3, ended=True))
        handle = await stage.start("count", sheet("in_progress"))
        await stage.tell(handle, Message.COUNT_SUBMITTED, sheet("submitted", 2))
        await stage.took("count.compare")
        await stage.tell(handle, Message.COUNT_SUBMITTED, sheet("submitted", 3))
        await handle.result()
        assert [step.occurrence for step in stage.steps.of("count.compare")] == ["message-2", "message-3"]

    async def test_a_case_is_waited_for_and_its_answer_applied(self, stage: Stage) -> None:
        stage.steps.answer("count.compare", sheet("submitted", case_id=7))
        stage.steps.answer("count.apply_decision", sheet("posted", 2, ended=True))
        handle = await stage.start("count", sheet("submitted"))
        await stage.took("count.compare")
        await stage.tell(handle, Message.DECISION_RECORDED, sheet("submitted", 2, case_id=7, decision_id=9))
        await handle.result()
        assert stage.steps.of("count.apply_decision")[0].decision_id == 9

    async def test_a_rejected_one_is_counted_again(self, stage: Stage) -> None:
        asked: dict[str, Any] = {"case_id": 7, "decision_id": 9, "decision_needs_approval": True}
        stage.steps.answer("count.open_approval", sheet("pending_approval", 2, **asked, approval_id=3))
        stage.steps.answer("count.give_back", sheet("rejected", 3))
        stage.steps.answer("count.count_again", sheet("recount", 3))
        handle = await stage.start("count", sheet("submitted", case_id=7))
        await stage.tell(handle, Message.DECISION_RECORDED, sheet("submitted", 2, **asked))
        await stage.took("count.open_approval")
        verdict = sheet("pending_approval", 3, **asked, approval_id=3, verdict="rejected")
        await stage.tell(handle, Message.VERDICT_RECORDED, verdict)
        await stage.took("count.open_approval", "count.give_back", "count.count_again")
        await stage.waits(handle, state="recount")

    async def test_agreed_it_waits_for_the_till_by_looks(self, stage: Stage) -> None:
        look = due_in("feed", hours=1)
        stage.steps.answer("count.post", sheet("approved", dues=(look,)))
        stage.steps.answer("count.on_due", sheet("posted", ended=True))
        handle = await stage.start("count", sheet("approved"))
        await stage.took("count.post")
        skipped = sheet("approved", 2, dues=(look,), clock_offset_s=3700)
        await stage.tell(handle, Message.TIME_SKIPPED, skipped)
        stage.steps.answer("count.on_due", sheet("posted", 2, ended=True))
        await handle.result()
        assert stage.steps.names() == ["count.post", "count.on_due"]

    async def test_a_search_is_waited_for(self, stage: Stage) -> None:
        stage.steps.answer("count.on_due", sheet("approved"))
        stage.steps.answer("count.post", sheet("posted", ended=True))
        handle = await stage.start("count", sheet("submitted", dues=(due_in("search", seconds=-1),)))
        await handle.result()
        assert stage.steps.names() == ["count.on_due", "count.post"]

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_entered_at_its_end_it_ends(self, stage: Stage, state: str) -> None:
        handle = await stage.start("count", sheet(state, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_failure_suspends_it_and_a_person_resumes(self, stage: Stage) -> None:
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("count.compare", broken, sheet("posted", 2, ended=True))
        stage.steps.answer("count.suspend", sheet("submitted", suspended=True))
        handle = await stage.start("count", sheet("submitted"))
        await stage.took("count.compare", "count.suspend")
        await stage.tell(handle, Message.RESUMED, sheet("submitted", 2))
        await handle.result()

    def test_no_state_is_forgotten(self) -> None:
        """Each state is in one of the tests above."""
        seen = {*BEING_COUNTED, *FINAL, "submitted", "pending_approval", "rejected", "approved"}
        assert seen == set(CountState)


async def newest(hub: Hub) -> Count:
    return await Count.newest(hub.shop)


class TestWholePaths:
    async def test_not_on_the_shelf_then_found_by_the_count(self, hub: Hub) -> None:
        """The seeds' scene: picked short, a case with a substitute's place, a count, found, healed, picked."""
        async with hub.worker():
            order = await hub.shop.order(2)
            await hub.until(order, "reserved")
            gone = {"line_id": "1", "quantity": 0, "reason": "not_in_stock"}
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=[gone])
            number = await hub.open_case(order, "pick_short")
            assert await shelf(hub.shop) == {"count_pending": 5}
            count = await newest(hub)
            await hub.until(count.id, "scheduled")
            await count.enter((TEA, 5))
            await hub.ended(count.id)
            await hub.until(order, "reserved")
            await hub.ended(f"case:{number}:1")
            assert await hub.shop.value("SELECT resolution FROM case_file WHERE id = :id", id=number) == "self_healed"
            assert await shelf(hub.shop) == {"available": 3, "reserved": 2}
            lines = [{"line_id": "1", "quantity": 2}]
            await hub.shop.report("bopis.picked", journey_id=order, picker="p1", lines=lines)
            await hub.shop.report("bopis.handed_over", journey_id=order, actor="p1", lines=lines)
            await hub.ended(order)
        print(f"a count costs {await hub.events(count.id)} Temporal events")  # noqa: T201  a figure worth seeing with -s
        await assert_books_agree(hub.shop.database)

    async def test_two_counters_a_case_and_a_managers_word(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.put("S1", 50)
            count = await Count.open(hub.shop)
            await count.enter((TEA, 30))
            await hub.until(count.id, "recount")
            await count.enter((TEA, 30), counter="crew-2")
            number = await hub.open_case(count.id, "count_variance")
            rows = await hub.shop.value("SELECT options FROM case_file WHERE id = :id", id=number)
            assert CaseOption.model_validate(rows[0]).needs_approval
            await decisions.decide(
                hub.shop.database, number, ANA, option_id="post_second", parameters={"root_cause": "misplaced"},
                via="test",
            )  # fmt: skip
            await hub.until(count.id, "pending_approval")
            asked = await hub.shop.value("SELECT id FROM approval WHERE journey_id = :id", id=count.id)
            await verdicts.record_verdict(hub.shop.database, asked, MAX, verdict="approve", note="", via="test")
            await hub.ended(count.id, f"case:{number}:1", f"approval:{asked}")
        assert await shelf(hub.shop) == {"available": 30}
        await assert_books_agree(hub.shop.database)

    async def test_rejected_it_is_counted_again_and_posted(self, hub: Hub) -> None:
        async with hub.worker():
            await hub.shop.put("S1", 50)
            count = await Count.open(hub.shop)
            await count.enter((TEA, 30))
            await hub.until(count.id, "recount")
            await count.enter((TEA, 30), counter="crew-2")
            number = await hub.open_case(count.id, "count_variance")
            chosen = {"option_id": "post_second", "parameters": {"root_cause": "theft_suspected"}}
            await decisions.decide(hub.shop.database, number, ANA, **chosen, via="test")  # type: ignore[arg-type]
            await hub.until(count.id, "pending_approval")
            asked = await hub.shop.value("SELECT id FROM approval WHERE journey_id = :id", id=count.id)
            await verdicts.record_verdict(hub.shop.database, asked, MAX, verdict="reject", note="no", via="test")
            await hub.until(count.id, "recount")
            await count.enter((TEA, 50), counter="crew-3")
            again = await hub.open_case(count.id, "count_variance")
            await decisions.decide(
                hub.shop.database, again, ANA, option_id="post_second", parameters={"root_cause": "miscounted"},
                via="test",
            )  # fmt: skip
            await hub.ended(count.id)
        assert await shelf(hub.shop) == {"available": 50}

    async def test_nobody_counts_and_time_is_skipped(self, hub: Hub) -> None:
        async with hub.worker():
            count = await Count.open(hub.shop)
            await hub.until(count.id, "scheduled")
            await skip_time(hub.shop.database, count.id, ADA, seconds=25 * 3600, via="test")
            number = await hub.open_case(count.id, "count_overdue")
            answer = await decisions.decide(
                hub.shop.database, number, ANA, option_id="more_time", parameters={}, via="test"
            )
            assert answer.state == "applied"
            await count.enter((TEA, 5))
            await hub.ended(count.id, f"case:{number}:1")

    async def test_a_silent_till_is_asked_about_and_posted_without(self, hub: Hub) -> None:
        async with hub.worker():
            before = (await _now(hub)) - timedelta(hours=1)
            await hub.shop.change("INSERT INTO feed_mark VALUES ('S1', :at)", at=before)
            count = await Count.open(hub.shop)
            await count.enter((TEA, 5))
            await hub.until(count.id, "approved")

            async def waits() -> bool:
                return "feed" in (await count.row())["dues"]

            await hub.eventually(waits)
            await skip_time(hub.shop.database, count.id, ADA, seconds=5 * 3600, via="test")
            number = await hub.open_case(count.id, "sync_gap")
            await decisions.decide(
                hub.shop.database, number, ADA, option_id="post_anyway", parameters={"nothing_is_missing": True},
                via="test",
            )  # fmt: skip
            await hub.ended(count.id, f"case:{number}:1")
        assert await count.state() == "posted"


async def _now(hub: Hub) -> Any:
    return await hub.shop.value("SELECT now()")
