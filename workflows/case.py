"""One episode of a case: its clocks and its ladder. Who is asked next, and how, is decided by the step it takes."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.case import CaseActivities
    from domain.errors import DomainError
    from domain.messages import Situation
    from workflows.follower import Follower


@workflow.defn(name="case", failure_exception_types=[DomainError])
class CaseWorkflow(Follower):
    """Runs beside the journey that asks, never as its child: one case may concern several journeys, or none."""

    @workflow.init
    def __init__(self, situation: Situation) -> None:
        super().__init__(situation, CaseActivities.on_due)

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Climb the ladder while nobody acts, end a pause when its time is over, stop when the case is closed."""
        await self.live(self.next)
