"""Steps of the count journey, and the opening of the day's counts: each method is one ledger transaction, or one for
each place.
"""

from temporalio import activity

from activities.journey import JourneyActivities
from activities.taking import patient
from domain.messages import Situation, Step
from ledger.count import risk, steps


class CountActivities(JourneyActivities, noun="count", steps=steps):
    """The steps of a count, beside those that every journey has."""

    @activity.defn(name="count.compare")
    @patient
    async def compare(self, step: Step) -> Situation:
        """Compare what was handed in with the book as of the instants at which it was counted."""
        return await steps.compare_counts(self._database, step)

    @activity.defn(name="count.count_again")
    @patient
    async def count_again(self, step: Step) -> Situation:
        """Open another round after a rejection, for somebody else."""
        return await steps.count_once_more(self._database, step)

    @activity.defn(name="count.post")
    @patient
    async def post(self, step: Step) -> Situation:
        """Post what is agreed, or wait for the store's till."""
        return await steps.post(self._database, step)

    @activity.defn(name="count.open_days_counts")
    @patient
    async def open_days_counts(self, step: Step) -> Situation:
        """Open the counts of the day where they are missing; the answer says how many, in words."""
        opened = await risk.open_days_counts(self._database, step.at)
        return Situation(subject=step.subject, state=f"{opened} opened", ended=True)
