"""Opens the counts of the day: started by a Temporal Schedule, each time for the places whose day has begun."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.count import CountActivities
    from domain.messages import Step
    from workflows.options import SCHEDULED_RETRY, SCHEDULED_TIMEOUT


@workflow.defn(name="count_schedule")
class CountScheduleWorkflow:
    """One run of the schedule. It knows nothing: the ledger knows which place has had its count of the day."""

    @workflow.run
    async def run(self) -> str:
        """Returns how many counts were opened, in words."""
        now = workflow.now()
        done = await workflow.execute_activity_method(
            CountActivities.open_days_counts,
            Step(subject="counts", occurrence=now.isoformat(), at=now),
            start_to_close_timeout=SCHEDULED_TIMEOUT,
            retry_policy=SCHEDULED_RETRY,
        )
        return done.state
