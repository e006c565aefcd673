"""The step of a case's clocks."""

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger import decisions
from ledger.engine import Database


class CaseActivities:
    """`step.subject` is the number of the case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="case.on_due")
    @patient
    async def on_due(self, step: Step) -> Situation:
        """Climb one step of the ladder, or end a pause; does nothing where somebody acted first."""
        return await decisions.on_due(self._database, step)
