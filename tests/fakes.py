"""Stand-ins for the steps of the ledger, under the same activity names, for tests of the workflows alone.

They answer what a test tells them to answer, keep what they were asked, and refuse a step that no test expected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.journey import SHARED
from domain.messages import Due, Situation, Step

type Answer = Situation | Exception | Callable[[Step], Situation | Awaitable[Situation]]

JOURNEYS = ("bopis", "claim", "count", "promotion", "returns", "transfer")
NAMES = (
    *(f"{noun}.{step}" for noun in JOURNEYS for step in SHARED),
    "bopis.open_case", "bopis.settle_offer", "count.compare", "count.count_again", "count.post",
    "count.open_days_counts", "transfer.settle_agreement", "transfer.compare",
    "promotion.settle_agreement", "promotion.publish", "promotion.look_at_all",
    "claim.settle_approval",
    "case.on_due", "approval.on_due", "payment.carry_out", "bulk.on_due",
)  # fmt: skip


class FakeSteps:
    """`answers[name]` is a list; each step takes the next one, and the last one answers for all that follow."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.taken: list[tuple[str, Step]] = []

    def answer(self, name: str, *answers: Answer) -> None:
        """What the step `name` answers: situations, errors to raise, or functions of the step."""
        if name not in NAMES:
            raise ValueError(f"there is no step {name}")
        self.answers[name] = list(answers)

    def names(self) -> list[str]:
        """The steps that were taken, in their order."""
        return [name for name, _ in self.taken]

    def of(self, name: str) -> list[Step]:
        """The inputs of all steps of one name."""
        return [step for taken, step in self.taken if taken == name]

    async def take(self, name: str, step: Step) -> Situation:
        """One step; an unexpected one is refused for good and stays visible in `taken`."""
        self.taken.append((name, step))
        answers = self.answers.get(name)
        if not answers:
            raise ApplicationError(f"no test expected {name}", type="UnexpectedStep", non_retryable=True)
        chosen = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(chosen, Exception):
            raise chosen
        if isinstance(chosen, Situation):
            return chosen
        outcome = chosen(step)
        return outcome if isinstance(outcome, Situation) else await outcome

    def activities(self) -> list[Callable[..., Any]]:
        """One activity for each name."""
        return [self._activity(name) for name in NAMES]

    def _activity(self, name: str) -> Callable[..., Any]:
        @activity.defn(name=name)
        async def taken(step: Step) -> Situation:
            return await self.take(name, step)

        return taken


class Gate:
    """Holds a step in flight until the test lets it go on."""

    def __init__(self, then: Situation, *, raising: Exception | None = None) -> None:
        self._then = then
        self._raising = raising
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, _step: Step) -> Situation:
        self.reached.set()
        await self.open.wait()
        if self._raising is not None:
            raise self._raising
        return self._then


def due_in(name: str, **span: float) -> Due:
    """A due instant that far from now: `due_in("pick", hours=2)`."""
    return Due(name=name, at=datetime.now(UTC) + timedelta(**span))


ORDER = "bopis:web:W-1"


def order(state: str, seq: int = 1, **more: Any) -> Situation:
    """How one and the same order stands."""
    return Situation.model_validate({"subject": ORDER, "state": state, "seq": seq, **more})
