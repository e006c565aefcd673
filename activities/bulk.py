"""The step of a decision for several cases."""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger import bulk
from ledger.engine import Database


class BulkActivities:
    """`step.subject` is the number of the bulk decision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="bulk.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """Decide the next portion of cases, each in a transaction of its own."""
        return await bulk.on_due(self._database, step)
