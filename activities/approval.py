"""The step of an approval's clocks."""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger import verdicts
from ledger.engine import Database


class ApprovalActivities:
    """`step.subject` is the number of the approval."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="approval.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """Remind, ask the next level, or expire; does nothing where a verdict was recorded first."""
        return await verdicts.on_due(self._database, step)
