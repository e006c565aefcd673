"""What Temporal starts by itself, by the clock: the counts of the day and the looks at promotions, each hour.

A worker keeps the schedules in Temporal as they are defined here: one that is missing is created (a Temporal whose
database was lost has none), one of an older release is changed. One that somebody has paused stays paused.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from workflows.count_schedule import CountScheduleWorkflow
from workflows.promotion_looks import PromotionLooksWorkflow

COUNTS_OF_THE_DAY = "counts-of-the-day"
LOOKS_AT_PROMOTIONS = "looks-at-promotions"
HOUR = timedelta(hours=1)


class Turn(NamedTuple):
    """What is started each hour, `offset` after the full hour. A turn is skipped while the one before still runs; of
    those that were missed while Temporal was away, the last hour's is made up for.
    """

    id: str
    run: Callable[..., Any]
    offset: timedelta = timedelta(0)

    def schedule(self, task_queue: str) -> Schedule:
        return Schedule(
            action=ScheduleActionStartWorkflow(self.run, id=self.id, task_queue=task_queue),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=HOUR, offset=self.offset)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=HOUR),
        )


# Each hour, since each place's day begins at an hour of its own.
COUNTS = Turn(COUNTS_OF_THE_DAY, CountScheduleWorkflow.run)
# When tills have reported what they sold up to the full hour.
LOOKS = Turn(LOOKS_AT_PROMOTIONS, PromotionLooksWorkflow.run, timedelta(minutes=5))
TURNS = (COUNTS, LOOKS)


async def keep_all(client: Client, task_queue: str) -> int:
    """Keep every schedule as it is defined here; returns how many were created or changed."""
    return sum([await keep(client, task_queue, turn) for turn in TURNS])


async def keep(client: Client, task_queue: str, turn: Turn) -> int:
    """See that Temporal has this schedule as it is defined here; returns 1 where it had none, or a different one."""
    wanted = turn.schedule(task_queue)
    try:
        await client.create_schedule(turn.id, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(turn.id)
        if _told(wanted) == _told((await handle.describe()).schedule):
            return 0

        def changed(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(replace(wanted, state=found.description.schedule.state))

        await handle.update(changed)
    return 1


def _told(schedule: Schedule) -> tuple[object, ...]:
    """What of a schedule is ours to say, in a form in which Temporal's answer can be compared."""
    action, spec, policy = schedule.action, schedule.spec, schedule.policy
    if not isinstance(action, ScheduleActionStartWorkflow):
        return ()
    return (
        action.workflow, action.id, action.task_queue,
        [(one.every, one.offset or timedelta(0)) for one in spec.intervals],
        list(spec.calendars), list(spec.cron_expressions),
        policy.overlap, policy.catchup_window,
    )  # fmt: skip
