"""The cycle count: what it waits for in each state, and what follows. It touches nothing itself."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.count import CountActivities
    from domain.count import CountState
    from domain.errors import DomainError
    from domain.messages import Situation
    from workflows.journey import Journey


@workflow.defn(name="count", failure_exception_types=[DomainError])
class CountWorkflow(Journey):
    """One count, from its opening until book and shelf agree, or it is called off."""

    activities = CountActivities

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Follow the count to its end, beginning wherever it stands."""
        await self.live(self.plan)

    async def plan(self) -> None:
        """What the count waits for now. Figures, due instants and answers of people change the state."""
        match CountState(self.situation.state):
            case CountState.SCHEDULED | CountState.IN_PROGRESS | CountState.RECOUNT:
                await self.await_figures()
            case CountState.SUBMITTED | CountState.PENDING_APPROVAL:
                await self.compare()
            case CountState.REJECTED:
                await self.count_again()
            case CountState.APPROVED:
                await self.post()
            case CountState.POSTED | CountState.CANCELLED:
                await self.next()

    async def await_figures(self) -> None:
        """The store counts, blind. Due: the time by which somebody asks why it has not."""
        await self.next()

    async def compare(self) -> None:
        """Within tolerance: agreed. Beyond: somebody else counts again; then a case asks which count is right."""
        if self.situation.case_id is None and not self.waits_for("search"):
            await self.step(CountActivities.compare, occurrence=f"message-{self.situation.seq}")
            return
        await self.answer()

    async def count_again(self) -> None:
        """The proposed posting was not approved: somebody else counts again."""
        await self.step(CountActivities.count_again, occurrence=f"message-{self.situation.seq}")

    async def post(self) -> None:
        """Posted once the store's till has reported what it sold before. Due: another look; in the end a case asks."""
        if self.situation.case_id is None and not self.waits_for("feed"):
            await self.step(CountActivities.post, occurrence=f"message-{self.situation.seq}")
            return
        await self.answer()
