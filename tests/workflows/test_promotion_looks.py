"""Looks at promotions: a Temporal Schedule on the real server starts the workflow, which looks at each of them once."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio.client import Client, Schedule, ScheduleIntervalSpec, ScheduleOverlapPolicy, ScheduleSpec
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.look import LookActivities
from domain.messages import Situation, Step
from ledger.look import looking
from schedules import LOOKS, LOOKS_AT_PROMOTIONS, keep
from tests.ledger.support.looking import HOUR, START, Watched

if TYPE_CHECKING:
    from tests.shop import Shop
    from tests.workflows.conftest import Stage
    from tests.workflows.hub import Hub

LOOKED = "SELECT count(*) FROM promotion_look"


async def without_schedule(client: Client) -> None:
    """The server is shared: a worker of another test may have made the schedule already."""
    try:
        await client.get_schedule_handle(LOOKS_AT_PROMOTIONS).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


class TestTheSchedule:
    async def test_it_is_made_once_and_looks_at_what_runs(self, hub: Hub) -> None:
        it = await Watched.running_now(hub.shop)
        await without_schedule(hub.client)
        assert await keep(hub.client, hub.task_queue, LOOKS) == 1
        try:
            assert await keep(hub.client, hub.task_queue, LOOKS) == 0
            async with hub.worker():
                await hub.client.get_schedule_handle(LOOKS_AT_PROMOTIONS).trigger()

                async def looked() -> bool:
                    return bool(await hub.shop.value(LOOKED + " WHERE journey_id = :id", id=it.id) == 1)

                await hub.eventually(looked)
        finally:
            await without_schedule(hub.client)

    async def test_one_of_an_older_release_is_changed_and_stays_paused(self, hub: Hub) -> None:
        await without_schedule(hub.client)
        older = LOOKS.schedule(hub.task_queue)
        older.spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=6))])
        older.policy.overlap = ScheduleOverlapPolicy.BUFFER_ALL
        older.state.paused = True
        handle = await hub.client.create_schedule(LOOKS_AT_PROMOTIONS, older)
        try:
            assert await keep(hub.client, hub.task_queue, LOOKS) == 1

            async def changed() -> Schedule:
                found = (await handle.describe()).schedule
                assert [one.every for one in found.spec.intervals] == [timedelta(hours=1)]
                return found

            found = await hub.eventually(changed)
            assert found.policy.overlap is ScheduleOverlapPolicy.SKIP
            assert found.policy.catchup_window == timedelta(hours=1)
            assert found.state.paused
            assert await keep(hub.client, hub.task_queue, LOOKS) == 0
        finally:
            await without_schedule(hub.client)

    async def test_a_look_that_fails_is_taken_again(self, stage: Stage) -> None:
        done = Situation(subject="promotions", state="3 looked at", ended=True)
        stage.steps.answer("promotion.look_at_all", ApplicationError("1 of 3 looks failed"), done)
        handle = await stage.temporal.client.start_workflow(
            "promotion_looks", id=f"promotion_looks:{stage.task_queue}", task_queue=stage.task_queue, result_type=str
        )
        assert await handle.result() == "3 looked at"
        assert stage.steps.names() == ["promotion.look_at_all"] * 2


class TestOneThatFails:
    async def test_it_holds_up_no_other_and_is_named(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        shop: Shop = hub.shop
        broken = await Watched.open(shop, past=False, stacking="best")
        whole = await Watched.open(shop, past=False, lines=[{"sku": "TEA-1", "forecast_units": 9}], stacking="best",
                                   locations=["S2"], channels=["web"])  # fmt: skip
        real = looking.look

        async def look(database: object, about: str, *rest: object) -> object:
            if about == broken.id:
                raise ValueError("broken")
            return await real(database, about, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(looking, "look", look)
        step = Step(subject="promotions", occurrence="ten", at=START + HOUR)
        with pytest.raises(ApplicationError, match=f"1 of 2 looks failed: {broken.id}: ValueError"):
            await ActivityEnvironment().run(LookActivities(shop.database).look_at_all, step)
        assert await shop.value(LOOKED + " WHERE journey_id = :id", id=whole.id) == 1
        monkeypatch.setattr(looking, "look", real)
        done = await ActivityEnvironment().run(LookActivities(shop.database).look_at_all, step)
        assert done.state == "1 looked at"
