"""What all journeys share: they move money, look after stock, ask people, and are suspended by a failure.

It knows no state of any journey; a journey says in its own file what it waits for and what follows.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import ClassVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.workflow import unsafe

with unsafe.imports_passed_through():
    from activities.journey import JourneyActivities
    from activities.payment import PaymentActivities
    from domain.errors import leaves
    from domain.messages import Situation
    from workflows.follower import Follower, StepActivity, describe
    from workflows.options import PAYMENT_TIMEOUT, payment_pause


class Journey(Follower):
    """Base of the journeys. A kind names its activities, and says in `plan` what it waits for in each state."""

    activities: ClassVar[type[JourneyActivities]]

    @workflow.init
    def __init__(self, situation: Situation) -> None:
        super().__init__(situation, self.activities.on_due)
        self._attended: set[int] = set()
        self._failed_at: int | None = None
        self._tries: dict[str, int] = {}
        self._try_again: dict[str, datetime] = {}

    @property
    def over(self) -> bool:
        """A journey is over when it has ended and its money has been moved."""
        return self.situation.ended and not self.situation.operations

    async def live(self, do_next: Callable[[], Awaitable[None]]) -> None:
        """Do the next thing until all is over; an answer of a person goes before whatever the state waits for."""

        async def round_() -> None:
            held = self.situation
            # What failed is not tried again while the journey is suspended; a later answer may be how it is resumed.
            if held.decision_id is not None and not (held.suspended and held.seq == self._failed_at):
                await self.act_on(held.decision_id)
            elif held.suspended or held.ended:
                await self.next()
            else:
                await do_next()

        await super().live(round_)

    # ------------------------------------------------------------------ whatever the state
    async def next(self) -> None:
        """Move money that is to be moved, look after stock that needs it, do what is due; otherwise wait."""
        if self.situation.suspended:
            await self._stand_still()
        elif (operation := self._payable()) is not None:
            await self._carry_out(operation)
        elif self.situation.attention and self.situation.seq not in self._attended:
            await self._attend()
        else:
            await super().next()

    async def _stand_still(self) -> None:
        """Suspended: nothing happens by itself until a person has looked at it."""
        held = self.situation
        await self._wait(lambda: self.situation is not held, until=None, why=None)

    async def _attend(self) -> None:
        seq = self.situation.seq
        await self.step(self.activities.attend, occurrence=f"message-{seq}")
        self._attended.add(seq)

    async def _wait(self, changed: Callable[[], bool], *, until: datetime | None, why: str | None) -> None:
        """The same, but no longer than until the next attempt at a payment."""
        attempts = [at for operation, at in self._try_again.items() if operation in self.situation.operations]
        if attempts and not self.situation.suspended:
            # Providers live in real time: what the demo skips does not shorten the pause between two attempts.
            again = min(attempts) + timedelta(seconds=self.situation.clock_offset_s)
            if until is None or again < until:
                until, why = again, "payment again"
        await super()._wait(changed, until=until, why=why)

    # ------------------------------------------------------------------ money
    def _payable(self) -> str | None:
        """The first operation whose turn has come; one without an answer waits for its next attempt."""
        now = workflow.now()
        return next((one for one in self.situation.operations if self._try_again.get(one, now) <= now), None)

    async def _carry_out(self, operation_id: str) -> None:
        """One attempt at one payment operation. Without an answer it stays pending and is tried again after a pause,
        under the same key, while the journey goes on."""
        await self.step(
            PaymentActivities.carry_out,
            # The attempt, not the operation: only the provider's key stays the same from one attempt to the next.
            occurrence=f"{operation_id}#{workflow.uuid4().hex[:12]}",
            operation_id=operation_id,
            timeout=PAYMENT_TIMEOUT,
        )
        if operation_id in self.situation.operations:
            tries = self._tries[operation_id] = self._tries.get(operation_id, 0) + 1
            self._try_again[operation_id] = workflow.now() + payment_pause(tries)
        else:
            self._tries.pop(operation_id, None)
            self._try_again.pop(operation_id, None)

    # ------------------------------------------------------------------ people
    async def ask(self) -> int | None:
        """Wait for the answer to the open case: the decision's number, or None when the question has gone away."""
        case_id, state = self.situation.case_id, self.situation.state
        while self._still_asking(case_id, state):
            if self.situation.decision_id is not None:
                return self.situation.decision_id
            await self.next()
        return None

    async def answer(self) -> None:
        """Wait for what falls due or, where somebody is asked, for the answer, and act on it."""
        if self.situation.case_id is None:
            await self.next()
            return
        decision = await self.ask()
        if decision is not None:
            await self.act_on(decision)

    def waits_for(self, name: str) -> bool:
        """Whether a due instant is set by which the ledger goes on."""
        return any(due.name == name for due in self.situation.dues)

    async def await_verdict(self, settle: StepActivity) -> None:
        """Wait for the verdict that was asked for when the journey was recorded; then take the step that settles it."""
        held = self.situation
        if held.verdict is None:
            await self.next()
            return
        await self.step(settle, occurrence=f"approval-{held.approval_id}", approval_id=held.approval_id)

    async def seek_approval(self, decision_id: int) -> str | None:
        """Have somebody with the authority confirm a decision; None when the decision was withdrawn meanwhile."""
        if self.situation.approval_id is None:
            await self.step(
                self.activities.open_approval, occurrence=f"decision-{decision_id}", decision_id=decision_id
            )
        while self.situation.decision_id == decision_id:
            if self.situation.verdict is not None:
                return self.situation.verdict
            await self.next()
        return None

    async def act_on(self, decision_id: int) -> None:
        """Carry out a decision; where it is not approved, or not possible any more, the case goes back to its owner."""
        if self.situation.decision_needs_approval:
            verdict = await self.seek_approval(decision_id)
            if verdict is None:
                return
            if verdict != "approved":
                await self._give_back(decision_id, verdict)
                return
        try:
            await self.step(
                self.activities.apply_decision,
                occurrence=f"decision-{decision_id}",
                decision_id=decision_id,
                approval_id=self.situation.approval_id,
            )
        except ActivityError as failure:
            refusal = refusal_of(failure)
            if refusal is None:
                raise
            await self._give_back(decision_id, refusal.message)

    async def _give_back(self, decision_id: int, reason: str) -> None:
        await self.step(
            self.activities.give_back,
            occurrence=f"decision-{decision_id}",
            decision_id=decision_id,
            approval_id=self.situation.approval_id,
            reason=reason,
        )

    def _still_asking(self, case_id: int | None, state: str) -> bool:
        held = self.situation
        return held.case_id == case_id and held.state == state and not held.ended and not held.suspended

    # ------------------------------------------------------------------ failures
    async def recover(self, error: Exception, before: Situation) -> None:
        """Suspend the journey, which opens the case `journey_stuck`; it goes on when a person resumes it."""
        workflow.logger.error("%s failed: %s", self.situation.subject, describe(error), exc_info=error)
        held = self.situation
        self._failed_at = held.seq
        try:
            await self.step(self.activities.suspend, occurrence=f"message-{held.seq}", reason=describe(error))
        except (ActivityError, RuntimeError) as second:
            await super().recover(second, before)
            return
        if self.situation.seq == held.seq and not self.situation.suspended:
            # The ledger would not suspend it: nothing is gained by trying again at once.
            await self._wait_for_news(self.situation)


def refusal_of(failure: ActivityError) -> ApplicationError | None:
    """The refusal by which the ledger answered a decision, or None when the failure is of another kind.

    A step taken twice with different input is our own mistake, not an answer.
    """
    cause = failure.cause
    if isinstance(cause, ApplicationError) and cause.type in leaves() and cause.type != "StepMismatch":
        return cause
    return None
