"""Steps of the BOPIS journey: each method is one ledger step under the name that workflow histories keep."""

from temporalio import activity

from activities.journey import JourneyActivities
from activities.taking import patient
from domain.messages import Situation, Step
from ledger.bopis import asking, steps


class BopisActivities(JourneyActivities, noun="bopis", steps=steps):
    """The steps of an order, beside those that every journey has."""

    @activity.defn(name="bopis.open_case")
    @patient
    async def open_case(self, step: Step) -> Situation:
        """Look for ways out, take one by policy or open the case that offers them."""
        return await steps.open_case(self._database, step)

    @activity.defn(name="bopis.settle_offer")
    @patient
    async def settle_offer(self, step: Step) -> Situation:
        """Carry out, or give up, what the customer accepted, as the approver has said."""
        return await asking.settle_offer(self._database, step)
