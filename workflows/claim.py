"""The claim against a vendor: what it waits for in each state, and what follows. It touches nothing itself."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.claim import ClaimActivities
    from domain.claim import ClaimState
    from domain.errors import DomainError
    from domain.messages import Situation
    from workflows.journey import Journey


@workflow.defn(name="claim", failure_exception_types=[DomainError])
class ClaimWorkflow(Journey):
    """One claim, from its frozen figures until nothing of it is open."""

    activities = ClaimActivities

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Follow the claim to its end, beginning wherever it stands."""
        await self.live(self.plan)

    async def plan(self) -> None:
        """What the claim waits for now. The vendor's answers and money, and people, change the state."""
        match ClaimState(self.situation.state):
            case ClaimState.PREPARED:
                await self.await_approval()
            case ClaimState.APPROVED:
                await self.await_hand_over()
            case ClaimState.SENT | ClaimState.DISPUTED:
                await self.await_vendor()
            case ClaimState.MATCHED | ClaimState.PARTIALLY_SETTLED:
                await self.await_money()
            case ClaimState.SETTLED | ClaimState.WRITTEN_OFF | ClaimState.CANCELLED:
                await self.next()

    async def await_approval(self) -> None:
        """Somebody has to agree. Silence withdraws it; what it claims belongs to the next claim."""
        await self.await_verdict(ClaimActivities.settle_approval)

    async def await_hand_over(self) -> None:
        """The vendor has no mail address: somebody hands it over. Due: somebody is asked whether that was done."""
        await self.answer()

    async def await_vendor(self) -> None:
        """The vendor answers, or pays. Due: somebody asks what to do about its silence."""
        await self.answer()

    async def await_money(self) -> None:
        """What was accepted is paid; about the rest somebody decides. Due: it has not been paid."""
        await self.answer()
