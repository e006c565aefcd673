"""Steps of the returns journey: each method is one ledger transaction."""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger.engine import Database
from ledger.returns import dues, steps


class ReturnActivities:
    """Every method takes a `Step` and returns the situation of the journey after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="returns.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """The due instant `step.due` has come; does nothing where something else was recorded first."""
        return await dues.on_due(self._database, step)

    @activity.defn(name="returns.attend")
    @patient
    async def attend(self, step: Step) -> Situation:
        """Nothing is ever left for a return to take up."""
        return await steps.attend(self._database, step)

    @activity.defn(name="returns.open_approval")
    @patient
    async def open_approval(self, step: Step) -> Situation:
        """Ask somebody with the authority to confirm the decision `step.decision_id`."""
        return await steps.open_approval(self._database, step)

    @activity.defn(name="returns.apply_decision")
    @patient
    async def apply_decision(self, step: Step) -> Situation:
        """Do what was decided: a refund is paid or declined, units get their disposition."""
        return await steps.apply_decision(self._database, step)

    @activity.defn(name="returns.give_back")
    @patient
    async def give_back(self, step: Step) -> Situation:
        """What was decided is not approved; the case is with its owner again."""
        return await steps.give_back(self._database, step)

    @activity.defn(name="returns.suspend")
    @patient
    async def suspend(self, step: Step) -> Situation:
        """Stop the return where it stands and open the case `journey_stuck`."""
        return await steps.suspend(self._database, step)
