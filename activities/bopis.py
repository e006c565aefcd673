"""Steps of the BOPIS journey: each method is one ledger step under the name that workflow histories keep."""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger.bopis import asking, dues, steps
from ledger.engine import Database


class BopisActivities:
    """Every method takes a `Step` and returns the situation of the journey after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="bopis.open_case")
    @patient
    async def open_case(self, step: Step) -> Situation:
        """Look for ways out, take one by policy or open the case that offers them."""
        return await steps.open_case(self._database, step)

    @activity.defn(name="bopis.attend")
    @patient
    async def attend(self, step: Step) -> Situation:
        """Take up what a stock movement left for this journey: units that turned up, or a promised unit in doubt."""
        return await steps.attend(self._database, step)

    @activity.defn(name="bopis.open_approval")
    @patient
    async def open_approval(self, step: Step) -> Situation:
        """Ask somebody with the authority to confirm the decision `step.decision_id`."""
        return await steps.open_approval(self._database, step)

    @activity.defn(name="bopis.apply_decision")
    @patient
    async def apply_decision(self, step: Step) -> Situation:
        """Do what was decided: stock, money, state and case in one transaction."""
        return await steps.apply_decision(self._database, step)

    @activity.defn(name="bopis.give_back")
    @patient
    async def give_back(self, step: Step) -> Situation:
        """Give the case back to its owner with its other options; `step.reason` says why."""
        return await steps.give_back(self._database, step)

    @activity.defn(name="bopis.settle_offer")
    @patient
    async def settle_offer(self, step: Step) -> Situation:
        """Carry out, or give up, what the customer accepted, as the approver has said."""
        return await asking.settle_offer(self._database, step)

    @activity.defn(name="bopis.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """The due instant `step.due` has come; does nothing where something else was recorded first."""
        return await dues.on_due(self._database, step)

    @activity.defn(name="bopis.suspend")
    @patient
    async def suspend(self, step: Step) -> Situation:
        """Stop the journey where it stands and open the case `journey_stuck`."""
        return await steps.suspend(self._database, step)
