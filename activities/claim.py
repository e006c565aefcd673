"""Steps of the claim journey: each method is one ledger step under the name that workflow histories keep."""

from temporalio import activity

from activities.journey import JourneyActivities
from activities.taking import patient
from domain.messages import Situation, Step
from ledger.claim import steps


class ClaimActivities(JourneyActivities, noun="claim", steps=steps):
    """The steps of a claim, beside those that every journey has."""

    @activity.defn(name="claim.settle_approval")
    @patient
    async def settle_approval(self, step: Step) -> Situation:
        """Send the claim that was agreed to; what it claims belongs to the next one where it was not."""
        return await steps.settle_approval(self._database, step)
