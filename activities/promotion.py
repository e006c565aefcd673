"""Steps of the promotion journey: each method is one ledger step under the name that workflow histories keep."""

from temporalio import activity

from activities.journey import JourneyActivities
from activities.taking import patient
from domain.messages import Situation, Step
from ledger.promotion import steps


class PromotionActivities(JourneyActivities, noun="promotion", steps=steps):
    """The steps of a promotion, beside those that every journey has."""

    @activity.defn(name="promotion.settle_agreement")
    @patient
    async def settle_agreement(self, step: Step) -> Situation:
        """Ask the next person who must agree, go on, or make it a draft again."""
        return await steps.settle_agreement(self._database, step)
