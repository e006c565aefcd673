"""Steps of the transfer journey: each method is one ledger step under the name that workflow histories keep."""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger.engine import Database
from ledger.transfer import dues, steps


class TransferActivities:
    """Every method takes a `Step` and returns the situation of the journey after it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="transfer.settle_agreement")
    @patient
    async def settle_agreement(self, step: Step) -> Situation:
        """Reserve what was agreed to, or end what was not."""
        return await steps.settle_agreement(self._database, step)

    @activity.defn(name="transfer.compare")
    @patient
    async def compare(self, step: Step) -> Situation:
        """Compare what came with what was sent; settle what is tolerated, ask about the rest."""
        return await steps.compare(self._database, step)

    @activity.defn(name="transfer.attend")
    @patient
    async def attend(self, step: Step) -> Situation:
        """Give up what the till has sold meanwhile."""
        return await steps.attend(self._database, step)

    @activity.defn(name="transfer.open_approval")
    @patient
    async def open_approval(self, step: Step) -> Situation:
        """Ask somebody with the authority to confirm the decision `step.decision_id`."""
        return await steps.open_approval(self._database, step)

    @activity.defn(name="transfer.apply_decision")
    @patient
    async def apply_decision(self, step: Step) -> Situation:
        """Do what was decided: stock, books, state and case in one transaction."""
        return await steps.apply_decision(self._database, step)

    @activity.defn(name="transfer.give_back")
    @patient
    async def give_back(self, step: Step) -> Situation:
        """Give the case back to its owner with its other options."""
        return await steps.give_back(self._database, step)

    @activity.defn(name="transfer.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """The due instant `step.due` has come; does nothing where something else was recorded first."""
        return await dues.on_due(self._database, step)

    @activity.defn(name="transfer.suspend")
    @patient
    async def suspend(self, step: Step) -> Situation:
        """Stop the transfer where it stands and open the case `journey_stuck`."""
        return await steps.suspend(self._database, step)
