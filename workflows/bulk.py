"""One decision for several cases: it waits while it can be called off, then decides some, looks again, and goes on."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.bulk import BulkActivities
    from domain.errors import DomainError
    from domain.messages import Situation
    from workflows.follower import Follower


@workflow.defn(name="bulk", failure_exception_types=[DomainError])
class BulkWorkflow(Follower):
    """What becomes of each case is written by the step that decides it; the workflow only keeps going."""

    @workflow.init
    def __init__(self, situation: Situation) -> None:
        super().__init__(situation, BulkActivities.on_due)

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Decide the cases in portions until none is left or somebody has stopped it."""
        await self.live(self.next)
