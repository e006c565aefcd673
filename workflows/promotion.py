"""The promotion: what it waits for in each state, and what follows. It touches nothing itself."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.promotion import PromotionActivities
    from activities.publishing import PublishingActivities
    from domain.errors import DomainError
    from domain.messages import Due, Situation
    from domain.promotion import PRICES_DUE, PromotionState
    from workflows.journey import Journey

# Some forty seconds of talking, and the time-outs of a channel that does not answer within them.
PUBLISH_TIMEOUT = timedelta(minutes=3)
HEARTBEAT_TIMEOUT = timedelta(seconds=60)


@workflow.defn(name="promotion", failure_exception_types=[DomainError])
class PromotionWorkflow(Journey):
    """One promotion, from its definition until no channel shows a price of it any more."""

    activities = PromotionActivities

    @workflow.run
    async def run(self, situation: Situation) -> None:  # noqa: ARG002  held since __init__
        """Follow the promotion to its end, beginning wherever it stands."""
        await self.live(self.plan)

    async def plan(self) -> None:
        """What the promotion waits for now."""
        match PromotionState(self.situation.state):
            case PromotionState.PENDING_APPROVAL:
                await self.await_agreement()
            case PromotionState.PUBLISHING | PromotionState.ACTIVE | PromotionState.REVERTING:
                await self.tell_channels()
            case _:
                await self.next()

    async def await_agreement(self) -> None:
        """Merchandising has to agree, then finance. Silence, and the start, make it a draft again."""
        await self.await_verdict(PromotionActivities.settle_agreement)

    async def tell_channels(self) -> None:
        """Every channel whose turn has come is talked to for a while, side by side; its start and its end go first."""
        now = self.now()
        ready = [due for due in self.open_dues() if due.at <= now]
        channels = [due for due in ready if due.name.startswith(PRICES_DUE)]
        others = [due for due in ready if due not in channels]
        if others:
            await self._take_due(others[0])
        elif channels:
            done = await asyncio.gather(*(self._talk_to(due) for due in channels), return_exceptions=True)
            for failure in done:  # each conversation is over by now, so a failed one leaves nothing running behind
                if failure is not None:
                    raise failure
        else:
            await self.next()

    async def _talk_to(self, due: Due) -> None:
        # Each conversation is a step of its own: a channel that is not through yet is due at the same instant again.
        await self.step(
            PublishingActivities.publish,
            occurrence=f"{due.name}#{workflow.uuid4().hex[:12]}",
            due=due.name,
            timeout=PUBLISH_TIMEOUT,
            heartbeat=HEARTBEAT_TIMEOUT,
        )
