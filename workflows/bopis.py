"""Buy online, pick up in store: what an order waits for in each state, and what follows. It touches nothing itself."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.bopis import BopisActivities
    from domain.bopis import BopisState
    from domain.errors import DomainError
    from domain.messages import Situation
    from workflows.journey import Journey


@workflow.defn(name="bopis", failure_exception_types=[DomainError])
class BopisWorkflow(Journey):
    """One order, from its acceptance until it is collected, cancelled or expired and its money is settled."""

    activities = BopisActivities

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Follow the order to its end, beginning wherever it stands."""
        await self.live(self.plan)

    async def plan(self) -> None:
        """What the order waits for now. Facts, due instants and answers of people change the state."""
        match BopisState(self.situation.state):
            case BopisState.PLACED:
                await self.await_release_by_the_source()
            case BopisState.RESERVED | BopisState.PICKING:
                await self.await_pick()
            case BopisState.RESERVATION_FAILED:
                await self.find_way_out()
            case BopisState.AWAITING_CUSTOMER | BopisState.SUBSTITUTING:
                await self.await_customer()
            case BopisState.REROUTING | BopisState.SHIP_TO_STORE:
                await self.await_goods()
            case BopisState.READY_FOR_PICKUP | BopisState.PARTIALLY_COLLECTED:
                await self.await_pickup()
            case BopisState.TO_BE_SHIPPED:
                await self.await_shipment()
            case BopisState.COLLECTED | BopisState.SHIPPED | BopisState.EXPIRED | BopisState.CANCELLED:
                await self.settle()

    async def await_release_by_the_source(self) -> None:
        """The shop keeps the order back (payment, fraud, service) and says when it may go on."""
        await self.next()

    async def await_pick(self) -> None:
        """The store picks. Due: a nag on the way, the store manager when it is late, the region when very late."""
        await self.next()

    async def find_way_out(self) -> None:
        """Not there, or gone: a case offers the ways out and its owner decides. Stock that turns up heals it."""
        if self.waits_for("wait"):  # somebody chose to wait; when that has ended, the question is asked again
            await self.next()
            return
        if self.situation.case_id is None:
            await self.step(BopisActivities.open_case, occurrence=f"message-{self.situation.seq}")
            if self.situation.state != BopisState.RESERVATION_FAILED:
                return  # it healed before anybody was asked
        await self.answer()

    async def await_customer(self) -> None:
        """The customer is asked about another way. Due: the order's own fallback when nobody answers.

        What a yes costs may need an approval; its verdict is carried out here.
        """
        await self.await_verdict(BopisActivities.settle_offer)

    async def await_goods(self) -> None:
        """The goods are on their way to the place of pickup."""
        await self.next()

    async def await_shipment(self) -> None:
        """A carrier takes it to the customer's address. Due: somebody asks why it has not left."""
        await self.next()

    async def await_pickup(self) -> None:
        """Ready on the shelf. Due: reminders, and the end of the window, when goods and money go back."""
        await self.next()

    async def settle(self) -> None:
        """The end: the order is closed by the last refund, the last unit put away, or the last answer."""
        await self.next()
