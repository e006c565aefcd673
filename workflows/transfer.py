"""The store transfer: what it waits for in each state, and what follows. It touches nothing itself."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.transfer import TransferActivities
    from domain.errors import DomainError
    from domain.messages import Situation
    from domain.transfer import TransferState
    from workflows.journey import Journey


@workflow.defn(name="transfer", failure_exception_types=[DomainError])
class TransferWorkflow(Journey):
    """One transfer, from being asked for until everything that was sent is accounted for."""

    activities = TransferActivities

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Follow the transfer to its end, beginning wherever it stands."""
        await self.live(self.plan)

    async def plan(self) -> None:
        """What the transfer waits for now. Goods, due instants and answers of people change the state."""
        match TransferState(self.situation.state):
            case TransferState.REQUESTED | TransferState.PENDING_APPROVAL:
                await self.await_agreement()
            case TransferState.APPROVED | TransferState.READY_TO_SHIP:
                await self.await_shipment()
            case TransferState.IN_TRANSIT | TransferState.PARTIALLY_RECEIVED:
                await self.await_receipt()
            case TransferState.RECEIVED:
                await self.compare()
            case TransferState.DISCREPANCY_REVIEW:
                await self.answer()
            case TransferState.CLOSED | TransferState.REJECTED | TransferState.CANCELLED:
                await self.next()

    async def await_agreement(self) -> None:
        """Somebody has to agree: one at the source, or one of each entity. Silence ends it as rejected."""
        await self.await_verdict(TransferActivities.settle_agreement)

    async def await_shipment(self) -> None:
        """The source sends it. Due: somebody asks why it has not left."""
        await self.answer()

    async def await_receipt(self) -> None:
        """It is on its way, perhaps in parts. Due: somebody asks where it is."""
        await self.answer()

    async def compare(self) -> None:
        """Nothing more will come: differences within tolerance are posted, a case asks about the rest."""
        await self.step(TransferActivities.compare, occurrence=f"message-{self.situation.seq}")
