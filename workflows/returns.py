"""The return: what it waits for, and what follows. It touches nothing itself."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.returns import ReturnActivities
    from domain.errors import DomainError
    from domain.messages import Situation
    from domain.returns import ReturnState
    from workflows.journey import Journey


@workflow.defn(name="returns", failure_exception_types=[DomainError])
class ReturnWorkflow(Journey):
    """One return, from the request, or from the goods on the counter, until goods and money are where they belong."""

    activities = ReturnActivities

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Follow the return to its end, beginning wherever it stands."""
        await self.live(self.plan)

    async def plan(self) -> None:
        """What the return waits for now. Facts change the state; refunds that are due are paid in whatever state."""
        match ReturnState(self.situation.state):
            case ReturnState.REQUESTED:
                await self.decide()
            case ReturnState.AUTHORIZED | ReturnState.IN_TRANSIT:
                await self.await_goods()
            case ReturnState.RECEIVED | ReturnState.INSPECTING:
                await self.await_inspection()
            case ReturnState.DISPOSITIONED | ReturnState.REFUND_PENDING | ReturnState.REFUNDED:
                await self.await_money()
            case ReturnState.CLOSED | ReturnState.DECLINED | ReturnState.CANCELLED | ReturnState.NOT_RECEIVED:
                await self.next()

    async def decide(self) -> None:
        """Nothing proves the purchase: somebody says whether it may come back."""
        await self.answer()

    async def await_goods(self) -> None:
        """The goods are on their way. Due: a reminder; then the return is closed as not received."""
        await self.answer()

    async def await_inspection(self) -> None:
        """The goods are here and nobody may sell them. Due: somebody asks why they were not inspected."""
        await self.answer()

    async def await_money(self) -> None:
        """Every unit has its disposition: the refund is looked at, approved, or on its way."""
        await self.answer()
