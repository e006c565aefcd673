"""Steps of the transfer journey: each method is one ledger step under the name that workflow histories keep."""

from temporalio import activity

from activities.journey import JourneyActivities
from activities.taking import patient
from domain.messages import Situation, Step
from ledger.transfer import steps


class TransferActivities(JourneyActivities, noun="transfer", steps=steps):
    """The steps of a transfer, beside those that every journey has."""

    @activity.defn(name="transfer.settle_agreement")
    @patient
    async def settle_agreement(self, step: Step) -> Situation:
        """Reserve the goods of a transfer that was agreed to; end one that was not."""
        return await steps.settle_agreement(self._database, step)

    @activity.defn(name="transfer.compare")
    @patient
    async def compare(self, step: Step) -> Situation:
        """Compare what came with what was sent; settle what is within tolerance, ask about the rest."""
        return await steps.compare(self._database, step)
