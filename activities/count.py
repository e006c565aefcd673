"""Steps of the count journey, and the opening of the day's counts: each method is one ledger transaction, or one for
each place.
"""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger.count import dues, risk, steps
from ledger.engine import Database


class CountActivities:
    """Every method takes a `Step` and returns the situation of the journey after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="count.compare")
    @patient
    async def compare(self, step: Step) -> Situation:
        """Compare what was handed in with the book of the instants at which it was counted."""
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

    @activity.defn(name="count.attend")
    @patient
    async def attend(self, step: Step) -> Situation:
        """Nothing is ever left for a count to take up."""
        return await steps.attend(self._database, step)

    @activity.defn(name="count.open_approval")
    @patient
    async def open_approval(self, step: Step) -> Situation:
        """Ask somebody with the authority to confirm the decision `step.decision_id`."""
        return await steps.open_approval(self._database, step)

    @activity.defn(name="count.apply_decision")
    @patient
    async def apply_decision(self, step: Step) -> Situation:
        """Do what was decided: which count is posted, or that it is counted again."""
        return await steps.apply_decision(self._database, step)

    @activity.defn(name="count.give_back")
    @patient
    async def give_back(self, step: Step) -> Situation:
        """What was decided is not approved; it is counted again."""
        return await steps.give_back(self._database, step)

    @activity.defn(name="count.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """The due instant `step.due` has come; does nothing where something else was recorded first."""
        return await dues.on_due(self._database, step)

    @activity.defn(name="count.suspend")
    @patient
    async def suspend(self, step: Step) -> Situation:
        """Stop the count where it stands and open the case `journey_stuck`."""
        return await steps.suspend(self._database, step)

    @activity.defn(name="count.open_days_counts")
    @patient
    async def open_days_counts(self, step: Step) -> Situation:
        """Open the counts of the day where they are missing; the answer says how many, in words."""
        opened = await risk.open_days_counts(self._database, step.at)
        return Situation(subject=step.subject, state=f"{opened} opened", ended=True)
