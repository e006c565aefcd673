"""The steps that every kind of journey has, as activities under its noun: `count.on_due`, `transfer.on_due`."""

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from temporalio import activity

from activities.taking import patient
from domain.messages import Situation, Step
from ledger.engine import Database

SHARED = ("on_due", "attend", "open_approval", "apply_decision", "give_back", "suspend")


class LedgerSteps(Protocol):
    """The module `ledger/<noun>/steps.py`."""

    async def on_due(self, database: Database, step: Step, /) -> Situation: ...
    async def attend(self, database: Database, step: Step, /) -> Situation: ...
    async def open_approval(self, database: Database, step: Step, /) -> Situation: ...
    async def apply_decision(self, database: Database, step: Step, /) -> Situation: ...
    async def give_back(self, database: Database, step: Step, /) -> Situation: ...
    async def suspend(self, database: Database, step: Step, /) -> Situation: ...


class JourneyActivities:
    """Every method takes a `Step`, is one ledger step, and returns the situation of the journey after it.

    A kind of journey says `class CountActivities(JourneyActivities, noun="count", steps=steps)`, which gives it these
    six under names of its own, and adds methods for what only it does. Workflow histories keep the names.
    """

    _steps: ClassVar[LedgerSteps]

    def __init_subclass__(cls, *, noun: str, steps: LedgerSteps) -> None:
        super().__init_subclass__()
        cls._steps = steps
        for name in SHARED:
            shared = getattr(JourneyActivities, name)
            setattr(cls, name, activity.defn(name=f"{noun}.{name}")(patient(shared)))

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Callable[..., Any]]:
        """Every activity of this kind of journey, for a worker."""
        public = (getattr(self, name) for name in dir(self) if not name.startswith("_"))
        return [method for method in public if inspect.iscoroutinefunction(method)]

    async def on_due(self, step: Step) -> Situation:
        """The due instant `step.due` has come; does nothing where something else was recorded first."""
        return await self._steps.on_due(self._database, step)

    async def attend(self, step: Step) -> Situation:
        """Take up what others left for it: units that turned up, a promised unit in doubt, a count that is over."""
        return await self._steps.attend(self._database, step)

    async def open_approval(self, step: Step) -> Situation:
        """Ask somebody with the authority to confirm the decision `step.decision_id`."""
        return await self._steps.open_approval(self._database, step)

    async def apply_decision(self, step: Step) -> Situation:
        """Do what was decided: stock, money, state and case in one transaction."""
        return await self._steps.apply_decision(self._database, step)

    async def give_back(self, step: Step) -> Situation:
        """What was decided is not approved; `step.reason` says why, and the case is with its owner again."""
        return await self._steps.give_back(self._database, step)

    async def suspend(self, step: Step) -> Situation:
        """Stop it where it stands and open the case `journey_stuck`."""
        return await self._steps.suspend(self._database, step)
