"""The promotion as a workflow: each state alone under fake steps, then whole paths with the real ledger, server and
adapters.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.checking import check_due
from domain.messages import Message, Situation
from domain.promotion import FINAL, PromotionState, ShelfPrice
from ledger import verdicts
from ledger.journeys import skip_time
from ledger.promotion import requests
from tests.fakes import due_in
from tests.ledger.support.promoting import DAY, MIA, Promoted, hire
from tests.shop import ADA, FIN, TEA

if TYPE_CHECKING:
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

DAY_S = 86_400
TELLING = ("publishing", "active", "reverting")


def told(state: str, seq: int = 1, **more: Any) -> Situation:
    return Situation.model_validate({"subject": "promotion:pim:P-1", "state": state, "seq": seq, **more})


class TestEveryState:
    async def test_a_verdict_is_waited_for_and_carried_out(self, stage: Stage) -> None:
        stage.steps.answer("promotion.settle_agreement", told("cancelled", 2, ended=True))
        handle = await stage.start("promotion", told("pending_approval", approval_id=3))
        held = told("pending_approval", 2, approval_id=3, verdict="rejected")
        await stage.tell(handle, Message.VERDICT_RECORDED, held)
        await handle.result()
        (step,) = stage.steps.of("promotion.settle_agreement")
        assert (step.occurrence, step.approval_id) == ("approval-3", 3)

    @pytest.mark.parametrize(
        ("state", "due"), [("draft", "lapse"), ("pending_approval", "start"), ("approved", "publish")]
    )
    async def test_what_falls_due_is_a_step(self, stage: Stage, state: str, due: str) -> None:
        stage.steps.answer("promotion.on_due", told("cancelled", ended=True))
        handle = await stage.start("promotion", told(state, dues=(due_in(due, seconds=-1),)))
        await handle.result()
        assert [step.due for step in stage.steps.of("promotion.on_due")] == [due]

    @pytest.mark.parametrize("state", TELLING)
    async def test_each_channel_whose_turn_has_come_is_told_and_the_others_wait(self, stage: Stage, state: str) -> None:
        stage.steps.answer("promotion.publish", told("ended", 2, ended=True))
        dues = (due_in("prices:pos", seconds=-2), due_in("prices:web", seconds=-1), due_in("prices:kiosk", hours=9))
        handle = await stage.start("promotion", told(state, dues=dues))
        await stage.eventually(lambda: len(stage.steps.of("promotion.publish")) == 2)
        await stage.tell(handle, Message.PRICES_TRIED, told("ended", 2, ended=True))
        await handle.result()
        assert sorted(step.due or "" for step in stage.steps.of("promotion.publish")) == ["prices:pos", "prices:web"]

    async def test_its_start_goes_before_channels_that_are_not_through(self, stage: Stage) -> None:
        waiting = due_in("prices:pos", seconds=-9)
        stage.steps.answer("promotion.on_due", told("active", dues=(waiting,)))
        stage.steps.answer("promotion.publish", told("active", dues=(waiting,)), told("ended", 2, ended=True))
        dues = (waiting, due_in("start", seconds=-1))
        handle = await stage.start("promotion", told("publishing", dues=dues))
        await stage.eventually(lambda: len(stage.steps.of("promotion.publish")) >= 2)
        await stage.tell(handle, Message.PRICES_TRIED, told("ended", 2, ended=True))
        await handle.result()
        assert stage.steps.names()[:3] == ["promotion.on_due", "promotion.publish", "promotion.publish"]
        first, second = stage.steps.of("promotion.publish")[:2]
        assert first.occurrence != second.occurrence

    @pytest.mark.parametrize("state", sorted(FINAL))
    async def test_entered_at_its_end_it_ends(self, stage: Stage, state: str) -> None:
        handle = await stage.start("promotion", told(state, ended=True))
        await handle.result()
        assert stage.steps.taken == []

    async def test_a_failure_suspends_it_and_a_person_resumes(self, stage: Stage) -> None:
        broken = ApplicationError("no", type="KeyError", non_retryable=True)
        stage.steps.answer("promotion.publish", broken, told("ended", 2, ended=True))
        stage.steps.answer("promotion.suspend", told("active", suspended=True))
        handle = await stage.start("promotion", told("active", dues=(due_in("prices:pos", seconds=-1),)))
        await stage.took("promotion.publish", "promotion.suspend")
        await stage.tell(handle, Message.RESUMED, told("ended", 2, ended=True))
        await handle.result()

    def test_no_state_is_forgotten(self) -> None:
        """Each state is in one of the tests above."""
        assert {"draft", "pending_approval", "approved", *TELLING, *FINAL} == set(PromotionState)


async def _asked(hub: Hub, journey: str, number: int) -> int:
    """The pending approval of a journey, once so many have been asked for."""

    async def there() -> object:
        await hub.carry()
        asked = await hub.shop.value("SELECT count(*) FROM approval WHERE journey_id = :id", id=journey)
        pending = "SELECT max(id) FROM approval WHERE journey_id = :id AND state = 'pending'"
        return asked == number and await hub.shop.value(pending, id=journey)

    return int(await hub.eventually(there))


class TestWholePaths:
    async def test_agreed_to_published_with_a_channel_away_for_six_hours_and_taken_back(self, hub: Hub) -> None:
        """The whole of it: both agree, one channel is away, comes back and heals its case; it runs, and is over."""
        shop = hub.shop
        await hire(shop)
        it = await Promoted.open(shop, margin_floor_permille=900)
        hub.channels.update({name: one.port() for name, one in it.channels.items()})
        it.channels["pos"].is_away = True
        async with hub.worker():
            for number, who in enumerate((MIA, FIN), start=1):
                asked = await _asked(hub, it.id, number)
                await verdicts.record_verdict(shop.database, asked, who, verdict="approve", note="", via="test")
            await hub.until(it.id, "approved")
            await skip_time(shop.database, it.id, ADA, seconds=DAY_S + 60, via="test")
            await hub.until(it.id, "publishing")
            for run in (1, 2, 3):  # the pauses between them pass
                await hub.eventually(lambda run=run: _has_ended(hub, it.id, "pos", run))
                await skip_time(shop.database, it.id, ADA, seconds=3_600, via="test")
            asked = await hub.open_case(it.id, "promo_price_conflict")
            it.channels["pos"].is_away = False
            await skip_time(shop.database, it.id, ADA, seconds=3 * 3_600, via="test")
            await hub.ended(f"case:{asked}:1")
            assert await it.prices() == {"publish right": 4}
            starts_at, ends_at = await it.instant("starts_at"), await it.instant("ends_at")
            assert it.shown(TEA, starts_at) == {1_200}
            await skip_time(shop.database, it.id, ADA, seconds=DAY_S, via="test")
            await hub.until(it.id, "active")
            await skip_time(shop.database, it.id, ADA, seconds=7 * DAY_S, via="test")
            await hub.until(it.id, "ended")
            await hub.ended(it.id)
        assert it.shown(TEA, ends_at) == {1_500}

    async def test_a_price_that_is_shown_again_after_its_end_is_taken_back_once_more(self, hub: Hub) -> None:
        """Its workflow has ended by then; what is read back later starts it anew."""
        it = await Promoted.open(hub.shop)
        hub.channels.update({name: one.port() for name, one in it.channels.items()})
        async with hub.worker():
            for seconds, state in ((DAY_S + 60, "publishing"), (DAY_S, "active")):
                await skip_time(hub.shop.database, it.id, ADA, seconds=seconds, via="test")
                await hub.until(it.id, state)
            await requests.end(hub.shop.database, it.id, at=None, reason="sold out", actor="ada", via="test")
            await hub.until(it.id, "ended")
            await hub.ended(it.id)
            ends_at = await it.instant("ends_at")
            it.channels["web"].told["S1", TEA][ends_at] = ShelfPrice(1_200)
            later = await hub.shop.value("SELECT now() + interval '1 hour'")
            assert await check_due(hub.shop.database, hub.channels, later) == 1
            await hub.until(it.id, "ended")
            await hub.ended(it.id)
        assert it.shown(TEA, ends_at + DAY) == {1_500}

    async def test_called_off_while_its_prices_go_out(self, hub: Hub) -> None:
        it = await Promoted.open(hub.shop, begins=timedelta(hours=2))
        hub.channels.update({name: one.port() for name, one in it.channels.items()})
        it.channels["web"].lies = lambda _cell: True
        async with hub.worker():
            await hub.until(it.id, "publishing")
            await hub.eventually(lambda: _has_ended(hub, it.id, "web", 1))
            it.channels["web"].lies = lambda _cell: False
            await requests.cancel(hub.shop.database, it.id, reason="called_off", actor="ada", via="test")
            await hub.until(it.id, "cancelled")
            await hub.ended(it.id)
        assert it.shown(TEA, await it.instant("starts_at") + DAY) == {1_500}

    async def test_nobody_agrees_before_its_start(self, hub: Hub) -> None:
        it = await Promoted.open(hub.shop, margin_floor_permille=900)
        async with hub.worker():
            asked = await _asked(hub, it.id, 1)
            await skip_time(hub.shop.database, it.id, ADA, seconds=2 * DAY_S + 60, via="test")
            await hub.until(it.id, "draft")
            await hub.ended(f"approval:{asked}")
            await skip_time(hub.shop.database, it.id, ADA, seconds=8 * DAY_S, via="test")
            await hub.until(it.id, "cancelled")
            await hub.ended(it.id)


async def _has_ended(hub: Hub, journey: str, channel: str, run: int) -> bool:
    """Carry messages; whether a run over a channel's prices is over, so that the next one waits."""
    await hub.carry()
    found = await hub.shop.value(
        "SELECT run FROM publication WHERE journey_id = :id AND channel = :channel AND phase = 'publish'",
        id=journey, channel=channel,
    )  # fmt: skip
    assert found is not None
    assert found > run, f"{channel} is in run {found}"
    return True
