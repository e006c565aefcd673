"""One approval: its reminders, its levels and its end. The verdict itself is recorded by whoever gives it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approval import ApprovalActivities
    from domain.errors import DomainError
    from domain.messages import Situation
    from workflows.follower import Follower


@workflow.defn(name="approval", failure_exception_types=[DomainError])
class ApprovalWorkflow(Follower):
    """Never decides: silence leads to the next level, and after the last one to expiry."""

    @workflow.init
    def __init__(self, situation: Situation) -> None:
        super().__init__(situation, ApprovalActivities.on_due)

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Remind, ask the next level, expire; stop when a verdict is recorded."""
        await self.live(self.next)
