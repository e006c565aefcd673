"""Looks at the promotions that run: started by a Temporal Schedule, one for all of them, every hour."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.look import LookActivities
    from domain.messages import Step
    from workflows.options import SCHEDULED_RETRY

# All promotions of a company; the next turn is skipped while this one still looks.
LOOK_TIMEOUT = timedelta(minutes=50)
HEARTBEAT_TIMEOUT = timedelta(minutes=2)


@workflow.defn(name="promotion_looks")
class PromotionLooksWorkflow:
    """One run of the schedule. It knows nothing: the ledger knows which promotion has had this look."""

    @workflow.run
    async def run(self) -> str:
        """Returns how many promotions were looked at, in words."""
        now = workflow.now()
        done = await workflow.execute_activity_method(
            LookActivities.look_at_all,
            Step(subject="promotions", occurrence=now.isoformat(), at=now),
            start_to_close_timeout=LOOK_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=SCHEDULED_RETRY,
        )
        return done.state
